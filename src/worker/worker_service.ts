/**
 * The worker: one HTTP service on the main thread, the models on inference threads. The port opens first, so
 * that health is answered while models load; queries are taken from the moment their model is ready.
 */
import { createServer } from 'node:http';
import { createBatcher } from '../batching/batcher.ts';
import { ByteBudget } from '../batching/byte_budget.ts';
import { ATTR } from '../contract/attributes.ts';
import type { EnergyShare } from '../hardware/energy_share.ts';
import type { Faults } from '../lifecycle/faults.ts';
import type { Health } from '../lifecycle/health.ts';
import { requireTokenBeyondLoopback } from '../lifecycle/http_guard.ts';
import { type Listener, listenAll } from '../lifecycle/listen.ts';
import { scanRepository } from '../model/repository.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createBatchRunner, deadlineError } from './batch_runner.ts';
import { createInfer } from './infer.ts';
import { createRoutes } from './routes.ts';
import { createServedModels, threadsFor } from './served_models.ts';
import { createThreadPool, type InferenceEnd, spawnInferenceThread } from './thread_pool.ts';
import type { Waiting } from './waiting.ts';

export interface WorkerServiceOptions {
  readonly version: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly secret: string;
  readonly allowedHosts: readonly string[];
  readonly modelRepository: string;
  readonly queueRequestsLimit: number;
  readonly queueBytesLimit: number;
  readonly bodyLimitBytes: number;
  readonly maxRowsPerQuery: number;
  readonly defaultTimeoutMs: number;
  /** Told of the port as soon as it is open, before any model is ready. */
  readonly listening?: (port: number) => void;
}

export interface WorkerServiceDeps {
  readonly telemetry: Telemetry;
  readonly health: Health;
  readonly faults: Faults;
  /** Where GPUs are looked at: what their energy is divided by. */
  readonly energy?: Pick<EnergyShare, 'take'> | undefined;
  /** An inference thread died: what it ran is lost, and only a new process helps. */
  readonly crashed: (error: Error) => void;
  /** Starts an inference thread; a real one when absent. */
  readonly spawn?: (faults: SharedArrayBuffer) => InferenceEnd;
}

export interface WorkerService extends AsyncDisposable {
  readonly port: number;
  /** Refuses new queries, finishes those under way without waiting for company, then closes connections. */
  drain(graceMs: number): Promise<void>;
}

/** Idle connections are kept longer than a caller's pool keeps them, so that the caller closes first. */
const KEEP_ALIVE_MS = 65_000;
/** A request that takes longer to arrive is cut off. */
const REQUEST_TIMEOUT_MS = 60_000;

/**
 * Resolves when every model is ready or has told why not.
 * @throws StartupError when the port cannot be opened, or lies beyond loopback without a secret
 */
export async function createWorkerService(
  deps: WorkerServiceDeps,
  options: WorkerServiceOptions,
): Promise<WorkerService> {
  const { telemetry, health, faults } = deps;
  requireTokenBeyondLoopback({
    host: options.host,
    hostSetting: 'VITRINE_WORKER_HOST',
    token: options.secret,
    tokenSetting: 'VITRINE_WORKER_SECRET',
  });
  health.obstruct('models', 'models are loading');
  const scan = await scanRepository(options.modelRepository);
  const spawn = deps.spawn ?? ((buffer) => spawnInferenceThread({ faults: buffer }));
  await using opened = new AsyncDisposableStack();
  const pool = opened.use(
    createThreadPool(
      {
        spawn: () => spawn(faults.buffer),
        crashed: (thread, error) => {
          health.fail(`inference thread ${thread} died`);
          telemetry.log.error('an inference thread died', { [ATTR.thread]: thread, error });
          deps.crashed(error);
        },
      },
      threadsFor(scan.entries),
    ),
  );
  const budget = new ByteBudget(options.queueBytesLimit);
  const runBatch = createBatchRunner({
    pool,
    telemetry,
    faults,
    energy: deps.energy,
    batcher: () => batcher,
  });
  const batcher = opened.use(
    createBatcher<Waiting>(pool.size, {
      onBatch: runBatch,
      onExpired: ({ payload }, nowMs) => {
        payload.model.meters?.departures.expired.add(1);
        payload.query?.mark('queue', nowMs);
        payload.reject(deadlineError());
      },
    }),
  );
  const models = createServedModels({ pool, batcher, budget, telemetry }, scan, options);
  const infer = createInfer({ models, batcher, budget, telemetry, faults }, options);
  const handler = createRoutes(
    { models, infer, health, telemetry },
    { ...options, listenHost: options.host },
  );
  const listener: Listener = opened.use(
    await listenAll(
      () =>
        createServer(
          { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_TIMEOUT_MS, noDelay: true },
          handler,
        ),
      {
        host: options.host,
        port: options.port,
        setting: 'VITRINE_WORKER_BASE_PORT',
        hostSetting: 'VITRINE_WORKER_HOST',
      },
    ),
  );
  options.listening?.(listener.port);
  await models.loadAll();
  health.clear('models');
  const resources = opened.move();
  return {
    port: listener.port,
    async drain(graceMs) {
      const endMs = performance.now() + graceMs;
      // 1. New queries are refused, those that wait close their batches at once.
      listener.stopAccepting();
      const answered = infer.drain();
      await Promise.race([
        Promise.all([batcher.drain(), answered]),
        new Promise((resolve) => setTimeout(resolve, graceMs).unref()),
      ]);
      // 2. Every answer is written: connections may go, those of stuck callers when the time is up.
      await listener.close(Math.max(0, endMs - performance.now()));
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
