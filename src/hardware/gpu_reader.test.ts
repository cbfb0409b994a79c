import { expect, test, vi } from 'vitest';
import { NvmlReplay } from '../../test/fixtures/nvml_replay.ts';
import { toldLog } from '../../test/fixtures/told_log.ts';
import { openGpuReader } from './gpu_reader.ts';
import type { GpuReading } from './gpu_reading.ts';
import type { NvidiaSmi } from './nvidia_smi.ts';
import { type NvmlFunction, type NvmlLibrary, NvmlUnavailable } from './nvml_library.ts';

const LINE: GpuReading = { id: 'GPU-1', model: 'x', state: 'ok', values: { powerWatts: 1 } };
const never = (): never => {
  throw new Error('must not be asked');
};
const noNvml = (): Promise<NvmlLibrary> => Promise.reject(new NvmlUnavailable('none'));

/** nvidia-smi's twin. */
function smiTwin(found: boolean): { start: () => NvidiaSmi; open: number } {
  const twin = {
    open: 0,
    start: (): NvidiaSmi => {
      twin.open += 1;
      return {
        found: Promise.resolve(found),
        read: () => (found ? [LINE] : []),
        [Symbol.asyncDispose]: async () => {
          twin.open -= 1;
        },
      };
    },
  };
  return twin;
}

test('NVML where it answers: looked at again and again, one look at a time, shut down at the end', async () => {
  const replay = new NvmlReplay('two_devices');
  const log = toldLog();
  const looks: number[] = [];
  const looked = (atMs: number, readings: readonly GpuReading[]): void => {
    expect(readings).toHaveLength(2);
    looks.push(atMs);
  };
  const reader = openGpuReader(
    { log, looked, nvml: async () => replay, smi: never, driverPresent: () => true },
    { look: 'auto', intervalMs: 1 },
  );
  expect(reader.source).toBe('none');
  expect(reader.read()).toEqual([]);
  expect(await reader.searched).toBe('nvml');
  expect(reader.source).toBe('nvml');
  await replay.asked('nvmlDeviceGetTemperature', 8);
  expect(reader.read().map(({ values }) => values.utilizationRatio)).toEqual([0.55, 0]);
  expect(looks.length).toBeGreaterThanOrEqual(2);
  expect(looks.toSorted((a, b) => a - b)).toEqual(looks);
  await reader[Symbol.asyncDispose]();
  expect(replay.count('nvmlShutdown')).toBe(1);
  expect(reader.read()).toEqual([]);
  expect(log.told).toContain('info: GPUs are read');
});

test('nvidia-smi where NVML cannot be called', async () => {
  const smi = smiTwin(true);
  const reader = openGpuReader({ log: toldLog(), nvml: noNvml, smi: smi.start }, { look: 'on' });
  expect(await reader.searched).toBe('nvidia-smi');
  expect(reader.read()).toEqual([LINE]);
  expect(smi.open).toBe(1);
  await reader[Symbol.asyncDispose]();
  expect(smi.open).toBe(0);
});

test('neither: no GPU, which only someone who asked for one is told', async () => {
  for (const look of ['auto', 'on'] as const) {
    const log = toldLog();
    const smi = smiTwin(false);
    const reader = openGpuReader({ log, nvml: noNvml, smi: smi.start, driverPresent: () => true }, { look });
    expect(await reader.searched).toBe('none');
    expect(reader.read()).toEqual([]);
    await reader[Symbol.asyncDispose]();
    expect(smi.open).toBe(0);
    expect(log.told.filter((line) => !line.startsWith('debug'))).toEqual(
      look === 'on' ? ['warn: no GPU was found'] : [],
    );
  }
});

test('the tool is left alone by who has no use for it', async () => {
  await using reader = openGpuReader(
    { log: toldLog(), nvml: noNvml, smi: never, driverPresent: () => true },
    { look: 'auto', throughTool: false },
  );
  expect(await reader.searched).toBe('none');
});

