/**
 * Drills on the running service: the fault, its alerts, their evidence, and that nothing stays behind. How long
 * anything took is no matter here: a busy machine takes longer, and `vitrine drill` waits.
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { DrillName } from '../../src/contract/drill_names.ts';
import { runVitrine, startVitrine } from '../fixtures/run_vitrine.ts';
import { drillCommand, drilledService, expectWhole, faultsOf, runDrills } from './drilled.ts';

const TIME_SCALE = 60;
const GROUP_LIMIT_MS = 600_000;

/** What the evidence of each drill has to say, besides what the drill itself asks for; two workers. */
const EVIDENCE: Partial<Record<DrillName, readonly RegExp[]>> = {
  'slow-worker': [/^compute takes \d+ ms instead of/m, /only worker worker-1\./],
  'slow-compute': [/^compute takes \d+ ms instead of/m, /all workers alike \(worker-1, worker-2\)/],
  'slow-preprocess': [/^preprocess takes \d+ ms instead of/m, /all workers alike/],
  'slow-network': [/^network takes \d+ ms instead of/m, /all workers alike/],
  errors: [/of queries fail/, /100 % of them with internal/, /all workers alike/],
  overload: [/of queries fail/, /with overloaded/, /before any worker/],
  stall: [/only worker worker-1\./, /the event loop of worker-1 stands still for/],
  hang: [/^worker-1 has answered no scrape since/, /only worker worker-1\./],
  'cut-network': [/^worker-1, worker-2 answer scrapes, but gateways do not find them ready/],
  'worker-crash': [/^worker-1 restarted \d+ times/, /only worker worker-1\./],
};

/** Drills that share a service, in their order: after one whose alert clears late, the next has its calm. */
const GROUPS: readonly (readonly DrillName[])[] = [
  ['slow-worker', 'slow-compute', 'errors', 'worker-crash'],
  ['slow-preprocess', 'slow-network', 'overload', 'stall', 'cut-network', 'hang'],
];

/** Started by whoever asks first, for all who ask. */
function lazily<T>(start: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => {
    started ??= start();
    return started;
  };
}

describe.concurrent.each(GROUPS.map((names) => [names.join(', '), names] as const))('%s', (_, names) => {
  const reports = lazily(() => runDrills(names, { timeScale: TIME_SCALE, workers: 2 }));

  test.each(names)(
    '%s: its alerts fire, the evidence names what and where, and they clear',
    async (name) => {
      const report = (await reports()).get(name);
      expectWhole(report);
      for (const told of EVIDENCE[name] ?? []) expect(report.evidence).toMatch(told);
    },
    GROUP_LIMIT_MS,
  );
});

test(
  'a killed driver leaves no fault behind: not at a point, in an event loop, or in the network',
  async () => {
    await using service = await drilledService({ timeScale: TIME_SCALE, workers: 1 });
    for (const [drill, process, point] of [
      ['hang', 'worker-1', 'event_loop'],
      ['cut-network', 'gateway-0', 'worker_network'],
      ['worker-crash', 'worker-1', 'compute'],
    ] as const) {
      const { args, env } = drillCommand(service, drill);
      const driver = startVitrine(args, env);
      const gone = once(driver, 'exit');
      while ((await faultsOf(service, process)).length === 0) await nextTurn();
      driver.kill('SIGKILL');
      await gone;
      while ((await faultsOf(service, process).catch(() => [{ point }])).length > 0) await nextTurn();
      const answer = await service.client.text('langid', 'Wo ist der Bahnhof?', { timeoutMs: 60_000 });
      expect(answer.traceId).toBeDefined();
    }
  },
  GROUP_LIMIT_MS,
);

test('a drill that the service does not bear is refused before any fault, with what to do', async () => {
  await using service = await drilledService({ timeScale: 1, workers: 1 });
  for (const [drill, advice] of [
    ['slow-worker', 'VITRINE_WORKER_COUNT=2'],
    ['hang', 'VITRINE_LIFECYCLE_HANG_TIMEOUT_MS'],
  ] as const) {
    const { args, env } = drillCommand(service, drill);
    const { code, stdout, stderr } = await runVitrine(args, { env });
    expect(code).toBe(1);
    expect(stdout + stderr).toContain(advice);
    expect(await faultsOf(service, 'worker-1')).toEqual([]);
  }
}, 120_000);

test('a service that does not allow drills is left alone, and the message says what to do', async () => {
  const { code, stderr } = await runVitrine(['drill', 'errors'], {
    env: { VITRINE_DRILL_SOCKET_DIRECTORY: join(import.meta.dirname, 'no-such-folder') },
  });
  expect(code).toBe(1);
  expect(stderr).toContain('VITRINE_DRILL_ALLOWED=true');
});
