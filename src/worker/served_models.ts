/**
 * The models of this worker: what the repository holds, what became of each version, and which one answers a
 * query. A model that cannot be loaded is told with its reason, and the others serve.
 */
import type { Batcher } from '../batching/batcher.ts';
import type { ByteBudget } from '../batching/byte_budget.ts';
import { BatchQueue } from '../batching/queue.ts';
import { ServiceTime } from '../batching/service_time.ts';
import { VitrineError } from '../contract/errors.ts';
import { nearestName } from '../contract/nearest_name.ts';
import type { ModelMetadata } from '../contract/oip.ts';
import type { ModelState, RepositoryIndexEntry } from '../contract/repository_index.ts';
import { createPipeline } from '../model/create_pipeline.ts';
import type { ModelInfo } from '../model/model_info.ts';
import { formatProblem, type ModelProblem } from '../model/model_problem.ts';
import type { Pipeline } from '../model/pipelines.ts';
import { compareVersions, type ModelEntry, type RepositoryScan } from '../model/repository.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createModelMeters, type ModelMeters } from './meters.ts';
import type { ThreadPool } from './thread_pool.ts';
import type { Waiting } from './waiting.ts';

/** A version that answers queries. */
export interface ReadyModel {
  readonly info: ModelInfo;
  readonly slot: number;
  readonly pipeline: Pipeline;
  readonly queue: BatchQueue<Waiting>;
  readonly serviceTime: ServiceTime;
  /** undefined while telemetry is off. */
  readonly meters: ModelMeters | undefined;
}

/** States that /metrics tells of; no other is entered while versions come and go with the process. */
const SHOWN_STATES: readonly ModelState[] = ['LOADING', 'READY', 'UNAVAILABLE'];

interface Version {
  readonly name: string;
  readonly version: string;
  state: ModelState;
  reason: string;
  ready: ReadyModel | undefined;
}

export interface ServedModels {
  /**
   * @param version undefined asks for the newest that is ready
   * @throws VitrineError `unknown_model`, `unknown_version`, `model_not_ready`
   */
  find(name: string, version: string | undefined): ReadyModel;
  /** @throws VitrineError as find() */
  metadata(name: string, version: string | undefined): ModelMetadata;
  /** By name, then by version, ascending. */
  index(): RepositoryIndexEntry[];
  /** Resolves when each version is ready or has failed. Called once. */
  loadAll(): Promise<void>;
}

/** How many threads the models of this repository ask for; at least one. */
export function threadsFor(entries: readonly ModelEntry[]): number {
  return Math.max(1, ...entries.map((entry) => entry.manifest.instances));
}

/** Which threads carry which model: each on as many as it has instances, the least laden first. */
export function placeModels(entries: readonly ModelEntry[], threads: number): number[][] {
  const laden = new Array<number>(threads).fill(0);
  return entries.map((entry) => {
    const order = laden.map((_, thread) => thread);
    order.sort((a, b) => (laden[a] ?? 0) - (laden[b] ?? 0) || a - b);
    const chosen = order.slice(0, entry.manifest.instances).sort((a, b) => a - b);
    for (const thread of chosen) laden[thread] = (laden[thread] ?? 0) + 1;
    return chosen;
  });
}

function reasonOf(problems: readonly ModelProblem[]): string {
  return problems.map(formatProblem).join('; ');
}

export interface ServedModelsDeps {
  readonly pool: ThreadPool;
  readonly batcher: Batcher<Waiting>;
  readonly budget: ByteBudget;
  readonly telemetry: Pick<Telemetry, 'log' | 'metrics' | 'enabled'>;
}

