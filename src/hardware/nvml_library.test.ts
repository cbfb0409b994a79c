import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toldLog } from '../../test/fixtures/told_log.ts';
import { openNvml } from './nvml.ts';
import { loadNvml, NVML, NvmlUnavailable } from './nvml_library.ts';

const SOURCE = fileURLToPath(new URL('../../test/fixtures/nvml/fake_nvml.c', import.meta.url));

test('a library that is not there is said to be unavailable, with the reason', async () => {
  const failed = loadNvml('libvitrine-has-no-such-library.so.1');
  await expect(failed).rejects.toThrow(NvmlUnavailable);
  await expect(failed).rejects.toThrow('libvitrine-has-no-such-library.so.1 cannot be loaded');
});

function hasCompiler(): boolean {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

// Through real FFI into C with NVML's structures, wherever there is a compiler.
describe.skipIf(process.platform === 'win32' || !hasCompiler())('through FFI', () => {
  let folder: string;
  function build(name: string, ...defines: string[]): string {
    const path = join(folder, name);
    execFileSync('cc', ['-shared', '-fPIC', ...defines, '-o', path, SOURCE]);
    return path;
  }
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vitrine-nvml-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('arguments reach C and structures come back, field by field', async () => {
    const log = toldLog();
    const library = await loadNvml(build('whole.so'));
    const session = await openNvml(library, log);
    expect(await session?.look()).toEqual([
      {
        id: 'GPU-7f3c1a52-0b6e-4d19-9c84-2e5d10a7b3f1',
        model: 'NVIDIA Test',
        state: 'ok',
        values: {
          utilizationRatio: 0.42,
          memoryUsedBytes: 6 * 2 ** 30,
          memoryTotalBytes: 80 * 2 ** 30,
          powerWatts: 123.456,
          energyJoules: 98_765_432.101,
          temperatureCelsius: 61,
          computeProcesses: 3,
        },
        processIds: [4711, 4712, 4713],
      },
    ]);
    await session?.[Symbol.asyncDispose]();
    // It was shut down, not left: it answers UNINITIALIZED again.
    expect((await library.call('nvmlShutdown')).code).toBe(1);
    expect(log.told).toEqual([]);
  });

  test('a function that an old driver lacks leaves one reading out', async () => {
    const library = await loadNvml(build('old.so', '-DOLD_DRIVER'));
    const answer = await library.call('nvmlDeviceGetComputeRunningProcesses_v3', 1n);
    expect(answer.code).toBe(NVML.functionNotFound);
    await using session = await openNvml(library, toldLog());
    const [reading] = (await session?.look()) ?? [];
    expect(reading?.values.computeProcesses).toBeUndefined();
    expect(reading?.values.temperatureCelsius).toBe(61);
  });
});
