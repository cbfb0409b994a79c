import { expect, test } from 'vitest';
import { NvmlReplay } from '../../test/fixtures/nvml_replay.ts';
import { toldLog } from '../../test/fixtures/told_log.ts';
import { openNvml } from './nvml.ts';

const A = 'GPU-7f3c1a52-0b6e-4d19-9c84-2e5d10a7b3f1';
const B = 'GPU-c0a8d2b4-5e17-4f63-8a09-91b7e4f6d2c8';
const GIB = 2 ** 30;

async function open(recording: ConstructorParameters<typeof NvmlReplay>[0]) {
  const replay = new NvmlReplay(recording);
  const log = toldLog();
  const session = await openNvml(replay, log);
  if (session === undefined) throw new Error('NVML did not start');
  return { replay, log, session };
}

test('an idle GPU: every reading, in SI units, zero processes, nothing to tell', async () => {
  const { replay, log, session } = await open('idle');
  expect(session.count).toBe(1);
  expect(await session.look()).toEqual([
    {
      id: A,
      model: 'NVIDIA L4',
      state: 'ok',
      values: {
        utilizationRatio: 0,
        memoryUsedBytes: GIB / 2,
        memoryTotalBytes: 24 * GIB,
        powerWatts: 16.25,
        energyJoules: 982_451,
        temperatureCelsius: 34,
        computeProcesses: 0,
      },
      processIds: [],
    },
  ]);
  await session[Symbol.asyncDispose]();
  expect(replay.count('nvmlShutdown')).toBe(1);
  expect(log.told).toEqual([]);
});

test('what a GPU does not tell is absent and no zero; a failure that nobody expects is told once', async () => {
  const { log, session } = await open('busy_mig');
  const [first] = await session.look();
  expect(first?.state).toBe('ok');
  expect(first?.values).toEqual({ memoryUsedBytes: 61 * GIB, memoryTotalBytes: 80 * GIB, powerWatts: 412.8 });
  expect(log.told).toEqual(['warn: a reading of a GPU failed; it is absent while it does']);
  expect(log.fields[0]).toMatchObject({ gpu: A, call: 'nvmlDeviceGetTemperature', code: 999 });
  expect((await session.look())[0]?.values.temperatureCelsius).toBeUndefined();
  expect((await session.look())[0]?.values.temperatureCelsius).toBe(63);
  expect(log.told).toHaveLength(1);
});

test('a GPU that is lost has no values, is told once, and comes back', async () => {
  const { log, session } = await open('lost');
  expect((await session.look())[0]?.values.utilizationRatio).toBe(0.87);
  for (let look = 0; look < 2; look += 1) {
    expect(await session.look()).toEqual([{ id: A, model: 'NVIDIA A10', state: 'lost', values: {} }]);
  }
  expect(log.told).toEqual(['error: a GPU is lost: it fell off the bus or needs a reset']);
  expect(log.fields[0]).toMatchObject({ gpu: A, code: 15 });
  const [back] = await session.look();
  expect(back).toMatchObject({ state: 'ok', values: { utilizationRatio: 0.03, energyJoules: 5149 } });
  expect(log.told.slice(1)).toEqual(['info: a GPU is back']);
});

test('of three GPUs one is lost before it has a name, and one is not ours to use', async () => {
  const { log, session } = await open('two_devices');
  expect(session.count).toBe(2);
  const [first, second] = await session.look();
  expect(first).toMatchObject({ id: A, values: { utilizationRatio: 0.42, computeProcesses: 1 } });
  expect(first?.processIds).toEqual([4711]);
  expect(second).toEqual({ id: 'index:1', model: '', state: 'lost', values: {} });
  const later = await session.look();
  expect(later[0]).toMatchObject({ id: A, values: { utilizationRatio: 0.55, computeProcesses: 3 } });
  expect(later[1]).toMatchObject({ id: B, model: 'NVIDIA A10', state: 'ok', values: { powerWatts: 21 } });
  expect(log.told).toHaveLength(2);
});

test('a library without a driver behind it does not start', async () => {
  const replay = new NvmlReplay('no_driver');
  expect(await openNvml(replay, toldLog())).toBeUndefined();
  expect(replay.count('nvmlShutdown')).toBe(0);
});
