// Charts and cards: what the appliance holds, what it has lost, and how much room it has.

class Cards {
  constructor() {
    const charts = byId('charts');
    this.live = new Chart(charts, 'live', 'Live dialogs', '');
    this.kinds = [
      ['create_recv', new Chart(charts, 'create', 'Creates', ' a second')],
      ['update_recv', new Chart(charts, 'update', 'Updates', ' a second')],
      ['delete_recv', new Chart(charts, 'delete', 'Deletes', ' a second')],
    ];
    this.lost = new Chart(charts, 'lost', 'Losses', ' a second');
    this.losses = new Table(byId('losses-table'), 'Losses', [
      {name: 'Place', text: (l) => l.place, kind: 'address'},
      {name: 'Reason', text: (l) => plain(l.reason)},
      {name: 'Lost', text: (l) => count(l.count), kind: 'number'},
      {name: 'Last minute', text: (l) => (l.growth ? '+' + count(l.growth) : '0'), kind: 'number', mark: (l) => (l.growth ? 'bad' : '')},
    ]);
    for (const name of ['latency', 'memory', 'rings', 'syncs']) this[name] = new Bars(byId(name));
    for (const name of ['saved', 'dialogs', 'account']) this[name] = new Pairs(byId(name));
  }

  draw(s, trend, now) {
    this.drawCharts(s, trend);
    this.drawLosses(s, trend, now);
    this.drawLatency(s.latency_recent, s.latency, s.latency_window_seconds);
    this.drawMemory(s);
    this.drawRings(s);
    this.drawSaved(s, now);
    this.drawDialogs(s);
    this.drawAccount(s);
    this.drawSyncs(s, now);
  }

  drawCharts(s, trend) {
    this.live.draw({
      points: trend.values('dialogs'), value: count(s.dialogs), fromZero: false,
      note: count(s.early) + ' early, ' + count(s.tombstones) + ' ended',
    });
    for (const [name, chart] of this.kinds) {
      chart.draw({points: trend.rates(name), value: rate(trend.recent(name)), note: count(s[name]) + ' since the start'});
    }
    const lost = trend.losses.reduce((a, l) => a + l.count, 0), grown = trend.losses.reduce((a, l) => a + l.growth, 0);
    this.lost.draw({
      points: trend.rates('lost'), value: rate(trend.recent('lost')), mark: grown ? 'bad' : '',
      note: lost ? count(lost) + ' since the start' : 'none since the start',
    });
  }

  drawLosses(s, trend, now) {
    const none = trend.losses.length === 0;
    byId('losses-none').hidden = !none;
    byId('losses-table').hidden = none;
    put(byId('losses-none'), 'Nothing was lost since the start, ' + span((now - Date.parse(s.started)) / 1000) + ' ago.');
    this.losses.draw(trend.losses, (l) => l.place + ' ' + l.reason);
  }

  // l is the latency of the last minutes.
  drawLatency(l, whole, window) {
    // A logarithmic scale from 1 µs to 1 s, because the quantiles of one appliance differ by powers of ten.
    const part = (us) => (us > 0 ? Math.log10(Math.max(us, 1)) / 6 : 0);
    this.latency.draw([['median', l.p50_us], ['99 %', l.p99_us], ['99.9 %', l.p99_9_us], ['maximum', l.max_us]].map(
      ([name, us]) => ({name, text: us > 0 ? micro(us) : '–', part: part(us)})));
    put(byId('latency-note'), 'In the last ' + span(window) + '. Since the start: 99 % ' + micro(whole.p99_us) + ', maximum ' + micro(whole.max_us) + '.');
  }

  drawMemory(s) {
    const m = s.memory, part = m.limit ? m.used / m.limit : 0;
    const level = (share) => (share >= 0.9 ? 'bad' : share >= 0.8 ? 'warn' : '');
    const items = [{name: 'used', text: bytes(m.used) + ' of ' + bytes(m.limit), part, mark: level(part)}];
    if (s.max_dialogs) {
      const n = s.dialogs + s.early;
      items.push({name: 'dialogs', text: count(n) + ' of ' + count(s.max_dialogs), part: n / s.max_dialogs, mark: level(n / s.max_dialogs)});
    }
    this.memory.draw(items);
    const soon = s.full_in_seconds !== null && s.full_in_seconds < 30 * 86400; // more than a month is not shown
    put(byId('full'), soon ? 'Full in ' + span(s.full_in_seconds) + ' at the current growth.' : 'Not filling up at the current rate.');
    byId('full').dataset.mark = soon && s.full_in_seconds < 3600 ? 'bad' : '';
  }

