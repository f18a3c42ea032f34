// The timeline of one name: what it meant, who held it, and its opens, a lane for each process.
const LABEL = 190, LANE = 26, TOP = 26, MOST_LANES = 24;

// A lane for each process, or for each command where there are too many.
function lanes(list) {
  const by = (key) => {
    const all = new Map();
    for (const open of list) {
      const lane = key(open);
      if (!all.has(lane)) all.set(lane, []);
      all.get(lane).push(open);
    }
    return all;
  };
  const processes = by(who);
  if (processes.size <= MOST_LANES) return processes;
  const commands = by((open) => open.comm);
  const titled = new Map();
  let number = 0;
  for (const [comm, of] of [...commands].sort((a, b) => b[1].length - a[1].length)) {
    const title = ++number < MOST_LANES ? `${comm}, all processes` : 'all others';
    titled.set(title, [...(titled.get(title) ?? []), ...of]);
  }
  for (const of of titled.values()) of.sort((a, b) => a.at - b.at);
  return titled;
}

// Opens of a lane that would lie on each other, as one.
function clusters(of, x) {
  const all = [];
  for (const open of of) {
    const last = all.at(-1);
    if (last && last.word === open.word && x(open.at) - x(last.opens[0].at) < 11) last.opens.push(open);
    else all.push({ word: open.word, opens: [open] });
  }
  return all;
}

function range() {
  const list = byName[state.name];
  const name = report.names[state.name];
  const times = [since(name.first), since(name.last)];
  for (const open of list) times.push(open.at, open.at + open.took);
  for (const change of name.changes) times.push(since(change.before.replied));
  let [from, to] = [Infinity, -Infinity];
  for (const time of times) { from = Math.min(from, time); to = Math.max(to, time); }
  const room = Math.max((to - from) * 0.03, 1e4);
  return [from - room, to + room];
}

function axis(from, to, x, height) {
  const step0 = (to - from) / 7, power = 10 ** Math.floor(Math.log10(step0));
  const step = [1, 2, 5, 10].map((it) => it * power).find((it) => it >= step0);
  const nodes = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    nodes.push(svg('line', { x1: x(at), x2: x(at), y1: TOP - 6, y2: height, class: 'lane' }),
      svg('text', { x: x(at), y: 13, 'text-anchor': 'middle', class: 'dim' }, clock(at, step < 1e6 ? 6 : 3)));
  }
  return nodes;
}

// Spans of what is known about the name itself.
function spans(name, x, from, to) {
  const rows = [];
  const bar = (a, b, attributes, title) => svg('rect', { x: x(a), width: Math.max(x(b) - x(a), 2), height: LANE - 12, rx: 3, ...attributes },
    svg('title', {}, title));
  if (name.changes.length) {
    const nodes = [];
    let at = from;
    for (const change of name.changes) {
      const begin = change.after ? since(change.after.sent) : from;
      const end = since(change.before.replied);
      const label = change.kind === 'removed' ? `file ${change.old} removed` : `file ${change.old} → ${change.new ?? '?'}`;
      if (begin > at) nodes.push([bar(at, begin, { fill: colour('atomic'), 'fill-opacity': .3 }, `file ${change.old}`), at, begin, `file ${change.old}`]);
      nodes.push([bar(begin, end, { fill: 'url(#hatch)', stroke: colour('change'), class: 'change' },
        `${label}: somewhere in here, not recorded itself`), begin, end, `${label} in here`]);
      at = end;
    }
    const last = name.changes.at(-1);
    const now = last.kind === 'removed' ? 'no file' : `file ${last.new ?? '?'}`;
    if (to > at) nodes.push([bar(at, to, { fill: colour('atomic'), 'fill-opacity': .3 }, now), at, to, now]);
    rows.push(['the name means', nodes]);
  }
  const mine = (it) => it.path === name.path;
  const modes = new Map();
  for (const it of report.holds.filter(mine).slice(0, 100)) {
    if (!modes.has(it.mode)) rows.push([`held open (${it.mode})`, modes.set(it.mode, []).get(it.mode)]);
    const opened = it.opened_by.at(-1);
    const begin = opened ? since(opened.since) : from;
    const title = `file ${it.fileid} held open, ${it.mode}, as ${count(it.cached, 'cached open')} ${it.cached === 1 ? 'proves' : 'prove'}`;
    modes.get(it.mode).push(
      [bar(begin, since(it.from), { fill: colour('hold'), 'fill-opacity': .35 }, 'opened in here, if it is in the recording'), begin, begin, ''],
      [bar(since(it.from), since(it.until), { fill: colour('hold') }, title), since(it.from), since(it.until), `file ${it.fileid}, at least`]);
  }
  const delegations = report.delegations.filter(mine).slice(0, 100).flatMap((it) => {
    const begin = it.granted_after ? since(it.granted_after) : from;
    const end = it.returned_before ? since(it.returned_before) : since(it.until);
    return [
      [bar(begin, end, { fill: colour('delegated'), 'fill-opacity': .25 }, 'granted and returned in here, not recorded itself'), begin, begin, ''],
      [bar(since(it.from), since(it.until), { fill: colour('delegated'), 'fill-opacity': .8 }, count(it.opens, 'delegated open')), since(it.from), since(it.until), '']];
  });
  if (delegations.length) rows.push(['delegation', delegations]);
  return rows;
}

