import { describe, expect, test } from 'vitest';
import { NvmlReplay } from '../../test/fixtures/nvml_replay.ts';
import { toldLog } from '../../test/fixtures/told_log.ts';
import { EnergyShare } from './energy_share.ts';
import type { GpuReading } from './gpu_reading.ts';
import { openNvml } from './nvml.ts';

const OWN = 4711;
const LOOKS = 12;

function gpu(energyJoules: number | undefined, processIds: readonly number[] = [OWN], id = 'a'): GpuReading {
  return { id, model: 'L4', state: 'ok', values: { energyJoules }, processIds };
}

/** Looks of the recording, a second apart, with batches between them. */
async function playRecording(busyMs: (look: number) => number) {
  const session = await openNvml(new NvmlReplay('working'), toldLog());
  if (session === undefined) throw new Error('NVML did not start');
  const share = new EnergyShare(OWN);
  const readings: GpuReading[] = [];
  /** After each look: what was given and what was due since the start. */
  const sums: { given: number; due: number }[] = [];
  let given = 0;
  for (let look = 0; look < LOOKS; look += 1) {
    const [reading] = await session.look();
    if (reading === undefined) throw new Error('no GPU');
    readings.push(reading);
    share.look(look * 1000, [reading]);
    sums.push({ given, due: share.dueJoules });
    const batches = 10;
    for (let batch = 0; batch < batches; batch += 1) given += share.take(busyMs(look) / batches) ?? 0;
  }
  return { share, readings, sums };
}

describe('over a recorded GPU', () => {
  test('what queries are given sums to what the GPU took while they ran, a look behind', async () => {
    const { readings, sums } = await playRecording(() => 1000);
    // It was busy throughout: all of its energy is due, half of it while another process shared the GPU.
    const took = (from: number, to: number): number =>
      (readings[to]?.values.energyJoules ?? 0) - (readings[from]?.values.energyJoules ?? 0);
    const shared = took(4, 7);
    expect(sums.at(-1)?.due).toBeCloseTo(took(0, LOOKS - 1) - shared / 2 - took(0, 1), 6);
    for (const [look, { given, due }] of sums.entries()) {
      // Off by the change of power within the newest interval and the one that is being made up for.
      expect(Math.abs(given - due), `look ${look}`).toBeLessThanOrEqual(2 * 72);
    }
  });

  test('time in which nothing ran is nobody’s', async () => {
    const whole = await playRecording(() => 1000);
    const tenth = await playRecording(() => 100);
    const none = await playRecording(() => 0);
    expect(tenth.share.dueJoules).toBeCloseTo(whole.share.dueJoules / 10, 6);
    expect(none.share.dueJoules).toBe(0);
  });

  test('it counts what is given only once anything is known', async () => {
    const { sums } = await playRecording(() => 1000);
    expect(sums[1]).toEqual({ given: 0, due: 0 });
  });
});

test('at steady power the shares sum to the energy, to the rounding', () => {
  const share = new EnergyShare(OWN);
  let given = 0;
  for (let look = 0; look <= 100; look += 1) {
    share.look(look * 1000, [gpu(look * 70)]);
    for (const part of [0.1, 0.25, 0.3]) given += share.take(part * 1000) ?? 0;
  }
  // The last interval is given and not yet due.
  expect(given - 70 * 0.65).toBeCloseTo(share.dueJoules, 9);
  expect(share.dueJoules).toBeCloseTo(99 * 70 * 0.65, 9);
});

test('batches that overlap on a GPU share what it took', () => {
  const share = new EnergyShare(OWN);
  for (let look = 0; look <= 10; look += 1) {
    share.look(look * 1000, [gpu(look * 70)]);
    for (let thread = 0; thread < 4; thread += 1) share.take(900);
  }
  share.look(11_000, [gpu(11 * 70)]);
  expect(share.dueJoules).toBeCloseTo(10 * 70, 9);
});

/** Looks a second apart: what a batch of that length is given after each. */
function seconds(): (look: number, watts: number, busyMs?: number) => number {
  const share = new EnergyShare(OWN);
  let energy = 0;
  return (look, watts, busyMs = 1000) => {
    energy += watts;
    share.look(look * 1000, [gpu(energy)]);
    return share.take(busyMs) ?? Number.NaN;
  };
}

test('what was too little is made up for, at no more than twice the rate', () => {
  const second = seconds();
  second(0, 10);
  expect(second(1, 10)).toBeCloseTo(10, 9);
  // 400 were due for what was given 10: the next is given the rate, and the rest.
  expect(second(2, 400, 100)).toBeCloseTo(79, 9);
  // 321 are still due for a tenth of a second's work: that would be 33 times the rate.
  expect(second(3, 100)).toBeCloseTo(200, 9);
});

test('what was too much is made up for, and nobody is given less than nothing', () => {
  const second = seconds();
  second(0, 100);
  expect(second(1, 100)).toBeCloseTo(100, 9);
  // 10 were due; 90 too much are more than the next second takes.
  expect(second(2, 10)).toBe(0);
  expect(second(3, 100)).toBeCloseTo(110, 9);
});

test.each([
  ['another process alone uses it', [gpu(0, [12]), gpu(70, [12])]],
  ['nobody says who uses it', [gpu(0), { ...gpu(70), processIds: undefined }]],
  ['it counts no energy', [gpu(undefined), gpu(undefined)]],
  ['its counter began anew', [gpu(500), gpu(20)]],
  ['it is another GPU', [gpu(0), gpu(70, [OWN], 'b')]],
  ['it was lost', [gpu(0), { ...gpu(undefined), state: 'lost' as const, processIds: undefined }]],
])('nothing is known where %s', (_name, looks) => {
  const share = new EnergyShare(OWN);
  for (const [index, reading] of looks.entries()) share.look(index * 1000, [reading]);
  expect(share.take(10)).toBeUndefined();
  expect(share.dueJoules).toBe(0);
});
