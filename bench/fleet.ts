/** One gateway and one worker as they are run, started for a measurement. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../src/client/client.ts';
import { PROFILE_OPTIONS } from './cpu_profile.ts';
import type { Machine } from './machine.ts';
import { entry, type RunningProcess, startProcess } from './processes.ts';

const READY_CHECK_INTERVAL_MS = 20;
const READY_CHECKS_LIMIT = 1500;

export interface FleetPlan {
  /** Tells the logs of several fleets apart. */
  readonly name: string;
  readonly repository: string;
  /** One of TELEMETRY. */
  readonly telemetry: Readonly<Record<string, string>>;
  readonly gatewayRole?: number;
  readonly workerRole?: number;
  /** Whether it will be profiled, see profileWhile(). */
  readonly profiled?: boolean;
}

export interface Fleet extends AsyncDisposable {
  readonly gateway: RunningProcess;
  readonly worker: RunningProcess;
  readonly url: string;
  readonly workerUrl: string;
}

/** Settings of telemetry. */
export const TELEMETRY = {
  /** No record, no header, no metrics. */
  off: { VITRINE_TELEMETRY_ENABLED: 'false' },
  /** Everything but the export: what the serving threads pay alone. */
  unexported: { OTEL_TRACES_EXPORTER: 'none' },
  /** Everything on, every trace kept and sent to a port of this machine. */
  to: (otlpPort: number | undefined) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${otlpPort}` }),
} as const;

/** @throws Error when a process does not start, or the gateway does not find its worker */
export async function startFleet(machine: Machine, folder: string, plan: FleetPlan): Promise<Fleet> {
  await using opened = new AsyncDisposableStack();
  const nodeOptions = plan.profiled === true ? PROFILE_OPTIONS : [];
  const worker = opened.use(
    await startProcess(machine, folder, {
      name: `${plan.name}-worker`,
      module: entry('worker'),
      env: {
        ...plan.telemetry,
        VITRINE_WORKER_BASE_PORT: '0',
        VITRINE_WORKER_MODEL_REPOSITORY: plan.repository,
      },
      nodeOptions,
      ...(plan.workerRole === undefined ? {} : { role: plan.workerRole }),
    }),
  );
  const workerUrl = `http://127.0.0.1:${worker.ports.http}`;
  const gateway = opened.use(
    await startProcess(machine, folder, {
      name: `${plan.name}-gateway`,
      module: entry('gateway'),
      env: {
        ...plan.telemetry,
        VITRINE_GATEWAY_HTTP_PORT: '0',
        VITRINE_GATEWAY_METRICS_PORT: '0',
        VITRINE_GATEWAY_WORKERS: workerUrl,
      },
      nodeOptions,
      ...(plan.gatewayRole === undefined ? {} : { role: plan.gatewayRole }),
    }),
  );
  const url = `http://127.0.0.1:${gateway.ports.http}`;
  await becomeReady(url);
  const held = opened.move();
  return { gateway, worker, url, workerUrl, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/**
 * Resolves when the service at this address can take queries.
 * @param check called between looks; what it throws ends the wait
 */
export async function becomeReady(url: string, check: () => void = () => {}): Promise<void> {
  await using client = createClient({ url });
  for (let look = 0; look < READY_CHECKS_LIMIT; look += 1) {
    check();
    if (await client.serverReady().catch(() => false)) return;
    await sleep(READY_CHECK_INTERVAL_MS);
  }
  throw new Error(`the service at ${url} did not become ready`);
}
