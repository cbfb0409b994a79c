/**
 * The embedded evaluator against a real Prometheus: a recorded day of scrapes is backfilled into it, and every
 * expression of the plan is evaluated by both at the same times. Verdicts have to be equal, except where a number
 * stands within 1 % of a threshold: beyond two hours the evaluator reads samples by the minute, or by five.
 *
 * Blocks that promtool makes hold no stale markers, so neither does the evaluator's store here: a series ends by
 * the lookback in both. That it ends at once when a scrape fails is tested in src/console/evaluator.
 */
import { describe, expect, test } from 'vitest';
import { evaluateExpression } from '../../src/console/evaluator/evaluate.ts';
import { SampleStore, SERIES_LIMIT } from '../../src/console/evaluator/sample_store.ts';
import type { Vector } from '../../src/console/evaluator/vector.ts';
import { compileEvaluatorPlan } from '../../src/slo/compile_evaluator.ts';
import type { Expression, Guard } from '../../src/slo/expression.ts';
import { readObjectives } from '../../src/slo/objectives.ts';
import { readingsOf } from '../../src/slo/sample_needs.ts';
import { BASE_INTERVALS } from '../../src/slo/time_scale.ts';
import { findEngine, type RangeSeries, startPrometheus } from './prometheus.ts';
import { openMetricsLine, type RecordedSample, recordScrapes } from './recorded_scrapes.ts';

const SLO = `
apiVersion: openslo/v1
kind: Service
metadata: { name: inference }
spec: {}
---
apiVersion: openslo/v1
kind: SLO
metadata: { name: langid-latency }
spec:
  service: inference
  indicator:
    spec:
      thresholdMetric:
        metricSource:
          type: vitrine
          spec: { metric: inference_service_duration_seconds, model: langid }
  timeWindow: [{ duration: 30d, isRolling: true }]
  budgetingMethod: Occurrences
  objectives: [{ target: 0.99, op: lte, value: 0.05 }]
---
apiVersion: openslo/v1
kind: SLO
metadata: { name: digits-answered }
spec:
  service: inference
  indicator:
    spec:
      ratioMetric:
        bad: { metricSource: { type: vitrine, spec: { metric: inference_requests_total, model: digits, verdict: bad } } }
        total: { metricSource: { type: vitrine, spec: { metric: inference_requests_total, model: digits, verdict: valid } } }
  timeWindow: [{ duration: 30d, isRolling: true }]
  budgetingMethod: Occurrences
  objectives: [{ target: 0.999 }]
`;

const START_MS = Date.UTC(2026, 0, 5);
const HOURS = 27;
const SCRAPE_INTERVAL_S = 30;
const STEP_MS = 300_000;
const TOLERANCE = 0.01;

const { objectives, problems } = readObjectives(SLO, { path: 'slo.yaml', models: undefined });
const plan = compileEvaluatorPlan(objectives, {
  timeScale: 1,
  links: { runbooks: 'runbooks', dashboards: 'http://localhost:3000' },
  intervals: { ...BASE_INTERVALS, scrapeIntervalS: SCRAPE_INTERVAL_S },
});

/** The expression with every threshold moved by a factor. */
function moved(expression: Expression, by: number): Expression {
  const guards = (list: readonly Guard[]): Guard[] =>
    list.map((guard) => ({ ...guard, threshold: guard.threshold * by }));
  switch (expression.kind) {
    case 'threshold':
      return { ...expression, threshold: expression.threshold * by, guards: guards(expression.guards) };
    case 'against_past':
      return {
        ...expression,
        factor: expression.factor * by,
        guards: guards(expression.guards),
        pastGuards: guards(expression.pastGuards),
      };
    case 'burn_rate':
      return {
        ...expression,
        pairs: expression.pairs.map((pair) => ({
          ...pair,
          factor: pair.factor * by,
          minimumTotal: pair.minimumTotal * by,
        })),
      };
    default:
      return expression;
  }
}

/** Whether everything that it reads lies within the two hours of which every scrape is kept. */
function readsEveryScrape(expression: Expression): boolean {
  return readingsOf(expression).every(({ windowS = 0, offsetS }) => windowS + offsetS <= 7200);
}

