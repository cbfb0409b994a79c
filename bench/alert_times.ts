/** How long a fault takes to become an alert with its explanation, and its end to be told, beside what windows allow. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient } from '../src/client/client.ts';
import type { AlertEvent, AlertInstance } from '../src/contract/alerts.ts';
import { openFaultDoors } from '../src/drill/fault_doors.ts';
import { compileEvaluatorPlan } from '../src/slo/compile_evaluator.ts';
import { readObjectives } from '../src/slo/objectives.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { soonestClearS, soonestFiringS } from './burn_theory.ts';
import { becomeReady } from './fleet.ts';
import { digits, table } from './print.ts';
import { spreadOf } from './rounds.ts';
import { startSystem } from './system.ts';
import { temporaryFolder } from './temporary.ts';

const OBJECTIVES = fileURLToPath(new URL('../test/fixtures/drill_objectives.yaml', import.meta.url));
const ALERT = 'VitrineBudgetBurnsFast';
const RULE = `${ALERT}/langid-latency`;
const TIME_SCALE = 60;
const QUERIES_PER_S = 30;
/** Beyond the objective of 250 ms. */
const DELAY_MS = 400;
const CALM_S = 30;
/** A fault is lifted so long after its evidence has come. */
const LIFT_AFTER_S = 3;
const LOOK_INTERVAL_MS = 250;
const LOOK_LIMIT_MS = 120_000;
/** A lease lapses after 5 s unless it is renewed. */
const RENEW_INTERVAL_MS = 2000;

