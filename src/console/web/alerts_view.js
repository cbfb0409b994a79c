/** The alerts: what fires first, each with its evidence, its timeline, and what can be said of it. */
import { alertTimes, evidenceText, matcherText, placeLabels, sortAlerts } from './alerts_text.js';
import { consoleJson, consolePost } from './api.js';
import { announce, fill, h, update } from './dom.js';
import { repeat } from './repeat.js';
import { silenceForm, silenceList, whoAmI } from './silences.js';
import { clean, cleanLines, clockText, dateText, durationText, linkOf } from './text.js';

const POLL_MS = 5000;
/** Always fires, as a dead man's switch: nothing for people. */
const WATCHDOG = 'VitrineWatchdog';
const RESOLVED_SHOWN = 20;

/** @param {unknown} error */
const messageOf = (error) => clean(error instanceof Error ? error.message : String(error));

/** A link, or where it is when it is no address. @param {string} words @param {unknown} url */
function outside(words, url) {
  const href = typeof url === 'string' ? linkOf(url) : undefined;
  if (href !== undefined) return h('a', { attrs: { href } }, words);
  return typeof url === 'string' && url !== '' && h('span', {}, `${words}: ${clean(url, 400)}`);
}

/** @param {any} evidence */
function evidencePart(evidence) {
  if (evidence === undefined || evidence === null) return undefined;
  return h(
    'div',
    { class: 'evidence' },
    h('h3', {}, 'Evidence'),
    h('p', { class: 'lines' }, cleanLines(evidenceText(evidence.text))),
    evidence.traces.length > 0 && h('h3', {}, 'Slowest traces'),
    evidence.traces.length > 0 &&
      h(
        'ol',
        { class: 'slow-traces' },
        ...evidence.traces.map((/** @type {any} */ trace) => h('li', {}, traceLink(trace))),
      ),
  );
}

/** @param {any} trace of an alert's evidence */
function traceLink({ traceId, totalMs, stage, stageMs, worker }) {
  const where = worker === '' ? '' : `, on ${clean(worker, 100)}`;
  return h(
    'a',
    { attrs: { href: `/trace/${encodeURIComponent(traceId)}` } },
    `${durationText(totalMs)}: ${durationText(stageMs)} in ${clean(stage, 40)}${where}`,
  );
}

/** @param {readonly any[]} events */
function timeline(events) {
  return h(
    'ol',
    { class: 'timeline' },
    ...events.map(({ atMs, kind, detail }) =>
      h(
        'li',
        {},
        h('span', { class: 'muted' }, `${dateText(atMs)} ${clockText(atMs).slice(0, 8)}`),
        h('strong', {}, clean(String(kind).replaceAll('_', ' '))),
        h('span', { class: 'lines' }, cleanLines(kind === 'evidence' ? evidenceText(detail) : detail, 2000)),
      ),
    ),
  );
}

/** @param {any} alert */
function remarks({ acknowledged, silencedBy, inhibitedBy }) {
  return [
    acknowledged && `acknowledged by ${clean(acknowledged.by, 200)}`,
    silencedBy && `silenced by ${clean(silencedBy, 40)}`,
    inhibitedBy && 'held back by its cause',
  ]
    .filter(Boolean)
    .join(', ');
}

/** @param {any} alert @param {number} nowMs @param {Node} [more] what shows when it is opened */
function card(alert, nowMs, more) {
  const { annotations, fingerprint, state } = alert;
  const isOver = state === 'resolved';
  const said = remarks(alert);
  return h(
    'article',
    { class: `alert ${state}` },
    h(
      'h2',
      {},
      h('span', { class: `state ${state}` }, state),
      ' ',
      h('a', { attrs: { href: `/alerts/${fingerprint}` } }, clean(alert.name, 200)),
    ),
    h(
      'p',
      { class: 'muted' },
      `${clean(alert.severity, 20)} · ${alertTimes(alert, nowMs)}${said === '' ? '' : ` · ${said}`}`,
    ),
    h('p', {}, clean(annotations.summary ?? '')),
    !isOver && h('p', {}, clean(annotations.description ?? '')),
    h(
      'p',
      { class: 'id' },
      placeLabels(alert)
        .map(([label, value]) => `${clean(label, 100)}=${clean(value, 200)}`)
        .join(', '),
    ),
    !isOver && evidencePart(alert.evidence),
    h(
      'p',
      { class: 'alert-links' },
      outside('Runbook', annotations.runbook_url),
      outside('Dashboard', annotations.dashboard_url),
    ),
    more,
  );
}