export function createServedModels(
  deps: ServedModelsDeps,
  scan: RepositoryScan,
  options: { readonly queueRequestsLimit: number },
): ServedModels {
  const { pool, batcher, budget, telemetry } = deps;
  const { log, metrics } = telemetry;
  const models = new Map<string, Version[]>();
  const queuesOf = new Map<string, BatchQueue<Waiting>[]>();
  const metersOf = new Map<string, ModelMeters>();

  const add = (name: string, version: string, state: ModelState, reason: string): Version => {
    const added: Version = { name, version, state, reason, ready: undefined };
    const versions = models.get(name) ?? [];
    versions.push(added);
    versions.sort((a, b) => compareVersions(a.version, b.version));
    models.set(name, versions);
    for (const each of telemetry.enabled ? SHOWN_STATES : []) {
      metrics
        .gauge('inference_repository_models')
        .series({ model: name, version, state: each })
        .observeWith(() => Number(added.state === each));
    }
    return added;
  };
  const loading = scan.entries.map((entry) => add(entry.name, entry.version, 'LOADING', 'loading'));
  for (const problem of scan.problems) {
    log.warn('a model cannot be served', { problem: formatProblem(problem), code: problem.code });
    if (problem.model === '') continue;
    const known = models.get(problem.model)?.find((one) => one.version === (problem.version ?? ''));
    if (known === undefined) {
      add(problem.model, problem.version ?? '', 'UNAVAILABLE', formatProblem(problem));
    } else if (known.state === 'UNAVAILABLE') known.reason += `; ${formatProblem(problem)}`;
  }

  const count = (entry: ModelEntry, outcome: 'ok' | 'error', loadMs: number): void => {
    if (!telemetry.enabled) return;
    const labels = { model: entry.name, version: entry.version, outcome };
    metrics.counter('inference_repository_loads_total').series(labels).add(1);
    metrics
      .histogram('inference_repository_load_duration_seconds')
      .series(labels)
      .observe(loadMs / 1000);
  };

  const fail = (
    version: Version,
    entry: ModelEntry,
    problems: readonly ModelProblem[],
    loadMs: number,
  ): void => {
    version.state = 'UNAVAILABLE';
    version.reason = reasonOf(problems);
    count(entry, 'error', loadMs);
    for (const problem of problems) {
      log.error('a model could not be loaded', { problem: formatProblem(problem), code: problem.code });
    }
  };

  const makeReady = (info: ModelInfo, slot: number, threads: readonly number[]): ReadyModel => {
    const serviceTime = new ServiceTime();
    const queue = new BatchQueue<Waiting>(
      {
        maxBatchRows: info.batching?.maxBatchRows ?? 1,
        maxQueueDelayMs: info.batching?.maxQueueDelayMs ?? 0,
        maxEntries: options.queueRequestsLimit,
      },
      { budget, serviceTime, executors: threads.length },
    );
    batcher.add(queue, threads);
    const queues = queuesOf.get(info.name) ?? [];
    queues.push(queue);
    queuesOf.set(info.name, queues);
    let meters = metersOf.get(info.name);
    if (meters === undefined && telemetry.enabled) {
      meters = createModelMeters(metrics, info.name, queues);
      metersOf.set(info.name, meters);
    }
    return { info, slot, pipeline: createPipeline(info), queue, serviceTime, meters };
  };

  const load = async (entry: ModelEntry, slot: number, threads: readonly number[]): Promise<void> => {
    const version = loading[slot] as Version;
    const results = await Promise.all(threads.map((thread) => pool.load(thread, slot, entry)));
    const loadMs = Math.max(...results.map((result) => result.loadMs));
    const failed = results.find((result) => 'problems' in result);
    if (failed !== undefined) return fail(version, entry, failed.problems, loadMs);
    const [loaded] = results;
    if (loaded === undefined || !('info' in loaded)) return;
    const { info } = loaded;
    version.ready = makeReady(info, slot, threads);
    version.state = 'READY';
    version.reason = '';
    count(entry, 'ok', loadMs);
    for (const note of info.notes) log.warn(`${info.name} version ${info.version}: ${note}`);
    log.info(`${info.name} version ${info.version} is loaded`, { loadMs: Math.round(loadMs), threads });
  };

  const versionsOf = (name: string): Version[] => {
    const versions = models.get(name);
    if (versions !== undefined) return versions;
    const near = nearestName(name, [...models.keys()]);
    const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
    throw new VitrineError('unknown_model', `there is no model of this name${hint}`, { field: 'model' });
  };

  const find = (name: string, version: string | undefined): ReadyModel => {
    const versions = versionsOf(name);
    let chosen: Version | undefined;
    if (version === undefined) {
      chosen = versions.findLast((one) => one.state === 'READY') ?? versions.at(-1);
    } else {
      chosen = versions.find((one) => one.version === version && version !== '');
      if (chosen === undefined) {
        const known = versions.map((one) => one.version).filter((known) => known !== '');
        throw new VitrineError(
          'unknown_version',
          `the model ${JSON.stringify(name)} has no such version; it has ${known.join(', ') || 'none'}`,
          { field: 'version' },
        );
      }
    }
    if (chosen?.ready !== undefined) return chosen.ready;
    const which = chosen?.version ? `version ${chosen.version} of ` : '';
    throw new VitrineError(
      'model_not_ready',
      `${which}the model ${JSON.stringify(name)} is not ready: ${chosen?.reason ?? 'it has no version'}`,
      chosen?.state === 'LOADING' ? { retryAfterS: 1 } : {},
    );
  };

  return {
    find,
    metadata(name, version) {
      const { info } = find(name, version);
      const versions = versionsOf(name).flatMap((one) => (one.state === 'READY' ? one.version : []));
      const { platform, inputs, outputs } = info;
      return { name: info.name, versions, platform, inputs, outputs };
    },
    index: () =>
      [...models.keys()].sort().flatMap((name) =>
        versionsOf(name).map(({ version, state, reason, ready }) => ({
          name,
          version,
          state,
          reason,
          ...(ready?.info.defaultTimeoutMs === undefined
            ? {}
            : { default_timeout_ms: ready.info.defaultTimeoutMs }),
        })),
      ),
    async loadAll() {
      const placed = placeModels(scan.entries, pool.size);
      await Promise.all(scan.entries.map((entry, slot) => load(entry, slot, placed[slot] ?? [0])));
    },
  };
}