// The steps of an open that is wide enough: revalidate, LOOKUP, OPEN.
function steps(open, x, y) {
  const nodes = [];
  for (const [step, , at, took, , sent] of open.steps) {
    const left = x(open.at + at), width = Math.max(x(open.at + at + took) - left, 1);
    if (step === 'revalidate') nodes.push(svg('rect', { x: left, y: y + 6, width, height: 3, fill: 'var(--dim)' }));
    if (step === 'LOOKUP') nodes.push(svg('rect', { x: left, y: y + 6, width, height: 3, fill: colour('atomic') }));
    if (step === 'OPEN' && sent !== 0) nodes.push(svg('rect', { x: left, y: y + 6, width, height: 3, fill: colour('wire') }));
  }
  return nodes;
}

function timeline() {
  const name = report.names[state.name], list = shownOpens();
  const box = $('timeline'), width = Math.max(box.clientWidth, 500);
  const [from, to] = state.view ?? range();
  const x = (at) => LABEL + ((Math.min(Math.max(at, from), to) - from) / (to - from)) * (width - LABEL - 12);
  const laned = lanes(list), facts = spans(name, x, from, to);
  const height = TOP + (laned.size + facts.length) * LANE + 6;
  const root = svg('svg', { width, height, role: 'img', 'aria-label': `Timeline of ${name.path}` });
  root.append(svg('defs', {}, svg('pattern', { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    svg('rect', { width: 6, height: 6, fill: colour('change'), 'fill-opacity': .15 }),
    svg('line', { x1: 0, y1: 0, x2: 0, y2: 6, stroke: colour('change'), 'stroke-width': 3, 'stroke-opacity': .55 }))));
  root.append(...axis(from, to, x, height));
  let y = TOP;
  const label = (text) => root.append(
    svg('text', { x: 4, y: y + 17 }, text.length > 28 ? `${text.slice(0, 27)}…` : text),
    svg('line', { x1: LABEL, x2: width, y1: y + LANE / 2, y2: y + LANE / 2, class: 'lane' }));
  for (const [title, nodes] of facts) {
    label(title);
    for (const [node, begin, end, text] of nodes) {
      node.setAttribute('y', y + 6);
      root.append(node);
      if (text && x(end) - x(begin) > text.length * 6.6) {
        root.append(svg('text', { x: (x(begin) + x(end)) / 2, y: y + 17, 'text-anchor': 'middle' }, text));
      }
    }
    y += LANE;
  }
  for (const [title, of] of laned) {
    label(title);
    for (const { word, opens: some } of clusters(of.filter((it) => it.at + it.took >= from && it.at <= to), x)) {
      const first = some[0], px = x(first.at), middle = y + LANE / 2;
      const chosen = some.some((open) => open.number === state.open);
      const mark = glyph(word, px, middle);
      if (chosen) mark.classList.add('chosen');
      const last = some.at(-1);
      const group = svg('g', { class: 'hit', 'data-word': word, 'data-opens': some.length, onclick: () => choose(first.number) },
        svg('title', {}, `${some.length > 1 ? `${some.length} x ` : ''}${shown(word)} ${first.claim ?? ''} ${clock(first.at)} ${who(first)}, file ${first.file ?? '?'}`));
      const end = x(last.at + last.took);
      if (end - px > 3) group.append(svg('rect', { x: px, y: middle - 2, width: end - px, height: 4, fill: colour(word), 'fill-opacity': .45 }));
      if (x(first.at + first.took) - px > 14) group.append(...steps(first, x, middle));
      group.append(mark);
      if (some.length > 1) group.append(svg('text', { x: px, y: middle - 7, 'text-anchor': 'middle', class: 'count' }, `×${some.length}`));
      root.append(group);
    }
    y += LANE;
  }
  box.replaceChildren(root);
}

// Makes the view larger or smaller around its middle, or moves it.
function zoom(factor, move = 0) {
  const [from, to] = state.view ?? range();
  const chosen = opens[state.open];
  const middle = chosen && factor < 1 && chosen.name === state.name ? chosen.at : (from + to) / 2;
  const half = Math.max(((to - from) / 2) * factor, 1e3), shift = move * (to - from);
  state.view = [middle - half + shift, middle + half + shift];
  timeline();
}
