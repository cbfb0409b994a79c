/**
 * The whole service as people run it: the supervisor with its console, workers and gateways as real processes
 * on free ports, observed through public interfaces alone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from '../../src/client/client.ts';
import type { FaultPoint } from '../../src/contract/fault_points.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

export interface Service extends AsyncDisposable {
  readonly client: Client;
  readonly url: string;
  readonly metricsUrl: string;
  readonly consoleUrl: string;
  readonly supervisor: ChildProcess;
  readonly folder: string;
  readonly lines: readonly LogLine[];
  /** Pid of a process of the tree, as it last said. */
  pid(name: 'console' | 'worker' | 'gateway', index: number): number;
  /** Resolves with the first line that fits, past or future. */
  line(fits: (line: LogLine) => boolean): Promise<LogLine>;
  /** Resolves when a process has become ready for the nth time (1 = the first). */
  ready(name: string, index: number, times?: number): Promise<LogLine>;
  /** Sets a fault through the private socket of a process. */
  fault(process: string, point: FaultPoint, fault: Record<string, unknown>): Promise<void>;
  liftFault(process: string, point: FaultPoint): Promise<void>;
  /** Samples of one scrape of the gateway: `name{labels}` → value. */
  scrape(): Promise<Map<string, number>>;
  /** The text of one scrape in OpenMetrics. */
  scrapeText(): Promise<string>;
}

export interface ServiceOptions {
  readonly workers?: number;
  readonly gateways?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly models?: string;
}

/** Variables that would reach into the service under test from the machine. */
function cleanEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && !/^(VITRINE_|OTEL_|VITEST|NODE_OPTIONS)/.test(entry[0]),
    ),
  );
}

function isReady(name: string, index: number): (line: LogLine) => boolean {
  return ({ msg, ports }) => msg === `${name} ${index} is ready` && ports !== undefined;
}

export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-test-'));
  const supervisor = spawn(process.execPath, [join(ROOT, 'src/bin/supervisor.ts')], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...cleanEnvironment(),
      VITRINE_TELEMETRY_LOG_FORMAT: 'json',
      VITRINE_GATEWAY_HTTP_PORT: '0',
      VITRINE_GATEWAY_METRICS_PORT: '0',
      VITRINE_GATEWAY_COUNT: String(options.gateways ?? 1),
      VITRINE_WORKER_COUNT: String(options.workers ?? 1),
      VITRINE_WORKER_BASE_PORT: '0',
      VITRINE_WORKER_MODEL_REPOSITORY: options.models ?? join(ROOT, 'models'),
      VITRINE_CONSOLE_HTTP_PORT: '0',
      VITRINE_CONSOLE_OTLP_PORT: '0',
      VITRINE_CONSOLE_DATABASE_PATH: join(folder, 'traces.db'),
      VITRINE_DRILL_ALLOWED: 'true',
      VITRINE_DRILL_SOCKET_DIRECTORY: join(folder, 'drill'),
      ...options.env,
    },
  });
  const lines: LogLine[] = [];
  const events = new EventEmitter().setMaxListeners(0);
  const output: string[] = [];
  for (const stream of [supervisor.stdout, supervisor.stderr]) {
    createInterface({ input: stream }).on('line', (text) => {
      if (output.length < 2000) output.push(text);
      let parsed: LogLine;
      try {
        parsed = JSON.parse(text) as LogLine;
      } catch {
        return; // what is no log line is for people
      }
      lines.push(parsed);
      events.emit('line', parsed);
    });
  }
  supervisor.once('exit', () => events.emit('exit'));

  const line = async (fits: (line: LogLine) => boolean): Promise<LogLine> => {
    for (;;) {
      const found = lines.find(fits);
      if (found !== undefined) return found;
      if (supervisor.exitCode !== null || supervisor.signalCode !== null) {
        throw new Error(`the service ended before it said so:\n${output.slice(-40).join('\n')}`);
      }
      await Promise.race([once(events, 'line'), once(events, 'exit')]);
    }
  };
  const ready = (name: string, index: number, times = 1): Promise<LogLine> =>
    line((candidate) => lines.filter(isReady(name, index)).indexOf(candidate) === times - 1);
  const portsOf = async (name: string, index: number): Promise<Record<string, number>> =>
    (await ready(name, index)).ports as Record<string, number>;

  const stop = async (): Promise<void> => {
    if (supervisor.exitCode === null && supervisor.signalCode === null) {
      const exited = once(supervisor, 'exit');
      supervisor.kill('SIGTERM');
      await exited;
    }
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    const [consolePorts, gatewayPorts] = await Promise.all([
      options.env?.VITRINE_CONSOLE_ENABLED === 'false' ? { http: 0 } : portsOf('console', 0),
      portsOf('gateway', 0),
    ]);
    for (let index = 1; index <= (options.workers ?? 1); index += 1) {
      await ready('worker', index);
      await line(
        (candidate) => candidate.msg === 'worker is ready' && candidate.worker === `worker-${index}`,
      );
    }
    const url = `http://127.0.0.1:${gatewayPorts.http}`;
    const metricsUrl = `http://127.0.0.1:${gatewayPorts.metrics}/metrics`;
    const client = createClient({ url, connections: 128 });
    const scrapeText = async (): Promise<string> =>
      (await fetch(metricsUrl, { headers: { accept: 'application/openmetrics-text' } })).text();
    const control = (process: string, method: string, point: FaultPoint, body?: unknown): Promise<void> =>
      new Promise((resolve, reject) => {
        const call = request(
          { socketPath: join(folder, 'drill', `${process}.sock`), method, path: `/faults/${point}` },
          (response) => {
            response.resume();
            response.on('end', () =>
              (response.statusCode ?? 500) < 300
                ? resolve()
                : reject(new Error(`fault refused: ${response.statusCode}`)),
            );
          },
        );
        call.on('error', reject);
        call.end(body === undefined ? undefined : JSON.stringify(body));
      });
    return {
      client,
      url,
      metricsUrl,
      consoleUrl: `http://127.0.0.1:${consolePorts.http}`,
      supervisor,
      folder,
      lines,
      line,
      ready,
      pid: (name, index) => lines.findLast((each) => isReady(name, index)(each))?.pid as number,
      fault: (process, point, fault) => control(process, 'PUT', point, fault),
      liftFault: (process, point) => control(process, 'DELETE', point),
      scrapeText,
      async scrape() {
        const samples = new Map<string, number>();
        for (const text of (await scrapeText()).split('\n')) {
          if (text.startsWith('#') || text === '') continue;
          const [sample = ''] = text.split(' # ');
          const at = sample.lastIndexOf(' ');
          samples.set(sample.slice(0, at), Number(sample.slice(at + 1)));
        }
        return samples;
      },
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
