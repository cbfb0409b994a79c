import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const preload = fileURLToPath(new URL('../src/telemetry/auto_instrumentation.ts', import.meta.url));
const fixture = fileURLToPath(new URL('./fixtures/auto_mode.ts', import.meta.url));

test("auto mode traces a user's call under the query, and leaves the call to a worker as it is", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', preload, fixture], {
    env: { ...process.env, VITRINE_TELEMETRY_LOG_LEVEL: 'silent' },
  });
  const { spans, parents, traceparent, traceId } = JSON.parse(stdout) as {
    spans: string[];
    parents: Record<string, string>;
    traceparent: string;
    traceId: string;
  };
  expect(parents['/worker']).toBe(traceparent);
  expect(parents['/user']).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  expect(parents['/user']).not.toBe(traceparent);
  expect(spans.filter((name) => name === 'GET')).toHaveLength(1);
  expect(spans.filter((name) => name === 'attempt')).toHaveLength(1);
});
