import { describe, expect, test } from 'vitest';
import type { SampleNeed } from '../../slo/evaluator_plan.ts';
import { increase } from './measure.ts';
import { SampleSeries } from './sample_series.ts';
import { SampleStore } from './sample_store.ts';
import { storeOf, T0_MS } from './series_for_tests.ts';

const MINUTE_TIER = { stepMs: 60_000, retentionMs: 86_400_000 };

function sample(name: string, labels: Readonly<Record<string, string>>, value: number) {
  return { name, labels, value };
}

describe('steps of time', () => {
  const fiveMinutes = (values: readonly number[], isCounter: boolean) => {
    const series = new SampleSeries({}, [{ stepMs: 300_000, retentionMs: 86_400_000 }], isCounter);
    for (const [index, value] of values.entries()) series.append(index * 60_000, value);
    return series.window(-1, 1e9, 0);
  };

  test('keep the last of each, with its own time, and the first of all', () => {
    expect(fiveMinutes([1, 2, 3, 4, 5, 6, 7], true)).toEqual({
      times: [0, 240_000, 360_000],
      values: [1, 5, 7],
    });
  });

  test('no growth is lost to resets, however they lie', () => {
    for (const values of [
      [100, 110, 5, 120, 130, 140],
      [100, 110, 5, 20, 30, 3, 400],
      [0, 10, 0, 10, 0, 10, 0, 10, 0, 10, 0, 10],
    ]) {
      const grown = (kept: readonly number[]): number =>
        kept.reduce((sum, value, index) => {
          const before = kept[index - 1] ?? value;
          return sum + (value < before ? value : value - before);
        }, 0);
      expect(grown(fiveMinutes(values, true).values), String(values)).toBe(grown(values));
    }
  });

  test('a gauge that goes up and down takes one place in each', () => {
    expect(fiveMinutes([5, 4, 3, 2, 1, 9, 8, 7], false).values).toEqual([5, 1, 7]);
  });

  test('a window is read from the finest step that still reaches it', () => {
    const series = new SampleSeries({}, [{ stepMs: 0, retentionMs: 120_000 }, MINUTE_TIER], true);
    for (let atS = 0; atS <= 600; atS += 15) series.append(atS * 1000, atS);
    series.expire(600_000);
    expect(series.window(480_000, 600_000, 600_000).times).toHaveLength(8);
    const long = series.window(0, 600_000, 600_000);
    expect(long.times).toHaveLength(11);
    expect(increase(long, 600_000, 600_000)).toBeCloseTo(600, 0);
  });
});

describe('scrapes', () => {
  const target = { job: 'worker', instance: 'worker-1' };
  const name = 'inference_queue_requests';
  const read = (store: SampleStore, atMs: number, of = name, labels = {}) =>
    store
      .select(
        of,
        Object.entries(labels).map(([label, value]) => ({ label, is: 'in', values: [String(value)] })),
      )
      .map((series) => series.at(atMs, 300_000, store.nowMs));

  test('what a scrape no longer lists has ended; a failed one ends all but up', () => {
    const store = storeOf([name]);
    store.record(target, [sample(name, { model: 'a' }, 1), sample(name, { model: 'b' }, 2)], T0_MS);
    store.record(target, [sample(name, { model: 'a' }, 3)], T0_MS + 15_000);
    expect(read(store, T0_MS + 14_000)).toEqual([1, 2]);
    expect(read(store, T0_MS + 15_000)).toEqual([3, undefined]);
    store.recordFailure(target, T0_MS + 30_000);
    expect(read(store, T0_MS + 30_000)).toEqual([undefined, undefined]);
    expect(read(store, T0_MS + 30_000, 'up')).toEqual([0]);
    store.record(target, [sample(name, { model: 'b' }, 4)], T0_MS + 45_000);
    expect(read(store, T0_MS + 45_000)).toEqual([undefined, 4]);
    store.forget(target, T0_MS + 60_000);
    expect(read(store, T0_MS + 60_000)).toEqual([undefined, undefined]);
    expect(read(store, T0_MS + 60_000, 'up')).toEqual([undefined]);
  });

  test('what nobody asks for takes no place', () => {
    const needs: SampleNeed[] = [
      {
        metric: 'inference_requests_total',
        where: [{ label: 'model', is: 'in', values: ['a'] }],
        reachS: 60,
        stepS: 15,
      },
    ];
    const store = new SampleStore({ needs, timeScale: 1, seriesLimit: 10 });
    const samples = [
      sample('inference_requests_total', { model: 'a' }, 1),
      sample('inference_requests_total', { model: 'b' }, 1),
      sample('process_uptime_seconds', {}, 1),
    ];
    store.record(target, samples, T0_MS);
    expect([...store.all()].map(({ name: kept }) => kept).sort()).toEqual(['inference_requests_total', 'up']);
  });

  test('a flood of label values stays bounded and is counted', () => {
    const store = storeOf([name], 7200, 50);
    for (let round = 0; round < 3; round += 1) {
      const flood = Array.from({ length: 100 }, (_, index) =>
        sample(name, { model: `m${round}-${index}` }, 1),
      );
      store.record(target, flood, T0_MS + round * 15_000);
    }
    expect(store.seriesCount).toBe(50);
    expect(store.droppedSamples).toBe(3 * 100 - 50 + 3);
    store.nowMs += 3 * 3_600_000;
    store.expire();
    expect(store.seriesCount).toBe(0);
  });

  test('a sample that is not newer is refused', () => {
    const store = storeOf([name]);
    store.record(target, [sample(name, {}, 1)], T0_MS);
    store.record(target, [sample(name, {}, 2)], T0_MS);
    expect(read(store, T0_MS)).toEqual([1]);
  });

  test('labels of the target win, and labels in any order are one series', () => {
    const store = storeOf([name]);
    store.record(target, [sample(name, { a: '1', b: 'x', job: 'other' }, 1)], T0_MS);
    store.record(target, [sample(name, { b: 'x', a: '1' }, 2)], T0_MS + 1);
    expect(store.select(name, []).map(({ labels }) => labels)).toEqual([{ a: '1', b: 'x', ...target }]);
  });

  test('when the clock is set, everything moves with it', () => {
    const store = storeOf([name]);
    for (const deltaMs of [-3_600_000, 7_200_000]) {
      store.record(
        target,
        [sample(name, { model: 'a' }, 1), sample(name, { model: 'b' }, 1)],
        Math.max(T0_MS, store.nowMs + 15_000),
      );
      store.record(target, [sample(name, { model: 'a' }, 2)], store.nowMs + 15_000);
      const before = store.nowMs;
      store.shift(deltaMs);
      expect(store.nowMs).toBe(before + deltaMs);
      expect(read(store, store.nowMs)).toEqual([2, undefined]);
      expect(read(store, store.nowMs - 15_000)).toEqual([1, 1]);
    }
  });
});
