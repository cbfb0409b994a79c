/** The objectives: what is promised, what is left of the budget, how fast it burns. */
import { budgetLine, percentText, windowText } from './alerts_text.js';
import { consoleJson } from './api.js';
import { fill, h } from './dom.js';
import { repeat } from './repeat.js';
import { clean, dateText, durationText } from './text.js';

const POLL_MS = 10_000;
const CHART = { width: 320, height: 60 };
const SVG = 'http://www.w3.org/2000/svg';

/** @param {any} objective @param {number} nowMs */
function chart(objective, nowMs) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${CHART.width} ${CHART.height}`);
  svg.setAttribute('class', 'budget-chart');
  svg.setAttribute('role', 'img');
  svg.setAttribute(
    'aria-label',
    `Budget left over ${windowText(objective.windowS)}: now ${percentText(objective.budgetLeft)}`,
  );
  const line = document.createElementNS(SVG, 'polyline');
  line.setAttribute(
    'points',
    budgetLine(objective.history, { ...CHART, endMs: nowMs, windowS: objective.windowS }),
  );
  svg.append(line);
  return svg;
}

/** @param {any} objective */
function promise(objective) {
  const target = percentText(objective.target);
  const model = clean(objective.model, 200);
  return objective.kind === 'latency'
    ? `${target} of queries of ${model} within ${durationText(objective.thresholdMs)}`
    : `${target} of queries of ${model} answered`;
}

/** @param {any} objective @param {number} nowMs */
function card(objective, nowMs) {
  const { budgetLeft, history, windowS } = objective;
  const isSpent = typeof budgetLeft === 'number' && budgetLeft <= 0;
  return h(
    'section',
    { class: 'objective' },
    h('h2', {}, clean(objective.name, 200)),
    h('p', {}, promise(objective)),
    h(
      'p',
      {},
      h('strong', { class: isSpent ? 'bad' : '' }, percentText(budgetLeft)),
      typeof budgetLeft === 'number' ? ' of the budget left' : '',
      h('span', { class: 'muted' }, ` · ${windowText(windowS)} · kept by ${percentText(objective.good)}`),
    ),
    history.length > 1 && chart(objective, nowMs),
    history.length > 1 &&
      h(
        'p',
        { class: 'muted' },
        `From ${dateText(history[0].atMs)}: full at the top, used up at the bottom.`,
      ),
    h(
      'table',
      { class: 'burn' },
      h('caption', { class: 'muted' }, 'Burn: 1 uses the budget up in exactly the period'),
      h(
        'tbody',
        {},
        ...objective.burn.map((/** @type {any} */ { windowS: s, rate }) =>
          h(
            'tr',
            {},
            h('th', { attrs: { scope: 'row' } }, windowText(s)),
            h(
              'td',
              { class: rate > 1 ? 'number bad' : 'number' },
              typeof rate === 'number' ? `${rate.toFixed(2)}×` : 'no traffic',
            ),
          ),
        ),
      ),
    ),
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
        fill(
          cards,
          objectives.length === 0 &&
            h(
              'p',
              {},
              'There are no objectives. They are written in slo.yaml; the console reads it at its start.',
            ),
          ...objectives.map((/** @type {any} */ objective) => card(objective, Date.now())),
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
