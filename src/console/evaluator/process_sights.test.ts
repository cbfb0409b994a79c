import { expect, test } from 'vitest';
import { processSights } from './process_sights.ts';
import { momentOf, storeOf, T0_MS } from './series_for_tests.ts';

const STEP_MS = 15_000;
const ATTEMPTS = 'inference_attempts_total';
const READY = 'vitrine_gateway_worker_ready';

/** What is seen of one worker at a scrape; without an uptime it does not answer. */
interface Seen {
  readonly uptimeS: number | undefined;
  readonly lost?: number;
  readonly ready?: number;
}

/** 21 scrapes: 200 s of baseline, and 100 s of window. */
const SCRAPES = 21;

function storeWith(workers: Readonly<Record<string, (index: number) => Seen>>) {
  const store = storeOf(['up', 'process_uptime_seconds', ATTEMPTS, READY]);
  for (let index = 0; index < SCRAPES; index += 1) {
    const timeMs = T0_MS + index * STEP_MS;
    const ofGateway = Object.entries(workers).flatMap(([worker, seen]) => {
      const { lost = 0, ready = 1 } = seen(index);
      return [
        { name: ATTEMPTS, labels: { worker, outcome: 'lost' }, value: lost },
        { name: READY, labels: { worker }, value: ready },
      ];
    });
    store.record({ job: 'vitrine-gateway', instance: 'gateway-0' }, ofGateway, timeMs);
    for (const [instance, seen] of Object.entries(workers)) {
      const target = { job: 'vitrine-worker', instance };
      const { uptimeS } = seen(index);
      if (uptimeS === undefined) store.recordFailure(target, timeMs);
      else store.record(target, [{ name: 'process_uptime_seconds', labels: {}, value: uptimeS }], timeMs);
    }
  }
  return { store, endS: ((SCRAPES - 1) * STEP_MS) / 1000 };
}

const well = (index: number): Seen => ({ uptimeS: index * 15 });
const WINDOWS = { windowS: 100, baselineS: 200 };

test('of a worker that fell silent: since when, and what it left', () => {
  const { store, endS } = storeWith({
    'worker-1': (index) => (index > 17 ? { uptimeS: undefined, lost: 4 } : well(index)),
    'worker-2': well,
  });
  const sights = processSights('vitrine-worker', momentOf(store, endS), WINDOWS);
  expect(sights).toMatchObject([
    { instance: 'worker-1', silentSinceMs: T0_MS + 18 * STEP_MS, restarts: 0 },
    { instance: 'worker-2', silentSinceMs: undefined, unanswered: 0 },
  ]);
  expect(sights[0]?.unanswered).toBeGreaterThanOrEqual(4);
});

test('of one that gateways do not find ready: since when, unless they do again', () => {
  const { store, endS } = storeWith({
    'worker-1': (index) => ({ ...well(index), ready: index > 18 ? 0 : 1 }),
    'worker-2': (index) => ({ ...well(index), ready: index === 18 ? 0 : 1 }),
  });
  expect(processSights('vitrine-worker', momentOf(store, endS), WINDOWS)).toMatchObject([
    { instance: 'worker-1', unreadySinceMs: T0_MS + 19 * STEP_MS, silentSinceMs: undefined },
    { instance: 'worker-2', unreadySinceMs: undefined },
  ]);
});

test('restarts are those of the window alone', () => {
  const { store, endS } = storeWith({
    'worker-1': (index) => ({ uptimeS: [3, 16, 18].includes(index) ? 1 : 100 + index }),
  });
  expect(processSights('vitrine-worker', momentOf(store, endS), WINDOWS)).toMatchObject([{ restarts: 2 }]);
});

test('one that is no longer listed was taken away, and is not told of', () => {
  const { store, endS } = storeWith({ 'worker-1': well });
  store.forget({ job: 'vitrine-worker', instance: 'worker-1' }, T0_MS + endS * 1000 + 1);
  expect(processSights('vitrine-worker', momentOf(store, endS + 1), WINDOWS)).toEqual([]);
});
