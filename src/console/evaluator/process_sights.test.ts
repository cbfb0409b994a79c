import { expect, test } from 'vitest';
import { processSights } from './process_sights.ts';
import { momentOf, storeOf, T0_MS } from './series_for_tests.ts';

const STEP_MS = 15_000;
const ATTEMPTS = 'inference_attempts_total';

/** What happens to one worker at each scrape: attempts answered and lost so far, and its uptime; undefined: no answer. */
interface Seen {
  readonly ok: number;
  readonly lost?: number;
  readonly uptimeS: number | undefined;
}

function storeWith(workers: Readonly<Record<string, readonly Seen[]>>) {
  const store = storeOf(['up', 'process_uptime_seconds', ATTEMPTS]);
  const scrapes = Math.max(...Object.values(workers).map((seen) => seen.length));
  for (let index = 0; index < scrapes; index += 1) {
    const timeMs = T0_MS + index * STEP_MS;
    const attempts = Object.entries(workers).flatMap(([worker, seen]) => {
      const { ok = 0, lost = 0 } = seen[index] ?? {};
      return [
        { name: ATTEMPTS, labels: { worker, outcome: 'ok' }, value: ok },
        { name: ATTEMPTS, labels: { worker, outcome: 'lost' }, value: lost },
      ];
    });
    store.record({ job: 'vitrine-gateway', instance: 'gateway-0' }, attempts, timeMs);
    for (const [instance, seen] of Object.entries(workers)) {
      const target = { job: 'vitrine-worker', instance };
      const uptimeS = seen[index]?.uptimeS;
      if (uptimeS === undefined) store.recordFailure(target, timeMs);
      else store.record(target, [{ name: 'process_uptime_seconds', labels: {}, value: uptimeS }], timeMs);
    }
  }
  return { store, endS: ((scrapes - 1) * STEP_MS) / 1000 };
}

/** 21 scrapes: 200 s of baseline, and 100 s of window. */
function life(at: (index: number) => Seen): Seen[] {
  return Array.from({ length: 21 }, (_, index) => at(index));
}

const WINDOWS = { windowS: 100, baselineS: 200 };

test('of a worker that fell silent: since when, what it answered before, and what it left', () => {
  const { store, endS } = storeWith({
    'worker-1': life((index) => ({
      ok: Math.min(index, 17) * 150,
      lost: index > 17 ? 4 : 0,
      uptimeS: index > 17 ? undefined : index * 15,
    })),
    'worker-2': life((index) => ({ ok: index * 150, uptimeS: index * 15 })),
  });
  const [silent, well] = processSights('vitrine-worker', momentOf(store, endS), WINDOWS);
  expect(silent).toMatchObject({
    instance: 'worker-1',
    silentSinceMs: T0_MS + 18 * STEP_MS,
    answeredAtMs: T0_MS + 17 * STEP_MS,
    restarts: 0,
  });
  expect(silent?.answersPerS).toBeCloseTo(10, 0);
  expect(silent?.unanswered).toBeGreaterThanOrEqual(4);
  expect(well).toMatchObject({ instance: 'worker-2', silentSinceMs: undefined, unanswered: 0 });
  expect(well?.answeredAtMs).toBe(T0_MS + endS * 1000);
});

test('restarts are those of the window alone', () => {
  const { store, endS } = storeWith({
    'worker-1': life((index) => ({ ok: index, uptimeS: [3, 16, 18].includes(index) ? 1 : 100 + index })),
  });
  expect(processSights('vitrine-worker', momentOf(store, endS), WINDOWS)).toMatchObject([{ restarts: 2 }]);
});

test('one that is no longer listed was taken away, and is not told of', () => {
  const { store, endS } = storeWith({ 'worker-1': life((index) => ({ ok: index, uptimeS: index })) });
  store.forget({ job: 'vitrine-worker', instance: 'worker-1' }, T0_MS + endS * 1000 + 1);
  expect(processSights('vitrine-worker', momentOf(store, endS + 1), WINDOWS)).toEqual([]);
});
