import { describe, expect, it } from 'vitest';
import { ServiceTime } from './service_time.ts';

function settled(rows: number, ms: number): ServiceTime {
  const time = new ServiceTime();
  for (let run = 0; run < 200; run += 1) time.observe(rows, ms);
  return time;
}

describe('ServiceTime', () => {
  it('expects nothing before it has measured', () => {
    const time = new ServiceTime();
    expect([time.expectedMs(1), time.rowsPerS()]).toEqual([0, 0]);
  });

  it('expects what steady runs take, and its rows per second', () => {
    const time = settled(8, 4);
    expect(time.expectedMs(8)).toBeCloseTo(4, 3);
    expect(time.rowsPerS()).toBeCloseTo(2000, 1);
  });

  it('allows for spread: unsteady runs are expected later than their mean', () => {
    const time = new ServiceTime();
    for (let run = 0; run < 200; run += 1) time.observe(1, run % 2 === 0 ? 2 : 6);
    expect(time.expectedMs(1)).toBeGreaterThan(8);
  });

  it('takes the next larger size for one never seen, else the next smaller', () => {
    const time = settled(8, 4);
    expect(time.expectedMs(2)).toBeCloseTo(4, 3);
    expect(time.expectedMs(64)).toBeCloseTo(4, 3);
  });

  it('tells sizes apart', () => {
    const time = settled(1, 1);
    for (let run = 0; run < 200; run += 1) time.observe(16, 9);
    expect(time.expectedMs(1)).toBeCloseTo(1, 3);
    expect(time.expectedMs(12)).toBeCloseTo(9, 3);
  });
});
