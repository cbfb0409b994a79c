/** What a scrape may hold that nobody wishes for: numbers that are none, and label values that break texts. */
import { expect, test } from 'vitest';
import type { AlertInstance } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import { compileEvaluatorPlan } from '../../slo/compile_evaluator.ts';
import { asSeries, renderFamilies } from '../../telemetry/exposition.ts';
import { alertmanagerBody } from '../notifier/alertmanager_body.ts';
import { matches, parseMatcher } from '../notifier/matcher.ts';
import { groupLabelsOf } from '../notifier/message.ts';
import { slackBody } from '../notifier/slack_body.ts';
import { createAlertArchive } from './alert_archive.ts';
import { AlertEngine } from './alert_engine.ts';
import { openEvaluatorDatabase } from './evaluator_database.ts';
import { parseExposition } from './exposition_parser.ts';
import { SampleStore } from './sample_store.ts';
import { T0_MS } from './series_for_tests.ts';

const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const TARGET = { job: 'vitrine-worker', instance: 'worker-1' };
const ODD = 'a "quoted", \\ back\nnext {line} ü <b>=1';
const plan = compileEvaluatorPlan([], {
  timeScale: 1,
  links: { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' },
});

interface Gauge {
  readonly name: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly value: number;
}

/** A store and an engine over scrapes of that text, one every 15 s. */
function scraped() {
  const store = new SampleStore({ needs: plan.needs, timeScale: 1, seriesLimit: 1000 });
  const engine = new AlertEngine(plan, LOG, () => store.nowMs);
  let timeMs = T0_MS;
  return {
    engine,
    store,
    scrape(...gauges: readonly Gauge[]): void {
      const families = gauges.map(({ name, labels, value }) => ({
        name,
        type: 'gauge' as const,
        help: '',
        samples: [{ suffix: '', labels, value }],
      }));
      store.record(TARGET, parseExposition(renderFamilies(families.map(asSeries), 'openmetrics')), timeMs);
      engine.evaluate(store, timeMs);
      timeMs += 15_000;
    },
    active: (name: string): AlertInstance | undefined => engine.active().find((alert) => alert.name === name),
  };
}

const delay = (value: number): Gauge => ({ name: 'nodejs_eventloop_delay_max_seconds', labels: [], value });

test.each([
  ['NaN', Number.NaN, undefined],
  ['-Inf', Number.NEGATIVE_INFINITY, undefined],
  ['+Inf', Number.POSITIVE_INFINITY, 'worker-1 stalls for +Inf'],
])('%s neither throws nor hides the other alerts', (_name, value, summary) => {
  const { engine, scrape, active } = scraped();
  const broken: Gauge = {
    name: 'inference_repository_models',
    labels: [
      ['model', 'm'],
      ['version', '1'],
      ['state', 'UNAVAILABLE'],
    ],
    value: 1,
  };
  for (let round = 0; round < 40; round += 1) scrape(delay(value), broken);
  expect(engine.stats().failures).toBe(0);
  expect(active('VitrineEventLoopDelayed')?.annotations.summary).toBe(summary);
  expect(active('VitrineModelNotLoaded')?.state).toBe('firing');
});

test('a number that JSON does not know survives a restart', () => {
  const database = openEvaluatorDatabase({ path: ':memory:', onNotice: () => {} }, T0_MS);
  if (database === undefined) throw new Error('no database');
  const archive = createAlertArchive(database);
  const { engine, scrape, active, store } = scraped();
  for (let round = 0; round < 40; round += 1) scrape(delay(Number.POSITIVE_INFINITY));
  archive.saveActive(engine.kept());

  const later = new AlertEngine(plan, LOG, () => store.nowMs);
  const { active: kept, resolved, events } = createAlertArchive(database).load();
  later.restore(kept, resolved, events, store.nowMs);
  const restored = later.active().find(({ name }) => name === 'VitrineEventLoopDelayed');
  expect(restored).toMatchObject({
    state: 'firing',
    fingerprint: active('VitrineEventLoopDelayed')?.fingerprint,
  });
  expect(restored?.annotations.summary).toBe('worker-1 stalls for +Inf');
  database[Symbol.dispose]();
});

test('a label value with quotes, newlines and more is the same from the scrape to the message, and can be silenced', () => {
  const { scrape, active } = scraped();
  const broken: Gauge = {
    name: 'inference_repository_models',
    labels: [
      ['model', ODD],
      ['version', '1'],
      ['state', 'UNAVAILABLE'],
    ],
    value: 1,
  };
  for (let round = 0; round < 40; round += 1) scrape(broken);
  const alert = active('VitrineModelNotLoaded');
  if (alert === undefined) throw new Error('no alert');
  expect(alert.labels.model).toBe(ODD);
  expect(alert.annotations.summary).toBe(`${ODD} version 1 cannot be loaded`);

  const message = {
    groupLabels: groupLabelsOf(alert.labels),
    alerts: [{ status: 'firing' as const, instance: alert }],
    truncatedAlerts: 0,
  };
  const body = JSON.parse(alertmanagerBody(message, 'http://c'));
  expect(body.alerts[0].labels.model).toBe(ODD);
  expect(body.groupKey).toContain('model="a \\"quoted\\", \\\\ back\\nnext {line} ü <b>=1"');
  const { text } = JSON.parse(slackBody(message, 'http://c')) as { text: string };
  expect(text).toContain('&lt;b&gt;=1');
  expect(text).not.toContain('<b>');

  const matcher = parseMatcher(`name=${alert.name}, model=${JSON.stringify(ODD)}`);
  expect(matcher.model).toBe(ODD);
  expect(matches(matcher, alert)).toBe(true);
  expect(matches(matcher, { ...alert, labels: { ...alert.labels, model: 'a' } })).toBe(false);
});
