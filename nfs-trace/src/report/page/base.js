// What all parts of the page use. Every name in the data is set as text, never as markup.
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const { report, opens } = data;
const $ = (id) => document.getElementById(id);
const WORDS = ['cached', 'wire', 'atomic', 'delegated', 'failed', 'unknown'];

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((it) => it !== null && it !== undefined));
  return node;
}
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

const count = (n, one, many = one + 's') => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
const colour = (word) => `var(--${word})`;
const shown = (word) => (word === 'cached' ? 'CACHED' : word);
const who = (open) => `${open.comm} (${open.pid})`;

// Three digits and a unit.
function duration(ns) {
  const units = [[1e9, 's'], [1e6, 'ms'], [1e3, 'us']];
  for (const [size, unit] of units) {
    if (ns >= size) {
      const value = ns / size;
      return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${unit}`;
    }
  }
  return `${ns} ns`;
}

// Times are ns since the first open.
const base = report.first ? Date.parse(report.first.time) : 0;
const since = (moment) => Number(moment.ts_ns) - Number(report.first.ts_ns);
function clock(at, digits = 3) {
  const fraction = report.first ? Number((report.first.time.match(/\.(\d+)Z$/) || [0, '0'])[1].padEnd(9, '0')) : 0;
  const ns = (fraction % 1e6) + at;
  const time = new Date(base + Math.floor(ns / 1e6));
  const below = ((ns % 1e6) + 1e6) % 1e6;
  const text = time.toISOString().slice(11, 23);
  return digits > 3 ? text + String(Math.floor(below / 1e3)).padStart(3, '0') : text;
}

// A mark for an open path: told apart by its shape too.
function glyph(word, x, y, size = 5) {
  const at = { fill: colour(word), class: 'mark' };
  const points = (list) => list.map(([dx, dy]) => `${x + dx * size},${y + dy * size}`).join(' ');
  switch (word) {
    case 'cached': return svg('circle', { cx: x, cy: y, r: size, ...at });
    case 'wire': return svg('polygon', { points: points([[0, -1.1], [1.1, 0.9], [-1.1, 0.9]]), ...at });
    case 'atomic': return svg('polygon', { points: points([[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]]), ...at });
    case 'delegated': return svg('rect', { x: x - size, y: y - size, width: 2 * size, height: 2 * size, ...at });
    case 'failed': return svg('path', { d: `M${x - size} ${y - size}L${x + size} ${y + size}M${x - size} ${y + size}L${x + size} ${y - size}`,
      stroke: colour(word), 'stroke-width': 2.5, fill: 'none', class: 'mark' });
    default: return svg('circle', { cx: x, cy: y, r: size - 1, fill: 'none', stroke: colour(word), 'stroke-width': 2, class: 'mark' });
  }
}
const icon = (word) => svg('svg', { width: 14, height: 14, 'aria-hidden': 'true' }, glyph(word, 7, 7));

// What is shown now.
const state = { name: 0, open: -1, view: null, words: [] };
const byName = report.names.map(() => []);
opens.forEach((open, number) => {
  open.number = number;
  byName[open.name].push(open);
  const name = report.names[open.name].path;
  const parts = [name, open.comm, open.pid, open.word, open.check, open.claim, open.flags,
    open.stale ? 'stale' : '', open.retries ? 'retry' : '', open.gaps ? 'incomplete' : ''];
  open.text = `${parts.join(' ')} file ${open.file ?? '?'}`.toLowerCase();
});
const matches = (open) => state.words.every((word) => open.text.includes(word));
const shownOpens = () => byName[state.name].filter(matches);