  drawRings(s) {
    this.rings.draw((s.rings || []).map((r, i) => {
      const part = r.size ? r.fill / r.size : 0, most = r.size ? r.high_water / r.size : 0;
      return {
        name: 'ring ' + i, part, most, mark: part >= 0.8 ? 'bad' : most >= 0.8 ? 'warn' : '',
        text: percent(part) + ', most ' + percent(most) + ' of ' + bytes(r.size),
      };
    }));
    put(byId('rings-none'), (s.rings || []).length ? '' : 'None: packets come through sockets only.');
  }

  drawSaved(s, now) {
    const pairs = [], st = s.state;
    if (st) {
      pairs.push(['Last save', never(st.saved) ? 'none yet' : span((now - Date.parse(st.saved)) / 1000) + ' ago', st.error ? 'bad' : '']);
      if (!never(st.saved)) {
        pairs.push(['Saved', count(st.saved_dialogs) + ' dialogs, ' + bytes(st.saved_bytes)]);
        pairs.push(['Duration', micro(st.save_seconds * 1e6)]);
      }
      if (st.failures) pairs.push(['Failed saves', count(st.failures), st.error ? 'bad' : '']);
      if (st.error) pairs.push(['Error', st.error, 'bad', 'long']);
      if (!never(st.restored)) pairs.push(['Restored at the start', count(st.restored_dialogs) + ' dialogs']);
      if (st.damaged) pairs.push(['Damaged file', st.damaged, 'warn', 'long']);
    } else {
      pairs.push(['Last save', 'off (--state-dir)']);
    }
    pairs.push(['Pinned', s.pin ? 'yes, ' + s.pin.dir : 'no (--pin)']);
    if (s.pin && s.pin.unsaved) pairs.push(['Lost with the last process', count(s.pin.unsaved), 'warn']);
    if (s.pin && s.pin.overflowed) pairs.push(['Overflowed before the start', count(s.pin.overflowed), 'warn']);
    const rec = s.record;
    if (rec) {
      const dropped = Object.entries(rec.dropped || {}).filter(([, n]) => n > 0);
      pairs.push(['Recorded', count(rec.recorded) + ' datagrams, ' + bytes(rec.file_bytes) + ' of ' + bytes(rec.limit)]);
      if (dropped.length) pairs.push(['Not recorded', dropped.map(([name, n]) => count(n) + ' ' + name.replaceAll('_', ' ')).join(', '), 'warn', 'long']);
      if (rec.error) pairs.push(['Recording fails', rec.error, 'bad', 'long']);
    }
    this.saved.draw(pairs);
  }

  drawDialogs(s) {
    this.dialogs.draw([
      ['Confirmed', count(s.confirmed)],
      ['Answered, not confirmed', count(s.answered)],
      ['Early, being set up', count(s.early)],
      ['Ended, still remembered', count(s.tombstones)],
      ['Expired live', count(s.expired.live)],
      ['Expired early', count(s.expired.early)],
      ...(s.expired.ghosts ? [['Ghosts removed', count(s.expired.ghosts)]] : []),
      ...(s.expired.dropped ? [['Dropped by their node', count(s.expired.dropped)]] : []),
    ]);
  }

  drawAccount(s) {
    const lost = total(s.lost), rejected = total(s.rejected);
    const sum = s.applied + s.duplicate + s.stale + s.late + s.unknown + s.other_capability + rejected + lost;
    const pairs = [['Seen', count(s.seen), '', 'sum'], ['Applied', count(s.applied)]];
    if (s.recovered) pairs.push(['recovered: creation missed', count(s.recovered), '', 'inner']);
    if (s.began_early) pairs.push(['began early', count(s.began_early), '', 'inner']);
    for (const name of ['duplicate', 'stale', 'late', 'unknown', 'other_capability']) {
      if (s[name] || name === 'duplicate') pairs.push([capital(plain(name)), count(s[name])]);
    }
    pairs.push(['Rejected', count(rejected)]);
    for (const [name, n] of reasons(s.rejected)) pairs.push([plain(name), count(n), '', 'inner']);
    pairs.push(['Lost', count(lost), lost ? 'bad' : '']);
    if (s.seen > sum) pairs.push(['In progress', count(s.seen - sum)]);
    this.account.draw(pairs);
  }

  drawSyncs(s, now) {
    const list = s.syncs || [];
    byId('syncs-card').hidden = list.length === 0;
    this.syncs.draw(list.map((r) => ({
      name: 'to ' + r.to + ', since ' + clock(Date.parse(r.started)), part: r.total ? r.visited / r.total : 0,
      text: 'pass ' + r.pass + ' of ' + r.passes + ', ' + count(r.visited) + ' of about ' + count(r.total) + ', ' + count(r.packets) + ' packets, for ' +
        span((now - Date.parse(r.started)) / 1000) + (r.remaining_seconds > 0 ? ', ' + span(r.remaining_seconds) + ' left' : ''),
    })));
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// percent formats a share. A nonzero share is never shown as 0 %.
function percent(share) {
  if (share > 0 && share < 0.01) return '<1 %';
  return whole.format(share * 100) + ' %';
}