test('a driver that is not loaded is no GPU, and nvidia-smi is not asked for the same', async () => {
  const log = toldLog();
  await using reader = openGpuReader(
    { log, nvml: async () => new NvmlReplay('no_driver'), smi: never },
    { look: 'on' },
  );
  expect(await reader.searched).toBe('none');
  expect(log.told).toEqual(['debug: NVML does not start', 'warn: no GPU was found']);
});

test('a driver without a GPU is no GPU, and is shut down all the same', async () => {
  const replay = new NvmlReplay('idle');
  const nvml = {
    call: async (name: NvmlFunction, subject?: number | bigint) =>
      name === 'nvmlDeviceGetCount_v2' ? { code: 0, value: 0 } : replay.call(name, subject),
  } as NvmlLibrary;
  const reader = openGpuReader({ log: toldLog(), nvml: async () => nvml, smi: never }, { look: 'on' });
  expect(await reader.searched).toBe('none');
  await reader[Symbol.asyncDispose]();
  expect(replay.count('nvmlShutdown')).toBe(1);
});

test('auto loads nothing where the machine shows no driver', async () => {
  const log = toldLog();
  await using reader = openGpuReader(
    { log, nvml: never, smi: never, driverPresent: () => false },
    { look: 'auto' },
  );
  expect(await reader.searched).toBe('none');
  // Being asked would have been told.
  expect(log.told).toEqual([]);
});

test('a call that fails altogether is told, and does not end the looking', async () => {
  const replay = new NvmlReplay('idle');
  const log = toldLog();
  let failures = 2;
  const nvml: NvmlLibrary = {
    call: (name, subject) =>
      name === 'nvmlDeviceGetTemperature' && failures-- > 0
        ? Promise.reject(new Error('FFI failed'))
        : replay.call(name, subject),
  };
  await using reader = openGpuReader(
    { log, nvml: async () => nvml, smi: never },
    { look: 'on', intervalMs: 1 },
  );
  await expect.poll(() => reader.read().length).toBe(1);
  expect(log.told).toEqual(['info: GPUs are read', 'warn: GPUs could not be read; the next look follows']);
});

test('a driver that never comes back does not hold up the end', async () => {
  const replay = new NvmlReplay('idle');
  const log = toldLog();
  const nvml: NvmlLibrary = {
    call: (name, subject) =>
      name === 'nvmlDeviceGetPowerUsage' ? new Promise(() => {}) : replay.call(name, subject),
  };
  const reader = openGpuReader({ log, nvml: async () => nvml, smi: never }, { look: 'on' });
  await reader.searched;
  await reader[Symbol.asyncDispose]();
  expect(log.told).toContain('warn: the GPU driver does not answer; it is left as it is');
  expect(replay.count('nvmlShutdown')).toBe(0);
});

test('closed in the middle of a look: the look ends, and no other follows', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const replay = new NvmlReplay('idle');
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const nvml: NvmlLibrary = {
      call: async (name, subject) => {
        if (name === 'nvmlDeviceGetPowerUsage') {
          asked.resolve();
          await go.promise;
        }
        return replay.call(name, subject);
      },
    };
    const reader = openGpuReader({ log: toldLog(), nvml: async () => nvml, smi: never }, { look: 'on' });
    await asked.promise;
    const closed = reader[Symbol.asyncDispose]();
    go.resolve();
    await closed;
    expect(replay.count('nvmlShutdown')).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('closed while it still looks for nvidia-smi', async () => {
  const found = Promise.withResolvers<boolean>();
  const started = Promise.withResolvers<void>();
  const reader = openGpuReader(
    {
      log: toldLog(),
      nvml: noNvml,
      smi: () => {
        started.resolve();
        return {
          found: found.promise,
          read: () => [LINE],
          [Symbol.asyncDispose]: async () => found.resolve(false),
        };
      },
    },
    { look: 'on' },
  );
  await started.promise;
  await reader[Symbol.asyncDispose]();
  expect(await reader.searched).toBe('none');
  expect(reader.read()).toEqual([]);
});
