// The tables: sources, backups, and listen addresses.

// fewSources is how many sources are shown at first.
const fewSources = () => (matchMedia('(max-width: 680px)').matches ? 6 : 20);

class Tables {
  constructor() {
    this.all = false;
    const ago = (t) => (never(t) ? 'never' : span((this.now - Date.parse(t)) / 1000) + ' ago');
    const silent = (src) => src.counts && this.staleAfter > 0 && !never(src.last) && this.now - Date.parse(src.last) >= this.staleAfter * 1000;
    const address = {name: 'Address', text: (s) => s.address, order: (s) => s.address, kind: 'address'};
    const perSecond = {name: 'Per second', text: (s) => rate(s.rate), order: (s) => s.rate, kind: 'number'};
    this.sources = new Table(byId('sources-table'), 'Sources', [
      address,
      perSecond,
      {name: 'Events', text: (s) => count(s.events), order: (s) => s.events, kind: 'number'},
      {name: 'Last event', text: (s) => ago(s.last) + (s.restarted ? ', restarted ' + ago(s.restarted) : ''), order: (s) => (never(s.last) ? 0 : Date.parse(s.last)), kind: 'number', mark: (s) => (silent(s) ? 'warn' : '')},
      {
        name: 'Clock', text: (s) => (s.clock_skew_seconds === null ? '–' : skew(s.clock_skew_seconds)), kind: 'number',
        order: (s) => Math.abs(s.clock_skew_seconds ?? -1), mark: (s) => (Math.abs(s.clock_skew_seconds ?? 0) >= 5 ? 'warn' : ''),
      },
      {name: 'Rejected', text: (s) => count(s.rejected), order: (s) => s.rejected, kind: 'number', mark: (s) => (s.rejected ? 'warn' : '')},
    ]);
    byId('sources-more').addEventListener('click', () => {
      this.all = !this.all;
      this.draw(...this.last);
    });
    this.backups = new Table(byId('backups-table'), 'Destinations', [
      {name: 'Address', text: (d) => d.address + (d.endpoint && d.endpoint !== d.address ? ' = ' + d.endpoint : ''), kind: 'address'},
      {
        name: 'State', text: (d) => d.state + ' for ' + span((this.now - Date.parse(d.since)) / 1000) + (d.state !== 'up' && d.cause ? ': ' + d.cause : '') +
          (d.paused ? ', paused' : '') + (d.needs_sync ? ', ' + d.needs_sync + ', needs a sync' : ''),
        kind: 'words', mark: (d) => (d.needs_sync ? 'bad' : d.paused ? 'warn' : d.state === 'up' ? 'good' : d.state === 'resolving' ? 'warn' : 'bad'),
      },
      {name: 'Sent', text: (d) => count(d.sent), kind: 'number'},
      {name: 'Queued', text: (d) => count(d.queued), kind: 'number'},
      {name: 'Dropped', text: (d) => count(d.dropped + d.lost), kind: 'number', mark: (d) => (d.dropped + d.lost ? 'bad' : '')},
      {name: 'Held back', text: (d) => count(total(d.held)), kind: 'number'},
      {name: 'Unmatched sockets', text: (d) => count(d.unmatched), kind: 'number'},
    ]);
    this.listeners = new Table(byId('listeners-table'), 'Listen addresses', [
      {name: 'Listener', text: (l) => l.address, kind: 'address'},
      {name: 'Seen', text: (l) => count(l.seen), kind: 'number'},
      {name: 'Through XDP', text: (l) => count(l.steered), kind: 'number'},
      {name: 'Through the socket', text: (l) => count(l.socket), kind: 'number'},
      {name: 'Left to the kernel', text: (l) => reasons(l.passed).map(([name, n]) => count(n) + ' ' + plain(name)).join(', ') || '0', kind: 'words end'},
      {name: 'Lost', text: (l) => count(total(l.lost)), kind: 'number', mark: (l) => (total(l.lost) ? 'bad' : '')},
    ]);
  }

  draw(s, trend, now) {
    this.last = [s, trend, now];
    this.now = now;
    this.staleAfter = trend.staleAfter;
    const sources = s.sources || [], backups = s.destinations || [];
    put(byId('sources-title'), sources.length > 1 ? 'Sources (' + count(sources.length) + ')' : 'Sources');
    put(byId('sources-none'), sources.length ? '' : 'No source has been seen yet. A proxy sends here when replicate_dialogs_to names a listen address.');
    byId('sources-table').hidden = sources.length === 0;
    this.sources.draw(sources, (src) => src.address, this.all ? Infinity : fewSources());
    const more = byId('sources-more');
    more.hidden = sources.length <= fewSources();
    put(more, this.all ? 'Show the first ' + fewSources() : 'Show all ' + count(sources.length));
    more.setAttribute('aria-expanded', String(this.all));
    put(byId('backups-none'), backups.length ? '' : 'None: nothing is passed on (--replicate-to).');
    byId('backups-table').hidden = backups.length === 0;
    this.backups.draw(backups, (d) => d.address);
    this.listeners.draw(s.listeners || [], (l) => l.address);
    put(byId('allowed'), allowed(s));
  }
}

// skew formats how many seconds a clock is ahead.
function skew(seconds) {
  if (Math.abs(seconds) < 1) return '±0s';
  return (seconds > 0 ? '+' : '−') + span(Math.abs(seconds));
}

// allowed describes the allowed sources, and those refused most.
function allowed(s) {
  const list = s.allow || [], parts = [];
  let from = list.length ? list.slice(0, 8).join(', ') + (list.length > 8 ? ' and ' + (list.length - 8) + ' more' : '') : 'any source that reaches the port';
  if (s.source_rate) from += ', at most ' + count(s.source_rate) + ' a second from each address';
  parts.push('Packets are taken from ' + from + '.');
  for (const [name, refused] of [['Denied most', s.denied_sources], ['Limited most', s.rate_limited_sources]]) {
    if (refused && refused.length) parts.push(name + ': ' + refused.map((r) => r.address + ' (' + count(r.datagrams) + ')').join(', ') + '.');
  }
  return parts.join(' ');
}
