import { beforeEach, describe, expect, test } from 'vitest';
import type { AlertEvent, AlertInstance } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import type { AlertRule } from '../../slo/alert.ts';
import type { PlannedRule } from '../../slo/evaluator_plan.ts';
import { createAlertArchive } from './alert_archive.ts';
import { AlertEngine } from './alert_engine.ts';
import { openEvaluatorDatabase } from './evaluator_database.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { SampleSource } from './sample_source.ts';
import type { SampleStore } from './sample_store.ts';
import { storeOf, T0_MS } from './series_for_tests.ts';

const LINKS = { runbooks: 'runbooks', dashboards: 'http://grafana' };

function planned(name: string, more: Partial<AlertRule> = {}): PlannedRule {
  const rule: AlertRule = {
    name,
    severity: 'ticket',
    expression: {
      kind: 'threshold',
      measure: {
        kind: 'level',
        metric: 'inference_queue_requests',
        where: [],
        over: undefined,
        aggregate: 'max',
        by: ['model'],
      },
      op: '>',
      threshold: 10,
      guards: [],
    },
    forS: 30,
    keepFiringForS: 0,
    labels: { system: 'vitrine' },
    summary: '{model}: {value} wait',
    description: 'of {model}',
    valueUnit: 'number',
    runbook: 'queue',
    dashboard: { uid: 'vitrine-model', variables: { model: 'model' } },
    place: 'worker',
    drill: { noDrill: 'a rule of a test' },
    inhibits: [],
    ...more,
  };
  return { id: name, rule, labels: { alertname: name, ...rule.labels, severity: rule.severity }, promql: '' };
}

const logged: string[] = [];
const say = (message: string): void => void logged.push(message);
const LOG: Log = { debug: () => {}, info: say, warn: say, error: say };

function engineOf(rules: readonly PlannedRule[] = [planned('Queue')], now = { ms: T0_MS }) {
  const engine = new AlertEngine({ rules, links: LINKS, lookbackS: 300 }, LOG, () => now.ms);
  const told: { instance: AlertInstance; event: AlertEvent }[] = [];
  engine.onChange((instance, event) => told.push({ instance, event }));
  return { engine, told };
}

/** Each step: the queue of model a, then an evaluation; 15 s apart. */
function play(engine: AlertEngine, store: SampleStore, values: readonly number[], from = 0): void {
  for (const [index, value] of values.entries()) {
    const timeMs = T0_MS + (from + index) * 15_000;
    store.seriesOf('inference_queue_requests', { model: 'a' })?.append(timeMs, value);
    store.nowMs = timeMs;
    engine.evaluate(store, timeMs);
  }
}

beforeEach(() => {
  logged.length = 0;
});

test('an alert from pending to resolved, with texts, timeline and lines in the log', () => {
  const { engine, told } = engineOf();
  const store = storeOf(['inference_queue_requests']);
  play(engine, store, [5, 20, 30, 40]);
  const labels = { model: 'a', alertname: 'Queue', system: 'vitrine', severity: 'ticket' };
  const [alert] = engine.active();
  expect(alert).toEqual({
    fingerprint: fingerprintOf(labels),
    name: 'Queue',
    severity: 'ticket',
    state: 'firing',
    labels,
    annotations: {
      summary: 'a: 40 wait',
      description: 'of a',
      runbook_url: expect.stringMatching(/^runbooks\/queue/),
      dashboard_url: 'http://grafana/d/vitrine-model?var-model=a',
    },
    value: 40,
    pendingSinceMs: T0_MS + 15_000,
    firingSinceMs: T0_MS + 45_000,
    resolvedAtMs: undefined,
    evidence: undefined,
    acknowledged: undefined,
    silencedBy: undefined,
    inhibitedBy: undefined,
  });
  // The number is not part of identity.
  expect(fingerprintOf({ severity: 'ticket', system: 'vitrine', alertname: 'Queue', model: 'a' })).toBe(
    alert?.fingerprint,
  );
  play(engine, store, [1], 4);
  expect(engine.active()).toEqual([]);
  expect(engine.alert(alert?.fingerprint ?? '')).toMatchObject({
    state: 'resolved',
    resolvedAtMs: T0_MS + 60_000,
  });
  expect(
    engine.timeline(alert?.fingerprint ?? '').map(({ kind, atMs }) => [kind, (atMs - T0_MS) / 1000]),
  ).toEqual([
    ['pending', 15],
    ['firing', 45],
    ['resolved', 60],
  ]);
  expect(told.map(({ instance: { state }, event: { kind } }) => [kind, state])).toEqual([
    ['pending', 'pending'],
    ['firing', 'firing'],
    ['resolved', 'resolved'],
  ]);
  expect(logged).toEqual(['alert firing: a: 40 wait', 'alert resolved: a: 40 wait']);
});

test('a rule that throws changes nothing of its own, and the others go on', () => {
  const { engine } = engineOf([planned('Queue', { forS: 0 }), planned('Other', { forS: 0 })]);
  const store = storeOf(['inference_queue_requests']);
  play(engine, store, [20]);
  expect(engine.stats()).toMatchObject({ firing: 2, failures: 0 });
  let calls = 0;
  const failing: SampleSource = {
    nowMs: T0_MS + 15_000,
    select: () => {
      calls += 1;
      if (calls === 1) throw new Error('on purpose');
      return [];
    },
  };
  engine.evaluate(failing, T0_MS + 15_000);
  expect(engine.active().map(({ name }) => name)).toEqual(['Queue']);
  expect(engine.stats()).toMatchObject({ evaluations: 2, failures: 1 });
});

