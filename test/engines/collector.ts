/** A real Collector with a committed file, of which only addresses are replaced; and a store that it delivers to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { findEngine, freePort } from './prometheus.ts';

const ROOT = join(import.meta.dirname, '../..');
const LINES_KEPT = 50;

export interface Running {
  readonly child: ChildProcess;
  /** `line` for each line of its log, with what it says. */
  readonly log: EventEmitter<{ line: [{ readonly msg?: string; readonly level?: string }] }>;
}

/**
 * Starts a Collector, or Jaeger, which is one, and resolves when it is ready.
 * @throws Error with its last lines when it ends before
 */
export async function launchCollector(
  engine: 'collector' | 'jaeger',
  config: string,
  env: Readonly<Record<string, string>>,
): Promise<Running> {
  const path = findEngine(engine);
  if (path === undefined) throw new Error(`there is no ${engine}; run "npm run engines"`);
  const child = spawn(path, [`--config=${config}`], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const log: Running['log'] = new EventEmitter();
  const said: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (text) => {
      if (said.push(text) > LINES_KEPT) said.shift();
      if (text.includes('Everything is ready')) resolve();
      if (!text.startsWith('{')) return;
      const line = JSON.parse(text) as { msg?: string; level?: string };
      log.emit('line', line);
    });
    child.once('exit', () => reject(new Error(`${engine} ended: ${said.slice(-5).join('\n')}`)));
  });
  return { child, log };
}

/** Resolves when it is over. */
export async function endCollector(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

export interface CollectorPorts {
  readonly otlpHttp: number;
  readonly metrics: number;
  readonly self: number;
}

export interface CollectorUnderTest extends AsyncDisposable {
  readonly ports: CollectorPorts;
  /** Its log, until it is killed. */
  log(): Running['log'];
  /** Kills it, so that nothing is written or flushed any more. */
  kill(): Promise<void>;
  /** Again, with the same ports and folder. */
  restart(): Promise<void>;
}

/** @param path of a committed file @param env its variables; the queue has a folder of its own, kept over restarts */
export async function startCollector(
  path: string,
  env: Readonly<Record<string, string>>,
): Promise<CollectorUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-collector-'));
  const config = join(folder, 'config.yaml');
  const ports = { otlpHttp: await freePort(), metrics: await freePort(), self: await freePort() };
  const places: Readonly<Record<string, number>> = {
    '0.0.0.0:4317': await freePort(),
    '0.0.0.0:4318': ports.otlpHttp,
    '0.0.0.0:8889': ports.metrics,
    '0.0.0.0:13133': await freePort(),
  };
  let text = readFileSync(join(ROOT, path), 'utf8').replace('port: 8888', `port: ${ports.self}`);
  text = text.replace('host: 0.0.0.0', 'host: 127.0.0.1');
  for (const [place, port] of Object.entries(places)) text = text.replaceAll(place, `127.0.0.1:${port}`);
  writeFileSync(config, text);
  const start = (): Promise<Running> =>
    launchCollector('collector', config, { QUEUE_DIRECTORY: join(folder, 'queue'), ...env });
  let running = await start();
  return {
    ports,
    log: () => running.log,
    kill: () => endCollector(running.child, 'SIGKILL'),
    async restart() {
      running = await start();
    },
    async [Symbol.asyncDispose]() {
      await endCollector(running.child, 'SIGTERM');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface OtlpSpan {
  readonly traceId: string;
  readonly name: string;
}

interface OtlpJson {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

export interface TraceSink extends AsyncDisposable {
  /** OTLP over gRPC: in Jaeger's place. */
  readonly endpoint: string;
  /** Trace id → names of its spans, of all that came. */
  readonly traces: ReadonlyMap<string, readonly string[]>;
  /** Resolves when there are all of these traces. */
  has(ids: Iterable<string>): Promise<void>;
}

/** A second Collector takes OTLP over gRPC and hands it on as JSON, which is kept here. @param port a free one unless told */
export async function startTraceSink(port?: number): Promise<TraceSink> {
  const traces = new Map<string, string[]>();
  const came = new EventEmitter<{ some: [] }>();
  const server = createServer((request, response) => {
    void (async () => {
      const body = (await json(request)) as OtlpJson;
      for (const { scopeSpans } of body.resourceSpans) {
        for (const { traceId, name } of scopeSpans.flatMap(({ spans }) => spans)) {
          traces.set(traceId, [...(traces.get(traceId) ?? []), name]);
        }
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      came.emit('some');
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-sink-'));
  const config = join(folder, 'config.yaml');
  const grpc = port ?? (await freePort());
  writeFileSync(
    config,
    JSON.stringify({
      receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` } } } },
      exporters: {
        otlp_http: {
          traces_endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
          encoding: 'json',
          compression: 'none',
          sending_queue: { enabled: false },
        },
      },
      service: {
        pipelines: { traces: { receivers: ['otlp'], exporters: ['otlp_http'] } },
        telemetry: { logs: { encoding: 'json' }, metrics: { level: 'none' } },
      },
    }),
  );
  const { child } = await launchCollector('collector', config, {});
  return {
    endpoint: `127.0.0.1:${grpc}`,
    traces,
    async has(ids) {
      const wanted = [...ids];
      while (!wanted.every((id) => traces.has(id))) await once(came, 'some');
    },
    async [Symbol.asyncDispose]() {
      await endCollector(child, 'SIGTERM');
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
