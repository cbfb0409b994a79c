import { expect, test } from 'vitest';
import { CounterSeries } from '../telemetry/metrics.ts';
import { createBusyMeter } from './busy_meter.ts';

function meterAt(clock: { nowMs: number }) {
  const series = new CounterSeries([]);
  let read = (): void => {};
  const beforeRead = (each: () => void): void => {
    read = each;
  };
  const meter = createBusyMeter({ beforeRead }, series, () => clock.nowMs);
  return {
    meter,
    scrapeAt(nowMs: number): number {
      clock.nowMs = nowMs;
      read();
      return series.value;
    },
  };
}

test('a batch counts while it runs, and by its own marks when it has ended', () => {
  const clock = { nowMs: 0 };
  const { meter, scrapeAt } = meterAt(clock);
  meter.began();
  expect(scrapeAt(200)).toBe(0);
  expect(scrapeAt(750)).toBeCloseTo(0.5, 6);
  expect(scrapeAt(1250)).toBeCloseTo(1, 6);
  meter.ended(1290);
  expect(scrapeAt(1300)).toBeCloseTo(1.29, 6);
  expect(scrapeAt(9000)).toBeCloseTo(1.29, 6);
  meter.began();
  expect(scrapeAt(9750)).toBeCloseTo(1.79, 6);
});

test('a batch that was slow to begin takes nothing back', () => {
  const clock = { nowMs: 0 };
  const { meter, scrapeAt } = meterAt(clock);
  meter.began();
  expect(scrapeAt(1250)).toBeCloseTo(1, 6);
  meter.ended(400);
  expect(scrapeAt(1300)).toBeCloseTo(1, 6);
  meter.began();
  expect(scrapeAt(1700)).toBeCloseTo(1, 6);
  meter.ended(800);
  expect(scrapeAt(2000)).toBeCloseTo(1.2, 6);
});