test('of a flood of label sets a bounded number is kept, first those that are known', () => {
  const { engine } = engineOf([planned('Queue', { forS: 0 })]);
  const store = storeOf(['inference_queue_requests'], 7200, 5000);
  play(engine, store, [20]);
  const flood = Array.from({ length: 1000 }, (_, index) => `m${index}`);
  const known = store.seriesOf('inference_queue_requests', { model: 'a' });
  for (const model of flood)
    store.seriesOf('inference_queue_requests', { model })?.append(T0_MS + 15_000, 99);
  known?.append(T0_MS + 15_001, 99);
  engine.evaluate(store, T0_MS + 20_000);
  expect(engine.stats()).toMatchObject({ firing: 200, droppedAlerts: 801 });
  expect(engine.active().some(({ labels }) => labels.model === 'a')).toBe(true);
});

describe('what people and deliveries add', () => {
  const fire = () => {
    const { engine, told } = engineOf([planned('Queue', { forS: 0 })]);
    const store = storeOf(['inference_queue_requests']);
    play(engine, store, [20]);
    const { fingerprint, firingSinceMs = 0 } = engine.active()[0] as AlertInstance;
    told.length = 0;
    return { engine, told, store, fingerprint, firingSinceMs };
  };

  test('an acknowledgement holds until it resolves, and not for the next firing', () => {
    const { engine, told, store, fingerprint } = fire();
    expect(engine.acknowledge('0000000000000000', 'someone', '')).toBeUndefined();
    engine.acknowledge(fingerprint, 'someone', 'looking');
    expect(told.map(({ event: { kind, detail } }) => [kind, detail])).toEqual([
      ['acknowledged', 'by someone: looking'],
    ]);
    play(engine, store, [20, 1, 20], 1);
    expect(engine.active()[0]?.acknowledged).toBeUndefined();
    expect(engine.alerts()[1]?.acknowledged).toMatchObject({ by: 'someone' });
  });

  test('what holds notifications back is told once', () => {
    const { engine, told, fingerprint } = fire();
    engine.setHeld(fingerprint, { silencedBy: 's1' });
    engine.setHeld(fingerprint, { silencedBy: 's1' });
    engine.setHeld(fingerprint, { inhibitedBy: 'cause' });
    engine.setHeld(fingerprint, {});
    expect(told.map(({ event }) => event.kind)).toEqual(['silenced', 'inhibited']);
    expect(engine.alert(fingerprint)).toMatchObject({ silencedBy: undefined, inhibitedBy: undefined });
  });

  test('evidence for a firing that is over goes nowhere', () => {
    const { engine, told, fingerprint, firingSinceMs } = fire();
    expect(engine.setEvidence(fingerprint, firingSinceMs + 1, { missing: 'late' })).toBeUndefined();
    engine.setEvidence(fingerprint, firingSinceMs, { missing: 'no answer' });
    expect(told.map(({ event: { kind, detail } }) => [kind, detail])).toEqual([['evidence', 'no answer']]);
  });
});

test('when the clock is set, holds go on', () => {
  const { engine } = engineOf();
  const store = storeOf(['inference_queue_requests']);
  play(engine, store, [20, 20]);
  for (const deltaMs of [3_600_000, -7_200_000]) {
    engine.shift(deltaMs);
    store.shift(deltaMs);
  }
  engine.evaluate(store, store.nowMs + 14_000);
  expect(engine.stats()).toMatchObject({ pending: 1, firing: 0 });
  engine.evaluate(store, store.nowMs + 16_000);
  expect(engine.stats()).toMatchObject({ pending: 0, firing: 1 });
});

test('a restart changes nothing: pending goes on, firing fires, what was said of it stays', () => {
  const database = openEvaluatorDatabase({ path: ':memory:', onNotice: say }, T0_MS);
  if (database === undefined) throw new Error('no database');
  const rules = [planned('Queue', { forS: 0 }), planned('Slow', { forS: 60 })];
  const store = storeOf(['inference_queue_requests']);
  {
    const { engine } = engineOf(rules);
    const archive = createAlertArchive(database);
    engine.onChange((instance, event) => archive.note(instance, event));
    play(engine, store, [20, 1, 20, 20]);
    engine.acknowledge(engine.active()[0]?.fingerprint ?? '', 'someone', '');
    archive.saveActive(engine.kept());
  }
  const archive = createAlertArchive(database);
  const { engine, told } = engineOf(rules);
  const { active, resolved, events } = archive.load();
  engine.restore(active, resolved, events, T0_MS);
  expect(engine.stats()).toMatchObject({ pending: 1, firing: 1 });
  expect(engine.active()[0]).toMatchObject({ state: 'firing', acknowledged: { by: 'someone' } });
  expect(engine.alerts().filter(({ state }) => state === 'resolved')).toHaveLength(1);
  expect(engine.timeline(engine.active()[0]?.fingerprint ?? '').map(({ kind }) => kind)).toEqual([
    'firing',
    'resolved',
    'firing',
    'acknowledged',
  ]);
  // Pending since 30 s: fires at 90 s, as it would have.
  play(engine, store, [20, 20], 5);
  expect(told.map(({ instance, event }) => [instance.name, event.kind])).toEqual([['Slow', 'firing']]);

  // A rule that is gone ends its alert, and says so.
  const { engine: later, told: ends } = engineOf([rules[1] as PlannedRule]);
  archive.saveActive(engine.kept());
  later.restore(archive.load().active, [], [], T0_MS + 200_000);
  expect(ends.map(({ instance, event }) => [instance.name, event.kind])).toEqual([['Queue', 'resolved']]);
  database[Symbol.dispose]();
});
