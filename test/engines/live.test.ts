/**
 * Side by side on the running service: the embedded evaluator, and a Prometheus that finds the same processes and
 * has the same rules. A worker becomes slow; both have to fire the same alerts at the same time, and clear them.
 */
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setInterval as ticks } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { AlertEvent, AlertInstance } from '../../src/contract/alerts.ts';
import { compileEvaluatorPlan } from '../../src/slo/compile_evaluator.ts';
import { generatedAlerts } from '../../src/slo/generated_alerts.ts';
import { readObjectives } from '../../src/slo/objectives.ts';
import { yamlText } from '../../src/slo/rule_file.ts';
import { type Service, startService } from '../system/service.ts';
import { launchPrometheus, type RunningPrometheus } from './prometheus.ts';

const OBJECTIVES = new URL('../fixtures/drill_objectives.yaml', import.meta.url).pathname;
const TIME_SCALE = 20;
const LINKS = { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' };
const QUERIES_PER_S = 20;
/** Beyond the objective of 250 ms. */
const DELAY_MS = 400;
/** Before the fault, and under it. */
const QUERIES = 400;
const CLEAR_LIMIT_MS = 240_000;
/** What the fault has to make fire; whatever else does is compared all the same. */
const EXPECTED = ['VitrineBudgetBurnsFast', 'VitrineBudgetBurnsSlowly', 'VitrineLatencyP99High'];
/** They clear within this test: the windows of the others reach over days, here hours. */
const CLEARING = ['VitrineBudgetBurnsFast', 'VitrineLatencyP99High'];

const { objectives } = readObjectives(readFileSync(OBJECTIVES, 'utf8'), {
  path: OBJECTIVES,
  models: undefined,
});
const plan = compileEvaluatorPlan(objectives, { timeScale: TIME_SCALE, links: LINKS });
const INTERVALS_MS = (plan.scrapeIntervalS + plan.evaluationIntervalS) * 1000;

const RULE_FILES = ['vitrine.rules.yml', 'objectives.rules.yml'];

const ms = (seconds: number): string => `${Math.round(seconds * 1000)}ms`;

function configuration(targetsUrl: string): string {
  return yamlText([], {
    global: {
      scrape_interval: ms(plan.scrapeIntervalS),
      scrape_timeout: ms(plan.scrapeIntervalS),
      evaluation_interval: ms(plan.evaluationIntervalS),
    },
    rule_files: RULE_FILES,
    scrape_configs: [{ job_name: 'vitrine', http_sd_configs: [{ url: targetsUrl, refresh_interval: '1s' }] }],
  });
}

/** One alert's life as one engine saw it. Unix milliseconds. */
interface Firing {
  readonly key: string;
  readonly firedMs: number;
  /** Undefined while it fires. */
  readonly clearedMs: number | undefined;
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .filter(([label]) => !['__name__', 'alertstate'].includes(label))
    .map(([label, value]) => `${label}=${value}`)
    .sort()
    .join(' ');
}

/** Alerts that fired, from the samples of ALERTS: one at each evaluation for as long as it fires. */
async function prometheusFirings(prometheus: RunningPrometheus): Promise<Firing[]> {
  const evaluationMs = plan.evaluationIntervalS * 1000;
  const series = await prometheus.querySamples('ALERTS{alertstate="firing"}[1h]');
  const nowMs = Date.now();
  return series.map(({ labels, points }) => {
    const times = [...points.keys()];
    const lastMs = Math.max(...times);
    return {
      key: keyOf(labels),
      firedMs: Math.min(...times),
      clearedMs: nowMs - lastMs > 3 * evaluationMs ? lastMs + evaluationMs : undefined,
    };
  });
}

async function embeddedFirings({ consoleUrl }: Service): Promise<Firing[]> {
  const ask = async <T>(path: string): Promise<T> => (await fetch(consoleUrl + path)).json() as Promise<T>;
  const { alerts } = await ask<{ alerts: AlertInstance[] }>('/console/alerts');
  const ever = alerts.filter(({ firingSinceMs }) => firingSinceMs !== undefined);
  return Promise.all(
    ever.map(async ({ fingerprint, labels }) => {
      const { events } = await ask<{ events: AlertEvent[] }>(`/console/alerts/${fingerprint}`);
      const at = (kind: AlertEvent['kind']): number | undefined =>
        events.findLast((event) => event.kind === kind)?.atMs;
      return { key: keyOf(labels), firedMs: at('firing') ?? Number.NaN, clearedMs: at('resolved') };
    }),
  );
}

function find(firings: readonly Firing[], name: string): Firing | undefined {
  return firings.find(({ key }) => key.includes(`alertname=${name} `));
}

interface Load extends AsyncDisposable {
  /** Resolves when so many more queries have been answered. */
  answered(count: number): Promise<void>;
}

/** Asks one query after another at a steady rate, whatever becomes of them. */
function startLoad({ client }: Service): Load {
  const open = new Set<Promise<void>>();
  const events = new EventEmitter();
  let answers = 0;
  const timer = setInterval(() => {
    const query = client
      .text('langid', 'Where did the time go?')
      .then(
        () => {},
        () => {},
      )
      .finally(() => {
        open.delete(query);
        answers += 1;
        events.emit('answer');
      });
    open.add(query);
  }, 1000 / QUERIES_PER_S);
  return {
    async answered(count) {
      const enough = answers + count;
      while (answers < enough) await once(events, 'answer');
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await Promise.all(open);
    },
  };
}

async function until(done: () => Promise<boolean>, limitMs: number): Promise<void> {
  const endMs = Date.now() + limitMs;
  for await (const _ of ticks(500)) {
    if (await done()) return;
    if (Date.now() > endMs) throw new Error(`it did not come within ${limitMs / 1000} s`);
  }
}

test('a Prometheus with our rules and the embedded evaluator fire and clear the same alerts at the same time', async ({
  annotate,
}) => {
  await using service = await startService({
    workers: 1,
    env: { VITRINE_SLO_TIME_SCALE: String(TIME_SCALE), VITRINE_SLO_PATH: OBJECTIVES },
  });
  const files = generatedAlerts(objectives, { timeScale: TIME_SCALE, links: LINKS });
  await using prometheus = await launchPrometheus({
    config: configuration(service.metricsUrl.replace(/\/metrics$/, '/metrics/targets')),
    files: Object.fromEntries(RULE_FILES.map((name) => [name, files[name] ?? ''])),
    flags: [`--query.lookback-delta=${ms(plan.lookbackS)}`],
  });
  // Gateway, worker and console; and what always fires tells that rules are evaluated.
  await until(async () => {
    const up = await prometheus.querySamples('up[1m]');
    return up.length === 3 && find(await prometheusFirings(prometheus), 'VitrineWatchdog') !== undefined;
  }, 60_000);

  const startedMs = Date.now();
  {
    await using load = startLoad(service);
    await load.answered(QUERIES);
    await service.fault('worker-1', 'compute', { delayMs: DELAY_MS, leaseMs: 120_000 });
    await load.answered(QUERIES);
    await service.liftFault('worker-1', 'compute');
    await until(async () => {
      const [ours, theirs] = [await embeddedFirings(service), await prometheusFirings(prometheus)];
      return CLEARING.every((name) =>
        [ours, theirs].every((firings) => find(firings, name)?.clearedMs !== undefined),
      );
    }, CLEAR_LIMIT_MS);
  }

  const after = (firings: readonly Firing[]): Firing[] =>
    firings.filter(({ firedMs }) => firedMs > startedMs).sort((a, b) => a.key.localeCompare(b.key));
  const ours = after(await embeddedFirings(service));
  const theirs = after(await prometheusFirings(prometheus));
  for (const name of EXPECTED) expect(find(ours, name), name).toBeDefined();
  expect(ours.map(({ key }) => key)).toEqual(theirs.map(({ key }) => key));
  for (const [index, our] of ours.entries()) {
    const their = theirs[index] as Firing;
    const apartMs = our.firedMs - their.firedMs;
    await annotate(
      `${our.key}: fired ${apartMs} ms apart, cleared ${(our.clearedMs ?? 0) - (their.clearedMs ?? 0)} ms`,
    );
    expect(Math.abs(apartMs), `${our.key} fires`).toBeLessThanOrEqual(INTERVALS_MS);
    if (our.clearedMs === undefined || their.clearedMs === undefined) continue;
    expect(Math.abs(our.clearedMs - their.clearedMs), `${our.key} clears`).toBeLessThanOrEqual(INTERVALS_MS);
  }
});
