// Formats numbers, times, and untrusted text. All text reaches the document by textContent; no function of this page
// makes markup from a string.

const byId = (id) => document.getElementById(id);

// element makes an element with attributes and children. A string becomes a text node.
function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// put sets a text if it has changed. So unchanged text keeps the reader's selection.
function put(e, text) {
  text = String(text);
  if (e.textContent !== text) e.textContent = text;
}

const whole = new Intl.NumberFormat('en', {maximumFractionDigits: 0});
const tenth = new Intl.NumberFormat('en', {maximumFractionDigits: 1, minimumFractionDigits: 1});

const count = (n) => whole.format(n);

// rate formats events a second.
const rate = (n) => (n > 0 && n < 100 ? tenth : whole).format(n);

// three formats a number with at most three significant digits.
const three = (n) => (n >= 100 ? whole.format(n) : String(+n.toPrecision(3)));

function bytes(n) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (n < 1024) return (unit === 'B' ? whole.format(n) : three(n)) + ' ' + unit;
    n /= 1024;
  }
  return three(n) + ' TiB';
}

// micro formats microseconds.
function micro(us) {
  if (us < 1000) return whole.format(us) + ' µs';
  if (us < 1e6) return three(us / 1000) + ' ms';
  return three(us / 1e6) + ' s';
}

// span formats seconds in their two largest units.
function span(seconds) {
  let s = Math.max(0, Math.floor(seconds));
  const units = [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]];
  const first = units.findIndex(([, size]) => s >= size);
  if (first < 0) return '0s';
  const parts = [];
  for (const [name, size] of units.slice(first, first + 2)) {
    const n = Math.floor(s / size);
    s -= n * size;
    if (n > 0) parts.push(n + name);
  }
  return parts.join(' ');
}

// never recognizes Go's zero time.
const never = (iso) => !iso || iso.startsWith('0001-');

// clock formats a moment in the reader's time, with the day if it isn't today.
function clock(ms) {
  const d = new Date(ms), now = new Date();
  const two = (n) => String(n).padStart(2, '0');
  const time = two(d.getHours()) + ':' + two(d.getMinutes()) + ':' + two(d.getSeconds());
  const day = d.getFullYear() + '-' + two(d.getMonth() + 1) + '-' + two(d.getDate());
  return d.toDateString() === now.toDateString() ? time : day + ' ' + time;
}

// total adds up the counts in an object.
const total = (counts) => Object.values(counts || {}).reduce((a, b) => a + b, 0);

// reasons lists the counts that aren't zero, the largest first.
const reasons = (counts) => Object.entries(counts || {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));

// plain turns a name of the API into words: ring_full, ring full.
const plain = (name) => name.replaceAll('_', ' ');

// What stands out in untrusted text: escapes, by which the appliance writes bytes that can't be shown (\xNN), and characters
// that are invisible or change how other text looks, if any should come in another way: control characters, marks for the
// writing direction, characters without width, and lone surrogates.
const unseen = /\\x[0-9a-fA-F]{2}|[\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\ud800-\udfff]|[\u{e0000}-\u{e0fff}]/gu;

// bytesOf writes the UTF-8 bytes of a character as escapes.
const bytesOf = (char) => Array.from(new TextEncoder().encode(char), (b) => '\\x' + b.toString(16).padStart(2, '0')).join('');

// foreign makes untrusted text readable. The search takes what it shows.
function foreign(text) {
  const out = element('bdi');
  let from = 0;
  for (const m of text.matchAll(unseen)) {
    out.append(text.slice(from, m.index), element('span', {class: 'escape'}, m[0].length === 4 ? m[0] : bytesOf(m[0])));
    from = m.index + m[0].length;
  }
  out.append(text.slice(from));
  return out;
}
