// The search for a call. The caller chose everything here, so it is shown by foreign().

const stateNames = {1: 'unconfirmed', 2: 'early', 3: 'answered', 4: 'confirmed', 5: 'ended'};

class Call {
  constructor() {
    this.input = byId('callid');
    byId('search').addEventListener('submit', (e) => {
      e.preventDefault();
      // Users paste whole header lines, and surrounding blanks.
      const callid = this.input.value.trim().replace(/^(call-id|i)\s*:\s*/i, '');
      if (callid) this.find(callid);
    });
    byId('call-close').addEventListener('click', () => this.close());
    addEventListener('keydown', (e) => {
      if (e.key === 'Escape' && !byId('call').hidden) this.close();
      if (e.key === '/' && !e.ctrlKey && !e.metaKey && !e.altKey && !/^(INPUT|TEXTAREA)$/.test(e.target.tagName)) {
        e.preventDefault();
        this.input.focus();
      }
    });
    addEventListener('hashchange', () => this.fromAddress());
    this.fromAddress();
  }

  // fromAddress follows the part of the address after #. With it a call can be bookmarked and shared.
  fromAddress() {
    const callid = new URLSearchParams(location.hash.slice(1)).get('call');
    if (callid && callid !== this.callid) {
      this.input.value = callid;
      this.find(callid);
    }
  }

  close() {
    this.callid = null;
    this.asked?.abort();
    byId('call').hidden = true;
    history.replaceState(null, '', location.pathname);
    this.input.focus();
  }

  async find(callid) {
    this.callid = callid;
    history.replaceState(null, '', '#' + new URLSearchParams({call: callid}));
    this.asked?.abort();
    const asked = this.asked = new AbortController();
    byId('call').hidden = false;
    byId('call-title').replaceChildren('Call ', foreign(callid));
    byId('call-list').replaceChildren();
    this.say('Searching …');
    let answer;
    try {
      answer = await ask('api/dialogs?' + new URLSearchParams({callid}), asked.signal);
    } catch (err) {
      if (this.asked === asked && this.callid) this.say('No answer: ' + err.message + '. Search again.', 'bad');
      return;
    }
    if (this.asked !== asked) return;
    const shown = answer.dialogs.length, n = answer.total, at = ' at ' + clock(Date.now());
    if (n === 0) this.say('Not in the table' + at + '. The call has ended, or this appliance never received it. Call-IDs are case-sensitive.');
    else this.say((n === 1 ? 'One dialog' : count(n) + ' dialogs') + at + (shown < n ? '; the first ' + shown + ' are shown, binrepd dialogs get shows all.' : '.'));
    byId('call-list').replaceChildren(...answer.dialogs.map((d) => this.dialog(d)));
    byId('call-title').focus({preventScroll: true});
    byId('call').scrollIntoView({block: 'nearest'});
  }

  say(text, mark = '') {
    put(byId('call-note'), text);
    byId('call-note').dataset.mark = mark;
  }

  dialog(d) {
    const now = serverNow() / 1000, callee = (d.CALLEES || [])[0] || {};
    const time = (unix) => (unix ? clock(unix * 1000) : 'unknown');
    const list = (title, pairs) => {
      const dl = element('dl');
      for (const [name, value, key] of pairs) {
        if (value === '' || value === undefined || value === null) continue;
        const dd = element('dd');
        dd.append(key ? foreign(value) : value);
        dl.append(element('div', {}, element('dt', {}, name), dd));
      }
      return element('div', {class: 'part'}, element('h4', {}, title), dl);
    };
    const head = element('h3', {}, element('span', {class: 'state'}, stateNames[d.state] || 'state ' + d.state), ' ', foreign(d.from_uri), ' → ', foreign(d.to_uri));
    const parts = element('div', {class: 'parts'},
      list('Call', [
        ['Call-ID', d.callid, true],
        ['Started', d.timestart ? time(d.timestart) + ', ' + span(now - d.timestart) + ' ago' : 'not answered yet'],
        ['Expires', time(d.timeout) + (d.timeout > now ? ', in ' + span(d.timeout - now) : ', overdue')],
        ['Last change', d.updated ? time(d.updated) + ', ' + span(now - d.updated) + ' ago' : ''],
        ['Came from', d.origin, true],
        ['h_id', String(d.h_id)], ['Flags', String(d.flags)], ['User flags', d.user_flags],
        ['From URI, mangled', d.mangled_from_uri, true], ['To URI, mangled', d.mangled_to_uri, true],
      ]),
      list('Caller', [
        ['URI', d.from_uri, true], ['Tag', d.caller_tag, true], ['Contact', d.caller_contact, true], ['Route set', d.caller_route_set, true],
        ['Socket', d.caller_bind_addr, true], ['CSeq', callee.caller_cseq, true],
      ]),
      list('Callee', [
        ['URI', d.to_uri, true], ['Tag', callee.callee_tag, true], ['Contact', callee.callee_contact, true], ['Route set', callee.callee_route_set, true],
        ['Socket', callee.callee_bind_addr, true], ['CSeq', d.callee_cseq, true],
      ]));
    const vars = Object.entries(d.vars || {}), profiles = d.profiles || [];
    if (vars.length || profiles.length || d.vars_raw || d.profiles_raw) {
      const pairs = element('dl');
      const add = (name, value) => {
        const dt = element('dt'), dd = element('dd');
        dt.append(foreign(name));
        dd.append(foreign(value));
        pairs.append(element('div', {}, dt, dd));
      };
      for (const [name, value] of vars) add(name, value);
      for (const p of profiles) add('profile ' + p.name, p.value || '');
      if (d.vars_raw) add('variables, unreadable', d.vars_raw);
      if (d.profiles_raw) add('profiles, unreadable', d.profiles_raw);
      parts.append(element('div', {class: 'part'}, element('h4', {}, 'Variables and profiles'), pairs));
    }
    return element('article', {}, head, parts);
  }
}
