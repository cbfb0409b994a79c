/**
 * Every scenario that promtool plays to the rules for Prometheus, played to the embedded evaluator: each alert is seen
 * to fire with the same labels and number, to stay silent next to its edge, and to clear.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Log } from '../../contract/log.ts';
import { ALERT_SCENARIOS } from '../../slo/alert_scenarios.ts';
import { compileEvaluatorPlan } from '../../slo/compile_evaluator.ts';
import { objectiveScenarios } from '../../slo/objective_scenarios.ts';
import { readObjectives } from '../../slo/objectives.ts';
import { type Scenario, samplesOf } from '../../slo/scenario.ts';
import { AlertEngine } from './alert_engine.ts';
import { SampleStore } from './sample_store.ts';
import { T0_MS } from './series_for_tests.ts';

const { objectives } = readObjectives(readFileSync(new URL('../../../slo.yaml', import.meta.url), 'utf8'), {
  path: 'slo.yaml',
  models: undefined,
});
const plan = compileEvaluatorPlan(objectives, {
  timeScale: 1,
  links: { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' },
});
const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Fired {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What fires at each of the scenario's checks, in the order of their labels. */
function play({ rule, stepS, series, checks }: Scenario): Fired[][] {
  const planned = plan.rules.find(({ id }) => id === rule);
  if (planned === undefined) throw new Error(`there is no rule ${rule}`);
  const store = new SampleStore({ needs: plan.needs, timeScale: 1, seriesLimit: 1000 });
  const engine = new AlertEngine({ ...plan, rules: [planned] }, LOG, () => store.nowMs);
  const played = series.map(({ name, labels, phases }) => ({
    target: store.seriesOf(name, labels),
    samples: samplesOf(phases, stepS),
  }));
  const lastS = Math.max(...checks.map(({ atS }) => atS));
  const fired = new Map<number, Fired[]>();
  for (let step = 0; step * stepS <= lastS; step += 1) {
    const timeMs = T0_MS + step * stepS * 1000;
    for (const { target, samples } of played) {
      const value = samples[step]?.value;
      if (value === 'stale') target?.markStale(timeMs);
      else if (value !== undefined) target?.append(timeMs, value);
    }
    store.nowMs = timeMs;
    store.expire();
    engine.evaluate(store, timeMs);
    const firing = engine.active().filter(({ state }) => state === 'firing');
    fired.set(step * stepS, sorted(firing.map(({ labels, value }) => ({ labels, value }))));
  }
  return checks.map(({ atS }) => fired.get(atS) ?? []);
}

function sorted(fired: readonly Fired[]): Fired[] {
  return fired.toSorted((a, b) => JSON.stringify(a.labels).localeCompare(JSON.stringify(b.labels)));
}

/** Numbers that differ by floating point and extrapolation are the same; the edge is told by whether it fires. */
function near(value: number): unknown {
  return Number.isInteger(value) ? expect.closeTo(value, 1) : expect.closeTo(value, 2);
}

describe.each([...ALERT_SCENARIOS, ...objectives.flatMap(objectiveScenarios)])('$rule', (scenario) => {
  test(scenario.title, () => {
    const own = plan.rules.find(({ id }) => id === scenario.rule)?.labels ?? {};
    const found = play(scenario);
    for (const [index, { atS, firing }] of scenario.checks.entries()) {
      const wanted = firing.map(({ labels, value }) => ({ labels: { ...labels, ...own }, value }));
      expect(
        found[index]?.map(({ labels }) => labels),
        `at ${atS} s`,
      ).toEqual(sorted(wanted).map(({ labels }) => expect.objectContaining(labels)));
      expect(
        found[index]?.map(({ value }) => value),
        `at ${atS} s`,
      ).toEqual(sorted(wanted).map(({ value }) => near(value)));
    }
  });
});
