/** A real Prometheus over recorded samples, for tests. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Built by `npm run engines`; undefined when it was not. */
export function findEngine(name: string): string | undefined {
  const path = new URL(`../../.engines/${name}`, import.meta.url).pathname;
  return existsSync(path) ? path : undefined;
}

export interface RangeSeries {
  readonly labels: Readonly<Record<string, string>>;
  /** Unix milliseconds → value. */
  readonly points: ReadonlyMap<number, number>;
}

export interface RunningPrometheus extends AsyncDisposable {
  /** One evaluation at each multiple of the step, as a rule would be evaluated then. */
  queryRange(promql: string, startMs: number, endMs: number, stepMs: number): Promise<readonly RangeSeries[]>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function json<T>(url: string, init?: RequestInit): Promise<T> {
  const response = await fetch(url, init);
  const body = (await response.json()) as { status: string; data: T; error?: string };
  if (body.status !== 'success') throw new Error(body.error ?? `HTTP ${response.status}`);
  return body.data;
}

/**
 * Backfills samples as blocks and starts Prometheus over them.
 * @param openMetrics text with timestamps, ending with `# EOF`
 */
export async function startPrometheus(openMetrics: readonly string[]): Promise<RunningPrometheus> {
  const [promtool, prometheus] = [findEngine('promtool'), findEngine('prometheus')];
  if (promtool === undefined || prometheus === undefined)
    throw new Error('there is no prometheus and promtool');
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-prometheus-'));
  const [samples, data, config] = ['samples.om', 'data', 'prometheus.yml'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  await writeFile(samples, openMetrics);
  await run(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', samples, data]);
  await writeFile(config, 'global: {}\n');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    prometheus,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = once(child, 'exit');
  const said: string[] = [];
  const lines = createInterface({ input: child.stderr });
  const ready = new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      said.push(line);
      if (line.includes('Server is ready to receive web requests')) resolve();
    });
    void exited.then(() => reject(new Error(`prometheus ended: ${said.slice(-5).join('\n')}`)));
  });
  await ready;
  return {
    async queryRange(promql, startMs, endMs, stepMs) {
      const form = new URLSearchParams({
        query: promql,
        start: String(startMs / 1000),
        end: String(endMs / 1000),
        step: String(stepMs / 1000),
      });
      const { result } = await json<{
        result: { metric: Record<string, string>; values: [number, string][] }[];
      }>(`${url}/api/v1/query_range`, { method: 'POST', body: form });
      return result.map(({ metric, values }) => ({
        labels: metric,
        points: new Map(
          values.map(([timeS, text]) => [
            Math.round(timeS * 1000),
            text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text),
          ]),
        ),
      }));
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
