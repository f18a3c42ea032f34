// The sequence diagram of one name: a run of opens that went the same way is drawn once.
const ROW = 23, PROCESS = 190, MARGIN = 16;

function sequence() {
  const name = report.names[state.name];
  const box = $('sequence'), width = Math.max(box.clientWidth - 4, 640);
  const column = { process: PROCESS, client: PROCESS + (width - PROCESS - 110) * 0.5, server: width - 110 };
  const root = svg('svg', { width, role: 'img', 'aria-label': `Sequence of ${name.path}` });
  const nodes = [], runs = [];
  let y = 44;
  const text = (x, at, what, anchor = 'start', attributes = {}) =>
    svg('text', { x, y: at, 'text-anchor': anchor, ...attributes }, what);
  const arrow = (from, to, what, options = {}) => {
    const [a, b] = [column[from], column[to]], right = b > a;
    const stroke = options.colour ?? 'var(--text)';
    nodes.push(svg('line', { x1: a, x2: b + (right ? -7 : 7), y1: y, y2: y, stroke, 'stroke-dasharray': options.dashed ? '5 4' : null, 'stroke-width': 1.4 }),
      svg('polygon', { points: right ? `${b},${y} ${b - 9},${y - 4} ${b - 9},${y + 4}` : `${b},${y} ${b + 9},${y - 4} ${b + 9},${y + 4}`, fill: stroke }),
      text((a + b) / 2, y - 4, what, 'middle', { style: options.colour ? `fill:${stroke}` : null }));
    y += ROW;
  };
  const note = (what, fill) => {
    const long = Math.min(what.length * (fill ? 7.4 : 6.3) + 18, 2 * Math.min(column.client - MARGIN, width - column.client));
    nodes.push(svg('rect', { x: column.client - long / 2, y: y - 13, width: long, height: 18, rx: 4, fill: 'var(--card)', stroke: fill ?? 'var(--line)' }),
      text(column.client, y, what, 'middle', { style: fill ? `fill:${fill};font-weight:600` : 'fill:var(--dim)' }));
    y += ROW;
  };
  name.history.forEach((run, number) => {
    if (name.history_left_out && number === Math.min(20, name.history.length - 1)) {
      nodes.push(text(MARGIN, y, `… ${count(name.history_left_out, 'open')} left out`, 'start', { class: 'dim' }));
      y += ROW;
    }
    const top = y - 16;
    const at = since(run.first);
    const open = byName[state.name].find((it) => it.at === at);
    nodes.push(text(MARGIN, y, clock(at)));
    if (run.opens > 1) nodes.push(text(MARGIN, y + ROW - 3, `and ${count(run.opens - 1, 'more', 'more')} until`, 'start', { class: 'dim' }),
      text(MARGIN, y + 2 * ROW - 7, clock(since(run.last)), 'start', { class: 'dim' }));
    const opener = run.openers.first[0];
    arrow('process', 'client', `${opener.comm} (${opener.pid}): open${open?.flags ? ` ${open.flags}` : ''}`);
    let sent = y, stale = false;
    // A call is listed before what happens inside it.
    const tried = () => { if (stale) note('EOPENSTALE: not the file that the client had; it tries again', colour('change')); stale = false; };
    if (!open) note('its steps are not in this page');
    for (const [step, walk, , , meaning, count_, claim] of open?.steps ?? []) {
      if (step !== 'OPEN' && step !== 'LOOKUP') tried();
      if (step === 'revalidate') note(`revalidate${walk ? ` (${walk})` : ''}: ${meaning}`);
      if (step === 'LOOKUP') { sent = y; arrow('client', 'server', 'LOOKUP'); arrow('server', 'client', meaning, { dashed: true }); }
      if (step === 'OPEN' && count_ !== 0) {
        sent = y;
        arrow('client', 'server', `OPEN CLAIM_${claim ?? '?'}`, { colour: colour('wire') });
        arrow('server', 'client', meaning, { dashed: true });
      }
      if (step === 'OPEN' && count_ === 0) {
        if (run.open_path === 'cached') note('OPEN not sent: the client’s own open state serves it', colour('cached'));
        else if (run.open_path === 'delegated') note('OPEN not sent: a delegation allows it', colour('delegated'));
        else note(`OPEN ${meaning}`);
      }
      if (meaning === 'EOPENSTALE') stale = true;
    }
    tried();
    const result = run.result === 0 ? `file ${run.fileid ?? '?'}` : run.result === null ? 'end not seen' : `error ${run.result}`;
    const old = open?.stale ? ' (the old one, if after the rename)' : '';
    arrow('client', 'process', `${shown(run.open_path)}: ${result}${old}`, { dashed: true, colour: run.open_path === 'cached' ? colour('cached') : null });
    runs.push({ at, top, sent, end: y - 10 });
    if (opens[state.open]?.name === state.name && opens[state.open].at >= at && opens[state.open].at <= since(run.last)) {
      nodes.unshift(svg('rect', { x: 2, y: top - 4, width: width - 4, height: y - top - 6, rx: 6, fill: 'var(--select)', 'fill-opacity': .7, class: 'now' }));
    }
    y += 12;
  });
  const height = y + 4;
  for (const [key, title] of [['process', 'process'], ['client', 'kernel client'], ['server', 'server']]) {
    nodes.unshift(svg('line', { x1: column[key], x2: column[key], y1: 24, y2: height, class: 'lane' }));
    nodes.push(text(column[key], 16, title, 'middle', { style: 'font-weight:600' }));
  }
  for (const change of name.changes) {
    const run = (at) => runs.findLast((it) => it.at <= at) ?? runs[0];
    const begin = change.after ? run(since(change.after.sent)).end : 30;
    const end = Math.max(run(since(change.before.replied)).sent + ROW, begin + 12);
    const words = change.kind === 'removed' ? [`${change.old} removed`, 'in here'] : [`${change.old} → ${change.new ?? '?'}`, 'in here'];
    nodes.push(svg('rect', { x: column.server - 4, y: begin, width: 8, height: end - begin, rx: 3, fill: colour('change'), 'fill-opacity': .8, class: 'change' },
      svg('title', {}, 'The name came to mean another file somewhere in here. The change itself is not recorded.')),
    ...words.map((word, line) => text(column.server + 12, (begin + end) / 2 + line * 16, word, 'start', { style: `fill:${colour('change')};font-weight:600` })));
  }
  root.setAttribute('height', height);
  root.append(...nodes);
  box.replaceChildren(root);
}