const { objectives } = readObjectives(readFileSync(OBJECTIVES, 'utf8'), {
  path: OBJECTIVES,
  models: undefined,
});
const plan = compileEvaluatorPlan(objectives, {
  timeScale: TIME_SCALE,
  links: { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' },
});
const INTERVALS_S = plan.scrapeIntervalS + plan.evaluationIntervalS;

/** Seconds. */
interface Times {
  readonly firing: number;
  readonly soonestFiring: number;
  readonly evidence: number;
  readonly clear: number;
  readonly soonestClear: number;
  readonly explains: boolean;
}

interface Seen {
  readonly alert: AlertInstance;
  readonly at: (kind: AlertEvent['kind']) => number | undefined;
}

async function look(consoleUrl: string): Promise<Seen | undefined> {
  const ask = async <T>(path: string): Promise<T> => (await fetch(consoleUrl + path)).json() as Promise<T>;
  const { alerts } = await ask<{ alerts: AlertInstance[] }>('/console/alerts');
  const alert = alerts.find(({ name, firingSinceMs }) => name === ALERT && firingSinceMs !== undefined);
  if (alert === undefined) return undefined;
  const { events } = await ask<{ events: AlertEvent[] }>(`/console/alerts/${alert.fingerprint}`);
  return { alert, at: (kind) => events.find((event) => event.kind === kind)?.atMs };
}

/** One fault on a service of its own, from calm to calm. */
async function faultRound({ signal, progress }: BenchContext, round: string): Promise<Times> {
  const rule = plan.rules.find(({ id }) => id === RULE)?.rule.expression;
  if (rule?.kind !== 'burn_rate') throw new Error(`${RULE} is no burn rate`);
  await using folder = await temporaryFolder();
  await using system = await startSystem(folder, {
    by: 'node',
    modelRepository: undefined,
    env: {
      VITRINE_SLO_TIME_SCALE: String(TIME_SCALE),
      VITRINE_SLO_PATH: OBJECTIVES,
      VITRINE_DRILL_ALLOWED: 'true',
      VITRINE_DRILL_SOCKET_DIRECTORY: folder.path('drill'),
    },
  });
  await becomeReady(system.url, () => system.checkAlive());
  await using client = createClient({ url: system.url });
  const doors = openFaultDoors(folder.path('drill'));
  const setFault = (): Promise<void> => doors.set('worker-1', 'compute', { delayMs: DELAY_MS });
  const open = new Set<Promise<void>>();
  const load = setInterval(() => {
    const query = client
      .text('langid', 'Where did the time go?')
      .then(
        () => {},
        () => {},
      )
      .finally(() => open.delete(query));
    open.add(query);
  }, 1000 / QUERIES_PER_S);
  let renewal: NodeJS.Timeout | undefined;
  const until = async (done: (seen: Seen) => boolean): Promise<Seen> => {
    for (const endMs = Date.now() + LOOK_LIMIT_MS; Date.now() < endMs; ) {
      signal.throwIfAborted();
      const seen = await look(system.consoleUrl);
      if (seen !== undefined && done(seen)) return seen;
      await sleep(LOOK_INTERVAL_MS, undefined, { signal });
    }
    throw new Error(`${ALERT} did not come or go within ${LOOK_LIMIT_MS / 1000} s`);
  };
  try {
    progress(`${round}: calm`);
    const loadMs = Date.now();
    await sleep(CALM_S * 1000, undefined, { signal });
    progress(`${round}: fault`);
    const faultMs = Date.now();
    await setFault();
    renewal = setInterval(() => void setFault().catch(() => {}), RENEW_INTERVAL_MS);
    await until(({ at }) => at('evidence') !== undefined);
    await sleep(LIFT_AFTER_S * 1000, undefined, { signal });
    clearInterval(renewal);
    await doors.lift('worker-1', 'compute');
    const liftedMs = Date.now();
    progress(`${round}: lifted`);
    const { at, alert } = await until((seen) => seen.at('resolved') !== undefined);
    const [calmS, faultS] = [(faultMs - loadMs) / 1000, (liftedMs - faultMs) / 1000];
    const [firedMs, evidenceMs, resolvedMs] = [at('firing'), at('evidence'), at('resolved')] as number[];
    return {
      firing: ((firedMs ?? 0) - faultMs) / 1000,
      // A slow query is counted when it is answered.
      soonestFiring: soonestFiringS(rule, calmS) + DELAY_MS / 1000,
      evidence: ((evidenceMs ?? 0) - (firedMs ?? 0)) / 1000,
      clear: ((resolvedMs ?? 0) - liftedMs) / 1000,
      soonestClear: soonestClearS(rule, { calmS, faultS }),
      explains: alert.evidence?.stage?.stage === 'compute',
    };
  } finally {
    clearInterval(load);
    clearInterval(renewal);
    await Promise.all(open);
  }
}

async function run(context: BenchContext): Promise<BenchResult> {
  const times: Times[] = [];
  for (let round = 1; round <= context.rounds; round += 1) {
    times.push(await faultRound(context, `round ${round} of ${context.rounds}`));
  }
  const of = (read: (time: Times) => number) => spreadOf(times.map(read));
  const figures: Figure[] = [
    { label: 'fault to firing', spread: of(({ firing }) => firing), unit: 's' },
    {
      label: 'the soonest that the windows allow',
      spread: of(({ soonestFiring }) => soonestFiring),
      unit: 's',
    },
    {
      label: 'firing beyond the soonest / (scrape + evaluation)',
      spread: of(({ firing, soonestFiring }) => (firing - soonestFiring) / INTERVALS_S),
      unit: 'x',
      aim: { relation: 'at most', value: 2 },
    },
    {
      label: 'firing to evidence',
      spread: of(({ evidence }) => evidence),
      unit: 's',
      aim: { relation: 'at most', value: 3 },
    },
    { label: 'lifted to resolved', spread: of(({ clear }) => clear), unit: 's' },
    {
      label: 'the soonest that the windows allow',
      spread: of(({ soonestClear }) => soonestClear),
      unit: 's',
    },
    {
      label: 'resolved beyond the soonest / (scrape + evaluation)',
      spread: of(({ clear, soonestClear }) => (clear - soonestClear) / INTERVALS_S),
      unit: 'x',
      aim: { relation: 'at most', value: 2 },
    },
  ];
  const rows = [
    ['round', 'firing', 'soonest', 'evidence', 'names compute', 'resolved', 'soonest'],
    ...times.map(({ firing, soonestFiring, evidence, explains, clear, soonestClear }, index) => [
      String(index + 1),
      ...[firing, soonestFiring, evidence].map(digits),
      explains ? 'yes' : 'no',
      ...[clear, soonestClear].map(digits),
    ]),
  ];
  return {
    figures,
    tables: [table(rows)],
    notes: [
      `The whole service at a time scale of ${TIME_SCALE}: scraped every ${plan.scrapeIntervalS} s, evaluated every ${plan.evaluationIntervalS} s; at scale 1 the windows take ${TIME_SCALE} times as long and the intervals 15 s.`,
      `${QUERIES_PER_S} queries of langid a second, ${CALM_S} s of calm, then ${DELAY_MS} ms more in compute of the only worker: every query is beyond its objective.`,
      'The soonest follows from the windows, their factors and the traffic alone; it holds the delay of the first slow answer, and no scrape and no evaluation.',
      'A resolved alert has been silent for its short windows: that is the price of two windows, not of the service. The last queries of the fault find it lifted, so it may be over a little before what is computed.',
    ],
    details: { timeScale: TIME_SCALE, intervalsS: INTERVALS_S, times },
  };
}

export const alertTimes: Bench = {
  number: 8,
  name: 'alert times',
  summary: 'fault to firing, to evidence, and lifted to resolved, against what the windows allow',
  run,
};
