// The page: summary, names, filter, table, keys.
const PAGE = 200;
let rowsShown = PAGE;

function about() {
  const end = report.first ? clock(since(report.last)) : '';
  const begin = report.first ? `${report.first.time.slice(0, 10)} ${clock(0)} to ${end} UTC` : 'no opens';
  const mounts = report.mounts.map((it) => `${it.point} (${it.source}, NFSv${it.nfs_version})`).join(', ');
  $('about').textContent = `kernel ${report.kernel} · ${begin}${mounts ? ` · ${mounts}` : ''}`;
}

function summary() {
  const { end, latency } = report;
  const most = Math.max(1, ...Object.values(latency).map((it) => it.opens));
  const rows = WORDS.filter((word) => latency[word]).map((word) => {
    const it = latency[word];
    return el('tr', {}, el('td', {}, icon(word), ` ${shown(word)}`), el('td', { class: 'n' }, it.opens.toLocaleString('en')),
      el('td', {}, el('span', { class: 'bar', style: `width:${(90 * it.opens) / most}px;background:${colour(word)}` })),
      ...[it.p50_ns, it.p90_ns, it.p99_ns, it.max_ns].map((ns) => el('td', { class: 'n' }, duration(ns))));
  });
  const titles = ['open path', 'opens', '', 'p50', 'p90', 'p99', 'max'];
  const lost = Object.entries(end.lost).filter(([, n]) => n > 0).map(([what, n]) => `${n} ${what}`);
  const unread = end.unread ? ['the recording is damaged, or not all of it was given'] : [];
  const fact = (big, small, bad) => el('div', { class: 'fact' }, el('div', { class: bad ? 'big stale' : 'big' }, big), el('small', {}, small));
  const names = report.names.length + report.left_out.names + report.left_out.names_forgotten;
  $('summary').append(
    fact(end.opens.toLocaleString('en'), `opens of ${count(names, 'name')}${data.all > opens.length ? `; ${opens.length.toLocaleString('en')} of them are in this page: first those that went otherwise than the one before` : ''}`),
    fact(report.proved_stale.toLocaleString('en'), 'cached opens proved stale (those after the rename): a later LOOKUP or OPEN named another file', report.proved_stale > 0),
    el('table', {}, el('thead', {}, el('tr', {}, ...titles.map((it, n) => el('th', { class: n && n !== 2 ? 'n' : null }, it)))), el('tbody', {}, ...rows)),
    fact(lost.length || end.incomplete || unread.length ? 'incomplete' : 'complete',
      [...unread, ...lost, end.incomplete ? `${count(end.incomplete, 'open')} with a gap` : ''].filter(Boolean).join(', ') || 'nothing lost, every open seen to its end'));
}

function names() {
  const list = $('list');
  const found = report.names.map((_, number) => number).filter((number) => byName[number].some(matches) || !state.words.length);
  if (!found.includes(state.name) && found.length) { state.name = found[0]; state.open = -1; state.view = null; }
  list.replaceChildren(...found.map((number) => {
    const name = report.names[number];
    const some = WORDS.filter((word) => name.by_open_path[word]).map((word) => `${name.by_open_path[word]} ${shown(word)}`);
    return el('li', { role: 'option', id: `name-${number}`, 'aria-selected': number === state.name, onclick: () => select(number) },
      el('span', { class: 'path' }, name.path), name.proved_stale ? el('span', { class: 'stale' }, ` ${name.proved_stale} stale`) : null,
      el('small', {}, some.join(', ')));
  }));
  list.setAttribute('aria-activedescendant', `name-${state.name}`);
  const left = report.left_out.names + report.left_out.names_forgotten;
  $('more-names').textContent = left ? `${count(left, 'more name')} not in this page (--top N)` : '';
  return found;
}

function facts() {
  const name = report.names[state.name];
  $('title').textContent = name ? name.path : 'no open matches';
  if (!name) return;
  const parts = [`${count(name.opens, 'open')}, files ${name.files.join(', ') || 'not known'}. `];
  for (const change of name.changes.slice(-3)) {
    const until = clock(since(change.before.replied));
    const between = change.after ? `between ${clock(since(change.after.sent))} and ${until}` : `before ${until}`;
    const what = change.kind === 'removed' ? `File ${change.old} was removed` : `File ${change.old} was replaced by ${change.new ?? 'another one'}`;
    const { between: within, afterwards } = change;
    const stale = [within.opens ? `${count(within.opens, 'cached open')} in between got file ${change.old}. ` : '',
      afterwards.opens ? `${count(afterwards.opens, 'cached open')} after that got file ${change.old}. ` : ''].join('');
    parts.push(el('b', {}, `${what} ${between}`), `, as ${change.before.by} of ${who(change.before.opener)} noticed. `,
      stale ? el('span', { class: 'stale' }, stale) : '');
  }
  const kept = byName[state.name].length;
  if (kept < name.opens) parts.push(`${count(kept, 'open')} of them ${kept === 1 ? 'is' : 'are'} in this page. `);
  $('facts').replaceChildren(...parts);
  const words = WORDS.filter((word) => name.by_open_path[word]);
  const strip = (fill, text) => el('span', {}, svg('svg', { width: 16, height: 8 }, svg('rect', { width: 16, height: 4, y: 2, fill })), text);
  $('legend').replaceChildren(...words.map((word) => el('span', {}, icon(word), shown(word))),
    strip('var(--dim)', 'revalidate'), strip(colour('atomic'), 'LOOKUP'), strip(colour('wire'), 'OPEN to its reply (zoom in)'));
}

