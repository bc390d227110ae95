// Polls the appliance once a second, and shows its state and whether it still answers.

const every = 1000; // milliseconds; the appliance takes a new status as often
const everyHidden = 10000; // while the page is hidden; the icon and the title still show the state
const patience = 4000; // for an answer
const quiet = 3000; // without an answer, until the page says so

const words = {
  READY: ['good', 'M5 12.5l4.5 4.5L19 7.5', 'Sources send, and nothing was lost in the last minute.', '#1a7f4b'],
  IDLE: ['idle', 'M6 12h12', '', '#5b6571'],
  STALE: ['warn', 'M12 6v6.5l4 2.5M12 3a9 9 0 1 0 .01 0', '', '#b7791f'],
  INCOMPLETE: ['warn', 'M12 6v6.5l4 2.5M12 3a9 9 0 1 0 .01 0', '', '#b7791f'],
  LOSING: ['bad', 'M12 5v9M12 18.5v.5', '', '#c9231d'],
  LOST: ['lost', 'M6 6l12 12M18 6L6 18', '', '#111111'],
};

let status = null; // the last one
let answeredAt = 0; // performance.now() of it
let serverAhead = 0; // milliseconds by which the appliance's clock is ahead of this browser's
let lookedAt = performance.now(); // since when the page is visible
let trouble = ''; // why the last request failed
let broken = ''; // an error in this script

const trend = new Trend();
const cards = new Cards();
const tables = new Tables();
const facts = new Pairs(byId('facts')), grounds = new Pairs(byId('grounds'));

// serverNow returns the time of the appliance in Unix milliseconds. All ages are computed with this one clock.
const serverNow = () => Date.now() + serverAhead;

// ask requests JSON.
async function ask(path, signal) {
  let response;
  try {
    response = await fetch(path, {cache: 'no-store', credentials: 'same-origin', redirect: 'error', signal});
  } catch (err) {
    throw new Error(err.name === 'TimeoutError' ? 'it takes too long' : 'it can\'t be reached');
  }
  if (!response.ok) {
    const told = await response.json().then((o) => o.error, () => '');
    throw new Error('it answers ' + response.status + (told ? ', ' + told : ''));
  }
  const date = Date.parse(response.headers.get('Date'));
  // Date has whole seconds, so half a second is added. Smaller differences between the clocks are not corrected.
  if (date) serverAhead = Math.abs(date + 500 - Date.now()) > 1500 ? date + 500 - Date.now() : 0;
  return response.json();
}

async function refresh() {
  const signal = AbortSignal.timeout(patience);
  try {
    const [s, t] = await Promise.all([ask('api/status', signal), ask('api/trend?after=' + trend.newest, signal)]);
    if (status && s.version !== status.version) location.reload(); // another version has another page
    status = s;
    trend.add(t);
    answeredAt = performance.now();
    trouble = '';
  } catch (err) {
    trouble = err.message;
  }
  draw();
}

function draw() {
  drawState();
  if (!status) return;
  try {
    cards.draw(status, trend, serverNow());
    tables.draw(status, trend, serverNow());
    byId('numbers').hidden = false;
    broken = '';
  } catch (err) {
    broken = 'This page can\'t show the data of the appliance: ' + err.message;
    console.error(err);
  }
}

// isLost reports whether the numbers are too old to be trusted.
function isLost() {
  if (trouble) return true;
  return !document.hidden && performance.now() - Math.max(answeredAt, lookedAt) > quiet;
}

function drawState() {
  const lost = isLost(), s = status, age = (performance.now() - answeredAt) / 1000;
  let word = s ? s.word : '…', reason = s ? s.reason : 'asking the appliance';
  if (lost) {
    word = 'NO ANSWER';
    reason = 'from the appliance: ' + (trouble || 'it takes too long') + '.' +
      (s ? ' The data shown is from ' + clock(Date.now() - age * 1000) + ', when it was ' + s.word + '.' : '');
  } else if (broken) {
    reason = broken;
  }
  const problems = (!lost && s && s.problems) || [];
  const [kind, sign, calm] = words[lost ? 'LOST' : word] || words.IDLE;
  const state = byId('state');
  state.dataset.word = kind === 'good' && problems.length ? 'warn' : kind; // good, but ...
  document.body.dataset.lost = lost && s ? 'yes' : '';
  byId('sign').firstElementChild.setAttribute('d', sign);
  put(byId('word'), word);
  put(byId('reason'), reason || calm);
  const list = [], why = [];
  if (s) {
    list.push(['Data', lost ? span(age) + ' old' : 'live', lost ? 'bad' : 'good']);
    list.push(['Mode', s.mode, s.fallback_reason ? 'warn' : '']);
    if (problems.length) why.push(['But', problems.map((p) => p.text).join('; ')]);
    if (s.fallback_reason && !problems.some((p) => p.code === 'fallback')) why.push(['Fallback because', s.fallback_reason]);
    const links = (s.interfaces || []).filter((i) => i.link);
    if (links.length) list.push(['Links', links.map((i) => i.name + ' ' + i.link).join(', '), links.some((i) => i.link !== 'up') ? 'warn' : '']);
    for (const l of s.listeners || []) if (l.hint) why.push(['Listener ' + l.address, l.hint]);
    for (const i of s.interfaces || []) {
      if (i.lost + i.rx_dropped + i.rx_missed > 0) {
        why.push([i.name + ' in front of XDP', count(i.lost) + ' lost; rx_dropped ' + count(i.rx_dropped) + ', rx_missed ' + count(i.rx_missed)]);
      }
    }
    for (const i of s.interfaces || []) if (i.reason && i.reason !== s.fallback_reason) why.push([i.name + ' is in ' + i.mode + ' because', i.reason]);
    list.push(['Up', span((serverNow() - Date.parse(s.started)) / 1000)]);
    if (Math.abs(s.clock_ahead_seconds) >= 1) list.push(['Clock', 'has jumped by ' + skew(s.clock_ahead_seconds), 'warn']);
    list.push(['Version', s.version]);
  }
  facts.draw(list);
  grounds.draw(why);
  put(byId('host'), location.hostname);
  document.title = word + (problems.length ? ' but ' + problems.length + ' problem' + (problems.length > 1 ? 's' : '') : '') + ' · ' + location.hostname + ' · binrepd';
  drawIcon(words[lost ? 'LOST' : word] || words.IDLE);
}

let icon = '';

// drawIcon makes the tab's icon show the state.
function drawIcon([, sign, , colour]) {
  const picture = 'data:image/svg+xml,' + encodeURIComponent('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="' +
    colour + '"/><path d="' + sign + '" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/></svg>');
  if (picture !== icon) byId('icon').href = icon = picture;
}

async function run() {
  for (;;) {
    await refresh();
    await new Promise((done) => {
      wake = done;
      setTimeout(done, document.hidden ? everyHidden : every);
    });
  }
}

let wake = () => {};
document.addEventListener('visibilitychange', () => {
  lookedAt = performance.now();
  if (!document.hidden) wake();
});
setInterval(drawState, every); // the age of the data grows while no answer comes

new Call();
run();
