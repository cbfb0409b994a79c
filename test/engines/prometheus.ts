/** A real Prometheus over recorded samples, or over live targets, for tests. */
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

/** One element of an answer as of now. */
export interface Element {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exemplar {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
}

export interface RunningPrometheus extends AsyncDisposable {
  readonly url: string;
  /** As of now. */
  query(promql: string): Promise<readonly Element[]>;
  /** Those of the last minutes. */
  exemplars(promql: string, minutes: number): Promise<readonly Exemplar[]>;
  /** One evaluation at each multiple of the step, as a rule would be evaluated then. */
  queryRange(promql: string, startMs: number, endMs: number, stepMs: number): Promise<readonly RangeSeries[]>;
  /** The samples of a range such as `ALERTS[10m]`, with the times at which they were taken. */
  querySamples(promql: string): Promise<readonly RangeSeries[]>;
}

export async function freePort(): Promise<number> {
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

function numberOf(text: string): number {
  return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
}

interface Matrix {
  readonly result: readonly {
    readonly metric: Record<string, string>;
    readonly values: readonly [number, string][];
  }[];
}

function seriesOf({ result }: Matrix): RangeSeries[] {
  return result.map(({ metric, values }) => ({
    labels: metric,
    points: new Map(values.map(([timeS, text]) => [Math.round(timeS * 1000), numberOf(text)])),
  }));
}

/** Samples as blocks of the storage. @param openMetrics text with timestamps, ending with `# EOF` */
async function backfill(folder: string, data: string, openMetrics: readonly string[]): Promise<void> {
  const promtool = findEngine('promtool');
  if (promtool === undefined) throw new Error('there is no promtool');
  const samples = join(folder, 'samples.om');
  await writeFile(samples, openMetrics);
  await run(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', '--quiet', samples, data]);
}

export interface PrometheusOptions {
  /** Text with timestamps, ending with `# EOF`; nothing when undefined. */
  readonly backfilled?: readonly string[];
  /** prometheus.yml; files that it names lie beside it. */
  readonly config?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** A free one unless told. */
  readonly port?: number;
  readonly flags?: readonly string[];
}

/** Starts Prometheus and resolves when it answers. Its folder goes with it. */
export async function launchPrometheus(options: PrometheusOptions): Promise<RunningPrometheus> {
  const prometheus = findEngine('prometheus');
  if (prometheus === undefined) throw new Error('there is no prometheus');
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-prometheus-'));
  const [data, config] = [join(folder, 'data'), join(folder, 'prometheus.yml')];
  if (options.backfilled !== undefined) await backfill(folder, data, options.backfilled);
  await writeFile(config, options.config ?? 'global: {}\n');
  for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, name), text);
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    prometheus,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${data}`,
      '--storage.tsdb.retention.time=100y',
      `--web.listen-address=127.0.0.1:${port}`,
      ...(options.flags ?? []),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = once(child, 'exit');
  const said: string[] = [];
  const lines = createInterface({ input: child.stderr });
  const ready = new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => {
      if (said.push(line) > 50) said.shift();
      if (line.includes('Server is ready to receive web requests')) resolve();
    });
    void exited.then(() => reject(new Error(`prometheus ended: ${said.slice(-5).join('\n')}`)));
  });
  await ready;
  return {
    url,
    async query(promql) {
      const { result } = await json<{
        resultType: string;
        result: { metric: Record<string, string>; value: [number, string] }[] | [number, string];
      }>(`${url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: promql }) });
      if (typeof result[0] === 'number') return [{ labels: {}, value: numberOf(result[1] as string) }];
      return (result as { metric: Record<string, string>; value: [number, string] }[]).map(
        ({ metric, value }) => ({ labels: metric, value: numberOf(value[1]) }),
      );
    },
    async exemplars(promql, minutes) {
      const endS = Date.now() / 1000;
      const form = new URLSearchParams({
        query: promql,
        start: String(endS - minutes * 60),
        end: String(endS),
      });
      const series = await json<{ exemplars: Exemplar[] }[]>(`${url}/api/v1/query_exemplars`, {
        method: 'POST',
        body: form,
      });
      return series.flatMap(({ exemplars }) => exemplars);
    },
    async queryRange(promql, startMs, endMs, stepMs) {
      const form = new URLSearchParams({
        query: promql,
        start: String(startMs / 1000),
        end: String(endMs / 1000),
        step: String(stepMs / 1000),
      });
      return seriesOf(await json<Matrix>(`${url}/api/v1/query_range`, { method: 'POST', body: form }));
    },
    async querySamples(promql) {
      const form = new URLSearchParams({ query: promql });
      return seriesOf(await json<Matrix>(`${url}/api/v1/query`, { method: 'POST', body: form }));
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Backfills samples as blocks and starts Prometheus over them.
 * @param openMetrics text with timestamps, ending with `# EOF`
 */
export function startPrometheus(openMetrics: readonly string[]): Promise<RunningPrometheus> {
  return launchPrometheus({ backfilled: openMetrics });
}