function details() {
  const open = opens[state.open];
  if (!open) { $('open').replaceChildren(); return; }
  const proof = { between: 'the old file, if it came after the rename', afterwards: 'the old file: the server had named another one before' }[open.stale];
  const result = open.result === 0 ? 'ok' : open.result === null ? 'end not seen' : `error ${open.result}`;
  $('open').replaceChildren(
    el('b', {}, `${clock(open.at, 6)} ${who(open)} `), el('span', { style: `color:${colour(open.word)}` }, `${shown(open.word)} ${open.claim ?? ''}`),
    `, name ${open.check}, file ${open.file ?? '?'}, ${open.flags ?? ''}, ${result} in ${duration(open.took)}`,
    proof ? el('span', { class: 'stale' }, `; ${proof}`) : '', open.gaps ? `; incomplete: ${open.gaps.join(', ')}` : '',
    el('table', {}, el('tbody', {}, ...open.steps.map(([step, walk, at, took, meaning, , claim]) => el('tr', {},
      el('td', { class: 'n' }, `+${duration(at)}`), el('td', {}, step + (walk ? ` (${walk})` : '') + (claim ? ` CLAIM_${claim}` : '')),
      el('td', {}, meaning), el('td', { class: 'n' }, duration(took)))))));
}

function table() {
  const found = opens.filter(matches);
  const cell = (text, kind) => el('td', { class: kind }, text);
  $('rows').replaceChildren(...found.slice(0, rowsShown).map((open) => el('tr', {
    tabindex: open.number === state.open ? 0 : -1, 'aria-selected': open.number === state.open, class: open.stale ? 'old' : null,
    'data-open': open.number, onclick: () => choose(open.number) },
  cell(clock(open.at, 6)), cell(String(open.pid), 'n'), cell(open.comm), cell(report.names[open.name].path, 'path'), cell(open.check),
  el('td', { style: `color:${colour(open.word)}` }, icon(open.word), ` ${shown(open.word)} ${open.claim ?? ''}`), cell(open.file ?? '?', 'n'),
  cell(open.stale ? 'stale' : '', open.stale ? 'stale' : null), cell(open.result === 0 ? 'ok' : String(open.result ?? '?')), cell(duration(open.took), 'n'))));
  const first = $('rows').firstElementChild;
  if (first && !$('rows').querySelector('[tabindex="0"]')) first.tabIndex = 0;
  const left = found.length - rowsShown;
  $('more').hidden = left <= 0;
  $('more').textContent = `show ${Math.min(left, PAGE)} more of ${found.length.toLocaleString('en')}`;
  $('found').textContent = state.words.length ? `${count(found.length, 'open')} of ${opens.length.toLocaleString('en')}` : '';
}

function draw(all = true) {
  const found = names();
  const any = found.length > 0;
  for (const id of ['timeline', 'sequence', 'facts', 'legend', 'open']) if (!any) $(id).replaceChildren();
  if (any) { facts(); timeline(); sequence(); details(); } else $('title').textContent = 'no open matches';
  if (all) table();
}

function select(number) { state.name = number; state.open = -1; state.view = null; draw(); }
function choose(number) {
  if (opens[number].name !== state.name) state.view = null;
  state.open = number;
  state.name = opens[number].name;
  draw();
}
function step(by) {
  const list = shownOpens();
  if (!list.length) return;
  const at = list.findIndex((open) => open.number === state.open);
  choose(list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(Math.max(at + by, 0), list.length - 1)].number);
}

$('titles').append(...['time (UTC)', 'pid', 'command', 'path', 'name check', 'open path', 'file', '', 'result', 'latency']
  .map((it, n) => el('th', { class: [1, 6, 9].includes(n) ? 'n' : null }, it)));
$('filter').addEventListener('input', () => {
  state.words = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  rowsShown = PAGE;
  draw();
});
$('filter').addEventListener('keydown', (event) => {
  if (event.key === 'Escape') { $('filter').value = ''; $('filter').dispatchEvent(new Event('input')); $('filter').blur(); }
});
$('more').addEventListener('click', () => { rowsShown += PAGE; table(); });
$('list').addEventListener('keydown', (event) => {
  const all = [...$('list').children].map((it) => Number(it.id.slice(5)));
  const at = all.indexOf(state.name);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (all[to] !== undefined) { select(all[to]); $(`name-${all[to]}`).scrollIntoView({ block: 'nearest' }); }
});
$('timeline').addEventListener('keydown', (event) => {
  const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (move && event.shiftKey) zoom(1, move * 0.25);
  else if (move) step(move);
  else if (event.key === '+' || event.key === '=') zoom(0.5);
  else if (event.key === '-') zoom(2);
  else if (event.key === '0') { state.view = null; timeline(); } else return;
  event.preventDefault();
});
$('timeline').addEventListener('wheel', (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? 0.7 : 1.4);
}, { passive: false });
$('rows').addEventListener('keydown', (event) => {
  const row = event.target.closest('tr');
  const to = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling, Enter: row }[event.key];
  if (!to) return;
  event.preventDefault();
  choose(Number(to.dataset.open));
  $('rows').querySelector('[aria-selected="true"]')?.focus();
});
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== $('filter')) { event.preventDefault(); $('filter').focus(); }
});
const dark = window.matchMedia('(prefers-color-scheme: dark)');
let theme = null;
const paint = () => { document.documentElement.dataset.theme = theme ?? (dark.matches ? 'dark' : 'light'); };
dark.addEventListener('change', paint);
$('theme').addEventListener('click', () => { theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'; paint(); });
window.addEventListener('resize', () => draw(false));
paint();
about();
summary();
draw();
