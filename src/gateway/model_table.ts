/**
 * What the workers together serve: for each model, and each of its versions, the workers where it is ready.
 * Built from the workers' indexes whenever one of them changes; between changes it is only read.
 *
 * A route is one object per name for as long as the gateway lives and some worker knows the name, so that a
 * query that waits sees a worker come.
 */
import type { ModelState, RepositoryIndexEntry } from '../contract/repository_index.ts';

export interface IndexedWorker {
  /** What it last said that it serves; undefined when it was never reached. It outlives a restart. */
  readonly entries: readonly RepositoryIndexEntry[] | undefined;
}

export interface ModelRoute<W extends IndexedWorker = IndexedWorker> {
  readonly name: string;
  /** Empty: the newest version that is ready. */
  readonly version: string;
  /** Path of the protocol's model resource on every worker. */
  readonly path: string;
  readonly inferPath: string;
  /** Workers whose index says READY. */
  readonly workers: readonly W[];
  readonly state: ModelState;
  /** Why no worker can serve it, when none ever will as things stand; undefined while one may. */
  readonly unavailableBecause: string | undefined;
  readonly defaultTimeoutMs: number | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface ModelRoutes<W extends IndexedWorker> {
  readonly any: Mutable<ModelRoute<W>>;
  readonly versions: Map<string, Mutable<ModelRoute<W>>>;
}

const STATE_RANK: Readonly<Record<ModelState, number>> = {
  READY: 3,
  LOADING: 2,
  UNLOADING: 1,
  UNAVAILABLE: 0,
};

/** Ascending by number, then by text: versions are positive integers. */
function compareVersions(a: string, b: string): number {
  return Number(a) - Number(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function createRoute<W extends IndexedWorker>(name: string, version: string): Mutable<ModelRoute<W>> {
  const path = `/v2/models/${encodeURIComponent(name)}${version === '' ? '' : `/versions/${encodeURIComponent(version)}`}`;
  return {
    name,
    version,
    path,
    inferPath: `${path}/infer`,
    workers: [],
    state: 'UNAVAILABLE',
    unavailableBecause: undefined,
    defaultTimeoutMs: undefined,
  };
}

export class ModelTable<W extends IndexedWorker> {
  readonly #models = new Map<string, ModelRoutes<W>>();
  #seen = false;

  /** Whether any worker has ever said what it serves. Until then no name is unknown. */
  get seen(): boolean {
    return this.#seen;
  }

  names(): string[] {
    return [...this.#models.keys()].sort();
  }

  /** Ascending; empty for an unknown model. */
  versions(name: string): string[] {
    return [...(this.#models.get(name)?.versions.keys() ?? [])].sort(compareVersions);
  }

  /** @param version empty for the default */
  find(name: string, version: string): ModelRoute<W> | undefined {
    const model = this.#models.get(name);
    return version === '' ? model?.any : model?.versions.get(version);
  }

  /** One entry per model and version, as all workers together: ready where one of them is. */
  index(): RepositoryIndexEntry[] {
    return this.names().flatMap((name) =>
      this.versions(name).flatMap((version) => {
        const route = this.find(name, version);
        return route === undefined
          ? []
          : [{ name, version, state: route.state, reason: route.unavailableBecause ?? '' }];
      }),
    );
  }

  /** Reads the indexes again. */
  rebuild(workers: Iterable<W>): void {
    const entriesOf = new Map<string, { worker: W; entry: RepositoryIndexEntry }[]>();
    for (const worker of workers) {
      if (worker.entries === undefined) continue;
      this.#seen = true;
      for (const entry of worker.entries) {
        const of = entriesOf.get(entry.name);
        if (of === undefined) entriesOf.set(entry.name, [{ worker, entry }]);
        else of.push({ worker, entry });
      }
    }
    for (const [name, model] of this.#models) {
      if (entriesOf.has(name)) continue;
      this.#models.delete(name);
      for (const route of [model.any, ...model.versions.values()]) fill(route, []);
    }
    for (const [name, found] of entriesOf) {
      let model = this.#models.get(name);
      if (model === undefined) {
        model = { any: createRoute<W>(name, ''), versions: new Map() };
        this.#models.set(name, model);
      }
      fill(model.any, found);
      const versions = new Set(found.map(({ entry }) => entry.version).filter((version) => version !== ''));
      for (const [version, route] of model.versions) {
        if (versions.has(version)) continue;
        model.versions.delete(version);
        fill(route, []);
      }
      for (const version of versions) {
        let route = model.versions.get(version);
        if (route === undefined) {
          route = createRoute<W>(name, version);
          model.versions.set(version, route);
        }
        fill(
          route,
          found.filter(({ entry }) => entry.version === version),
        );
      }
    }
  }
}

function fill<W extends IndexedWorker>(
  route: Mutable<ModelRoute<W>>,
  found: readonly { worker: W; entry: RepositoryIndexEntry }[],
): void {
  const ready = found.filter(({ entry }) => entry.state === 'READY');
  // Two versions of a model on one worker are one worker for the model.
  route.workers = [...new Set(ready.map(({ worker }) => worker))];
  const best = found.reduce<ModelState>(
    (state, { entry }) => (STATE_RANK[entry.state] > STATE_RANK[state] ? entry.state : state),
    'UNAVAILABLE',
  );
  route.state = best;
  route.unavailableBecause =
    found.length > 0 && best === 'UNAVAILABLE'
      ? (found.find(({ entry }) => entry.reason !== '')?.entry.reason ?? 'its worker gave no reason')
      : undefined;
  const newest = [...ready].sort((a, b) => compareVersions(b.entry.version, a.entry.version))[0];
  route.defaultTimeoutMs = newest?.entry.default_timeout_ms;
}
