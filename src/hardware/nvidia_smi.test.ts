import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { toldLog } from '../../test/fixtures/told_log.ts';
import { parseSmiLine, startNvidiaSmi } from './nvidia_smi.ts';

const A = 'GPU-7f3c1a52-0b6e-4d19-9c84-2e5d10a7b3f1';
const B = 'GPU-c0a8d2b4-5e17-4f63-8a09-91b7e4f6d2c8';
const MIB = 2 ** 20;
const FAKE = fileURLToPath(new URL('../../test/fixtures/fake_nvidia_smi.ts', import.meta.url));

function fake(mode: string, ...lines: string[]): readonly [string, ...string[]] {
  return [process.execPath, FAKE, mode, ...lines];
}

/** Whether the child that printed its id as the GPU's name is still there. */
function runs(pid: string | undefined): boolean {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
}

describe('a line', () => {
  test('with every value', () => {
    expect(parseSmiLine(`${A}, NVIDIA L4, 97, 20480, 23034, 71.35, 66`)).toEqual({
      id: A,
      model: 'NVIDIA L4',
      state: 'ok',
      values: {
        utilizationRatio: 0.97,
        memoryUsedBytes: 20_480 * MIB,
        memoryTotalBytes: 23_034 * MIB,
        powerWatts: 71.35,
        temperatureCelsius: 66,
      },
    });
  });

  test.each([
    ['[N/A]', 'busy'],
    ['[Not Supported]', 'busy'],
    ['[Unknown Error]', 'busy'],
    ['[Insufficient Permissions]', 'busy'],
    ['', 'busy'],
    ['-1', 'busy'],
    ['1e9', 'busy'],
    ['101', 'more than all of the time'],
  ])('with %s has no such value, and keeps the others', (cell) => {
    const values = parseSmiLine(`${A}, NVIDIA L4, ${cell}, 1, 2, 3, 4\r`)?.values;
    expect(values).toEqual({
      memoryUsedBytes: MIB,
      memoryTotalBytes: 2 * MIB,
      powerWatts: 3,
      temperatureCelsius: 4,
    });
  });

  test('of a lost GPU says so and nothing else', () => {
    const lost = { id: A, model: 'NVIDIA L4', state: 'lost', values: {} };
    expect(parseSmiLine(`${A}, NVIDIA L4, [GPU is lost], 1, 2, 3, 4`)).toEqual(lost);
    expect(parseSmiLine(`${A}, NVIDIA L4, 1, [GPU requires reset: Reset Required], 2, 3, 4`)).toEqual(lost);
  });

  test('with a comma in the name', () => {
    expect(parseSmiLine(`${A}, Odd, Name, 1, 2, 3, 4, 5`)).toMatchObject({
      model: 'Odd, Name',
      values: { temperatureCelsius: 5 },
    });
  });

  test.each([
    'No devices were found',
    'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.',
    `${A}, NVIDIA L4, 1, 2, 3`,
    ', , , , , , ',
    ',,,,,,,,,,',
    '',
  ])('%j is none', (line) => {
    expect(parseSmiLine(line)).toBeUndefined();
  });
});

describe('the child', () => {
  test('prints readings until it is ended, and is gone then', async () => {
    const log = toldLog();
    const smi = startNvidiaSmi(log, {
      command: fake('run', 'a banner', `${A}, {pid}, 1, 2, 3, 4, 5`, `${B}, NVIDIA L4, 6, 7, 8, 9, 10`),
    });
    expect(await smi.found).toBe(true);
    await expect.poll(() => smi.read().map(({ id }) => id)).toEqual([A, B]);
    const pid = smi.read()[0]?.model;
    expect(runs(pid)).toBe(true);
    await smi[Symbol.asyncDispose]();
    expect(runs(pid)).toBe(false);
    expect(smi.read()).toEqual([]);
    expect(log.told).toEqual(['warn: nvidia-smi printed a line that is no reading']);
  });

  test('is killed when it does not obey', async () => {
    const smi = startNvidiaSmi(toldLog(), { command: fake('stubborn', `${A}, {pid}, 1, 2, 3, 4, 5`) });
    expect(await smi.found).toBe(true);
    const pid = smi.read()[0]?.model;
    expect(runs(pid)).toBe(true);
    await smi[Symbol.asyncDispose]();
    expect(runs(pid)).toBe(false);
  });

  test('that is not installed means no GPU', async () => {
    const log = toldLog();
    await using smi = startNvidiaSmi(log, { command: ['vitrine-has-no-such-tool'] });
    expect(await smi.found).toBe(false);
    expect(log.told).toEqual(['debug: nvidia-smi does not start']);
  });

  test('that finds no GPU is not started again', async () => {
    const log = toldLog();
    await using smi = startNvidiaSmi(log, { command: fake('exit6', 'No devices were found') });
    expect(await smi.found).toBe(false);
    expect(log.told).toEqual(['warn: nvidia-smi printed a line that is no reading']);
  });

  test('that keeps dying is started again five times, and then given up', async () => {
    const log = toldLog();
    await using smi = startNvidiaSmi(log, {
      command: fake('exit15', `${A}, NVIDIA L4, 1, 2, 3, 4, 5`),
      restartBackoffMs: 1,
    });
    expect(await smi.found).toBe(true);
    const again = 'warn: nvidia-smi ended and is started again';
    const givenUp = 'error: nvidia-smi keeps ending; GPUs are no longer read';
    await expect
      .poll(() => log.told, { timeout: 20_000 })
      .toEqual([again, again, again, again, again, givenUp]);
    expect(log.fields[0]).toMatchObject({ code: 15 });
    expect(smi.read()).toEqual([]);
  });

  test('gets nothing of the environment of this process', async () => {
    process.env.VITRINE_TEST_SECRET = 'a secret';
    try {
      await using smi = startNvidiaSmi(toldLog(), { command: fake('run', `${A}, {secret}, 1, 2, 3, 4, 5`) });
      expect(await smi.found).toBe(true);
      expect(smi.read()[0]?.model).toBe('nothing');
    } finally {
      delete process.env.VITRINE_TEST_SECRET;
    }
  });
});