function labelsKey(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function byLabels(vector: Vector): Map<string, number> {
  return new Map([...vector.values()].map(({ labels, value }) => [labelsKey(labels), value]));
}

interface Verdicts {
  readonly as: Map<string, number>;
  readonly strict: Map<string, number>;
  readonly loose: Map<string, number>;
}

/** Feeds the samples in time and evaluates at every step, as the console does. */
function evaluateAll(samples: readonly RecordedSample[]): Map<string, Map<number, Verdicts>> {
  const store = new SampleStore({ needs: plan.needs, timeScale: 1, seriesLimit: SERIES_LIMIT });
  const results = new Map(plan.rules.map(({ id }) => [id, new Map<number, Verdicts>()]));
  let at = 0;
  for (let timeMs = START_MS + STEP_MS; timeMs <= START_MS + HOURS * 3_600_000; timeMs += STEP_MS) {
    for (; at < samples.length && (samples[at] as RecordedSample).timeMs <= timeMs; at += 1) {
      const { name, labels, timeMs: sampleMs, value } = samples[at] as RecordedSample;
      store.seriesOf(name, labels)?.append(sampleMs, value);
      store.nowMs = sampleMs;
    }
    store.expire();
    const moment = { source: store, timeMs, lookbackMs: plan.lookbackS * 1000 };
    for (const { id, rule } of plan.rules) {
      const verdicts = (by: number) => byLabels(evaluateExpression(moved(rule.expression, by), moment));
      results.get(id)?.set(timeMs, {
        as: verdicts(1),
        strict: verdicts(1 + TOLERANCE),
        loose: verdicts(1 - TOLERANCE),
      });
    }
  }
  return results;
}

function promAt(series: readonly RangeSeries[], timeMs: number): Map<string, number> {
  return new Map(
    series.flatMap(({ labels, points }) => {
      const value = points.get(timeMs);
      return value === undefined ? [] : [[labelsKey(labels), value] as const];
    }),
  );
}

const engines = findEngine('prometheus') !== undefined && findEngine('promtool') !== undefined;

describe.skipIf(!engines)('the evaluator and Prometheus', () => {
  test('agree on every alert of the plan over a recorded day', { timeout: 600_000 }, async () => {
    expect(problems).toEqual([]);
    const samples = [
      ...recordScrapes({ seed: 4, startMs: START_MS, hours: HOURS, scrapeIntervalS: SCRAPE_INTERVAL_S }),
    ];
    const ours = evaluateAll(samples);
    await using prometheus = await startPrometheus([...samples.map(openMetricsLine), '# EOF\n']);

    const differences: string[] = [];
    const neverHeld: string[] = [];
    let compared = 0;
    let nearThreshold = 0;
    const largest = { exact: { difference: 0, where: '' }, coarse: { difference: 0, where: '' } };
    for (const { id, rule, promql } of plan.rules) {
      const endMs = START_MS + HOURS * 3_600_000;
      const series = await prometheus.queryRange(promql, START_MS + STEP_MS, endMs, STEP_MS);
      let held = 0;
      for (const [timeMs, { as, strict, loose }] of ours.get(id) ?? []) {
        const theirs = promAt(series, timeMs);
        for (const key of new Set([...as.keys(), ...theirs.keys()])) {
          const [mine, its] = [as.get(key), theirs.get(key)];
          compared += 1;
          held += 1;
          const where = `${id} ${key} at ${new Date(timeMs).toISOString()}`;
          if (mine === undefined || its === undefined) {
            if (loose.has(key) !== strict.has(key)) nearThreshold += 1;
            else differences.push(`${where}: ours ${mine}, Prometheus ${its}`);
            continue;
          }
          const difference = Math.abs(mine - its) / Math.max(Math.abs(its), 1e-9);
          const kind = readsEveryScrape(rule.expression) ? 'exact' : 'coarse';
          if (difference > largest[kind].difference) largest[kind] = { difference, where };
        }
      }
      if (held === 0) neverHeld.push(id);
    }
    const percent = ({ difference, where }: { difference: number; where: string }): string =>
      `${(difference * 100).toFixed(6)} %${where === '' ? '' : ` (${where})`}`;
    process.stdout.write(
      `${samples.length} samples, ${plan.rules.length} rules, ${compared} verdicts: ${differences.length} differ, ` +
        `${nearThreshold} within 1 % of a threshold\nlargest difference of a number: up to 2 h ` +
        `${percent(largest.exact)}, beyond ${percent(largest.coarse)}\n`,
    );
    expect(differences).toEqual([]);
    // A verdict of which no instance was seen proves nothing.
    expect(neverHeld).toEqual([]);
    expect(nearThreshold).toBeLessThan(compared / 100);
    // Up to two hours every scrape is there: the same arithmetic on the same numbers.
    expect(largest.exact.difference).toBeLessThan(1e-9);
    // A quantile in an almost empty bucket moves much when the window's edges move by half a minute.
    expect(largest.coarse.difference).toBeLessThan(0.15);
  });
});
