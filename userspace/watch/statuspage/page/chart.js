// The small charts of the last minutes.

const chartSpan = 300; // seconds

// niceTop returns the end of a scale: the next 1, 2 or 5 times a power of ten.
function niceTop(n) {
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  for (const step of [1, 2, 5]) if (n <= step * power) return step * power;
  return 10 * power;
}

// compact formats the end of a scale.
function compact(n) {
  for (const [size, unit] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) if (n >= size) return String(+(n / size).toPrecision(3)) + unit;
  return String(+n.toPrecision(3));
}

function svg(name, attributes = {}, ...children) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// Chart is a tile: a name, the current value, and a curve of the last minutes.
class Chart {
  constructor(parent, kind, name, unit) {
    this.name = name;
    this.unit = unit;
    this.number = element('span');
    this.value = element('p', {class: 'value'}, this.number, element('small', {}, unit ? ' /s' : ''));
    this.when = this.value.lastChild;
    this.area = svg('path', {class: 'area'});
    this.line = svg('path', {class: 'line'});
    this.cursor = svg('line', {class: 'cursor', y1: 0, y2: 100, x1: -1, x2: -1});
    this.picture = svg('svg', {viewBox: '0 0 300 100', preserveAspectRatio: 'none', role: 'img'},
      svg('line', {class: 'grid', x1: 0, x2: 300, y1: 0.5, y2: 0.5}), svg('line', {class: 'grid', x1: 0, x2: 300, y1: 99.5, y2: 99.5}),
      this.area, this.line, this.cursor);
    this.top = element('span', {class: 'top'});
    this.note = element('p', {class: 'note'});
    this.tile = element('div', {class: 'tile ' + kind}, element('h3', {}, name), this.value,
      element('div', {class: 'plot'}, this.picture, this.top), this.note);
    parent.append(this.tile);
    this.picture.addEventListener('pointermove', (e) => this.point(e));
    this.picture.addEventListener('pointerleave', () => this.leave());
  }

  // draw shows points [seconds ago, value or null if unknown], oldest first. from is the start of the scale.
  draw({points, value, note, fromZero = true, mark = ''}) {
    const known = points.filter(([, v]) => v !== null).map(([, v]) => v);
    const peak = known.reduce((a, b) => Math.max(a, b), 0), least = fromZero ? 0 : known.reduce((a, b) => Math.min(a, b), peak);
    this.points = points;
    let bottom = 0, top = niceTop(peak);
    if (!fromZero && peak > 0) { // a large number that hardly changes: show its changes, on a scale of at least 2 % of it
      const room = Math.max((peak - least) * 0.15, peak * 0.01, 1);
      bottom = Math.max(0, least - room);
      top = peak + room;
    }
    const x = (ago) => Math.max(0, chartSpan - ago).toFixed(1), y = (v) => (100 - (v - bottom) / (top - bottom) * 98 - 1).toFixed(1);
    let line = '', area = '', start = null, last = null;
    const close = () => {
      if (start !== null) area += 'L' + last + ',100L' + start + ',100Z';
      start = null;
    };
    for (const [ago, v] of points) {
      if (v === null) {
        close();
        continue;
      }
      last = x(ago);
      const at = last + ',' + y(v);
      line += (start === null ? 'M' : 'L') + at;
      area += (start === null ? 'M' : 'L') + at;
      if (start === null) start = last;
    }
    close();
    this.line.setAttribute('d', line);
    this.area.setAttribute('d', area);
    this.tile.dataset.mark = mark;
    this.current = value;
    if (!this.pointed) put(this.number, value);
    put(this.top, fromZero ? compact(top) : '');
    this.peak = peak;
    put(this.note, note);
    this.picture.setAttribute('aria-label', this.name + ': ' + value + this.unit + ' now, at most ' + count(peak) + ' within five minutes');
  }

  // point shows the value under the pointer instead of the latest value.
  point(e) {
    const box = this.picture.getBoundingClientRect();
    const ago = chartSpan * (1 - (e.clientX - box.left) / box.width);
    let near = null;
    for (const p of this.points || []) if (p[1] !== null && (!near || Math.abs(p[0] - ago) < Math.abs(near[0] - ago))) near = p;
    if (!near || Math.abs(near[0] - ago) > 10) return this.leave();
    this.pointed = true;
    const x = chartSpan - near[0];
    this.cursor.setAttribute('x1', x);
    this.cursor.setAttribute('x2', x);
    put(this.number, rate(near[1]));
    put(this.when, (this.unit ? ' /s, ' : ' ') + span(near[0]) + ' ago');
  }

  leave() {
    this.pointed = false;
    this.cursor.setAttribute('x1', -1);
    this.cursor.setAttribute('x2', -1);
    put(this.number, this.current ?? '');
    put(this.when, this.unit ? ' /s' : '');
  }
}

// Trend keeps the counters of the last minutes, as /api/trend sends them, and computes rates.
class Trend {
  constructor() {
    this.at = [];
    this.columns = {create_recv: [], update_recv: [], delete_recv: [], lost: [], dialogs: []};
    this.losses = [];
    this.staleAfter = 0;
  }

  get newest() {
    return this.at.length ? this.at[this.at.length - 1] : 0;
  }

  // add takes an answer. If it continues the known data, it is appended; otherwise it replaces it.
  add(answer) {
    if (answer.at.length && answer.at[0] <= this.newest) {
      this.at = [];
      for (const name in this.columns) this.columns[name] = [];
    }
    this.at.push(...answer.at);
    for (const name in this.columns) this.columns[name].push(...answer[name]);
    const old = this.at.findIndex((t) => t >= this.newest - (chartSpan + 2) * 1000);
    if (old > 0) {
      this.at.splice(0, old);
      for (const name in this.columns) this.columns[name].splice(0, old);
    }
    this.losses = answer.losses;
    this.staleAfter = answer.stale_after_seconds;
  }

  // values returns the points of a column for a Chart.
  values(name) {
    return this.at.map((t, i) => [(this.newest - t) / 1000, this.columns[name][i]]);
  }

  // rates returns the growth of a counter per second. It is unknown where the counter restarted or seconds are missing.
  rates(name) {
    const c = this.columns[name], points = [];
    for (let i = 1; i < c.length; i++) {
      const seconds = (this.at[i] - this.at[i - 1]) / 1000;
      const known = c[i] >= c[i - 1] && seconds > 0 && seconds < 10;
      points.push([(this.newest - this.at[i]) / 1000, known ? (c[i] - c[i - 1]) / seconds : null]);
    }
    return points;
  }

  // recent returns the growth of a counter per second over the last three seconds.
  recent(name) {
    const points = this.rates(name).slice(-3).filter(([, v]) => v !== null);
    return points.length ? points.reduce((a, [, v]) => a + v, 0) / points.length : 0;
  }
}
