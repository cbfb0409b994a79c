/** The objectives: what is promised, what is left of the budget, how fast it burns. */
import { budgetLine, budgetText, percentText, windowText } from './alerts_text.js';
import { consoleJson } from './api.js';
import { fill, h, update } from './dom.js';
import { repeat } from './repeat.js';
import { clean, clockText, dateText } from './text.js';

const POLL_MS = 10_000;
const CHART = { width: 320, height: 60 };
const SVG = 'http://www.w3.org/2000/svg';
const DAY_MS = 86_400_000;

/** A shape of the chart. @param {'polygon' | 'polyline'} shape @param {string} points */
function drawn(shape, points) {
  const element = document.createElementNS(SVG, shape);
  element.setAttribute('points', points);
  return element;
}

/** @param {any} objective */
function chart({ history, budgetLeft, name }) {
  const { width, height } = CHART;
  const svg = document.createElementNS(SVG, 'svg');
  // Room for half of the line's width above and below.
  svg.setAttribute('viewBox', `0 -2 ${width} ${height + 4}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'budget-chart');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `Budget of ${clean(name, 200)} over time: now ${budgetText(budgetLeft)}`);
  const line = budgetLine(history, CHART);
  svg.append(drawn('polygon', `0,${height} ${line} ${width},${height}`), drawn('polyline', line));
  return svg;
}

/** What the chart's sides stand for. @param {readonly {readonly atMs: number}[]} history */
function chartTimes(history) {
  const [startMs, endMs] = [history[0]?.atMs ?? 0, history.at(-1)?.atMs ?? 0];
  /** @param {number} atMs */
  const text = (atMs) => (endMs - startMs > DAY_MS ? dateText(atMs) : clockText(atMs).slice(0, 8));
  return h('p', { class: 'chart-times muted' }, h('span', {}, text(startMs)), h('span', {}, text(endMs)));
}

/** @param {any} objective */
function promise({ target, model, kind, thresholdMs }) {
  const share = percentText(target);
  const limit = thresholdMs < 1000 ? `${thresholdMs} ms` : `${thresholdMs / 1000} s`;
  return kind === 'latency'
    ? `${share} of queries of ${clean(model, 200)} within ${limit}`
    : `${share} of queries of ${clean(model, 200)} answered`;
}

/** @param {any} objective */
function burnTable({ burn }) {
  const rows = burn.map((/** @type {any} */ { windowS, rate }) =>
    h(
      'tr',
      {},
      h('th', { attrs: { scope: 'row' } }, windowText(windowS)),
      h(
        'td',
        { class: rate > 1 ? 'number bad' : 'number' },
        typeof rate === 'number' ? `${rate.toFixed(2)}×` : 'no traffic',
      ),
    ),
  );
  return h(
    'table',
    { class: 'burn' },
    h('caption', { class: 'muted' }, 'Burn: at 1× the budget lasts exactly for the period'),
    h('tbody', {}, ...rows),
  );
}

/** @param {any} objective */
function card(objective) {
  const { budgetLeft, good, history, windowS } = objective;
  const isSpent = typeof budgetLeft === 'number' && budgetLeft <= 0;
  const kept = typeof good === 'number' ? ` · ${percentText(good)} kept it` : '';
  return h(
    'section',
    { class: 'objective' },
    h('h2', {}, clean(objective.name, 200)),
    h('p', {}, promise(objective)),
    h(
      'p',
      {},
      h('strong', { class: isSpent ? 'bad' : '' }, budgetText(budgetLeft)),
      h('span', { class: 'muted' }, ` · over ${windowText(windowS)}${kept}`),
    ),
    history.length > 1 && chart(objective),
    history.length > 1 && chartTimes(history),
    history.length > 1 &&
      h('p', { class: 'muted' }, 'The budget over time: full at the top, used up at the bottom.'),
    typeof budgetLeft === 'number' && burnTable(objective),
  );
}

/**
 * @param {HTMLElement} main
 * @param {AbortSignal} signal
 */
export function showObjectives(main, signal) {
  document.title = 'Objectives · Vitrine';
  const problem = h('div', { class: 'problem', attrs: { role: 'alert', hidden: true } });
  const cards = h('div', { class: 'objectives' });
  main.append(h('h1', {}, 'Objectives'), problem, cards);
  repeat(
    async () => {
      try {
        const { objectives } = await consoleJson('/console/objectives', signal);
        problem.hidden = true;
        update(
          cards,
          objectives.length === 0 &&
            h(
              'p',
              {},
              'There are no objectives. They are written in slo.yaml; the console reads it at its start.',
            ),
          ...objectives.map((/** @type {any} */ objective) => card(objective)),
        );
      } catch (error) {
        if (signal.aborted) return;
        fill(problem, clean(error instanceof Error ? error.message : String(error)));
        problem.hidden = false;
        throw error;
      }
    },
    POLL_MS,
    signal,
  );
}