/**
 * @param {HTMLElement} main
 * @param {AbortSignal} signal
 */
export function showAlerts(main, signal) {
  document.title = 'Alerts · Vitrine';
  const problem = h('div', { class: 'problem', attrs: { role: 'alert', hidden: true } });
  const list = h('div', { class: 'alerts' });
  const silences = h('div', {});
  const form = silenceForm(signal, () => refresh());
  main.append(
    h('h1', {}, 'Alerts'),
    problem,
    list,
    h('section', {}, h('h2', {}, 'Silences'), silences, form.element),
  );
  const refresh = repeat(
    async () => {
      try {
        const [{ alerts }, held] = await Promise.all([
          consoleJson('/console/alerts', signal),
          consoleJson('/console/silences', signal),
        ]);
        problem.hidden = true;
        const shown = sortAlerts(alerts.filter((/** @type {any} */ { name }) => name !== WATCHDOG));
        const active = shown.filter(({ state }) => state !== 'resolved');
        const ended = shown.filter(({ state }) => state === 'resolved').slice(0, RESOLVED_SHOWN);
        const nowMs = Date.now();
        update(
          list,
          active.length === 0 && h('p', {}, 'Nothing fires.'),
          ...[...active, ...ended].map((alert) => card(alert, nowMs)),
        );
        update(silences, ...silenceList(held.silences, signal, refresh));
      } catch (error) {
        if (signal.aborted) return;
        fill(problem, messageOf(error));
        problem.hidden = false;
        throw error;
      }
    },
    POLL_MS,
    signal,
  );
}

/**
 * @param {HTMLElement} main
 * @param {string} fingerprint
 * @param {AbortSignal} signal
 */
export function showAlert(main, fingerprint, signal) {
  document.title = 'Alert · Vitrine';
  const problem = h('div', { class: 'problem', attrs: { role: 'alert', hidden: true } });
  const body = h('div', {});
  const acknowledge = h('button', { attrs: { type: 'button', hidden: true } }, 'Acknowledge');
  const form = silenceForm(signal, () => refresh());
  form.element.hidden = true;
  main.append(
    h('p', { class: 'all-alerts' }, h('a', { attrs: { href: '/alerts' } }, 'All alerts')),
    problem,
    body,
    h('p', { class: 'alert-actions' }, acknowledge),
    form.element,
  );
  /** @param {unknown} error */
  const complain = (error) => {
    if (signal.aborted) return;
    fill(problem, messageOf(error));
    problem.hidden = false;
  };
  const refresh = repeat(
    async () => {
      try {
        const { alert, events, promql } = await consoleJson(`/console/alerts/${fingerprint}`, signal);
        problem.hidden = true;
        document.title = `${clean(alert.name, 100)} · Vitrine`;
        acknowledge.hidden = alert.state === 'resolved' || Boolean(alert.acknowledged);
        form.element.hidden = alert.state === 'resolved';
        form.suggest(matcherText(alert));
        update(
          body,
          card(
            alert,
            Date.now(),
            h(
              'div',
              {},
              h('h3', {}, 'Timeline'),
              timeline(events),
              typeof promql === 'string' &&
                h(
                  'details',
                  {},
                  h('summary', {}, 'As a Prometheus query'),
                  h('pre', { attrs: { tabindex: '0' } }, h('code', {}, cleanLines(promql))),
                ),
            ),
          ),
        );
      } catch (error) {
        complain(error);
        throw error;
      }
    },
    POLL_MS,
    signal,
  );
  acknowledge.addEventListener('click', async () => {
    acknowledge.disabled = true;
    try {
      await consolePost(`/console/alerts/${fingerprint}/acknowledge`, { by: whoAmI() }, signal);
      announce('The alert is acknowledged.');
      refresh();
    } catch (error) {
      complain(error);
    }
    acknowledge.disabled = false;
  });
}
