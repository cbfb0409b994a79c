/**
 * Knows the workers: looks at each in turn, and again at once when a call failed. What it learns it writes
 * into the links and the model table.
 *
 * A worker serves while looks find it ready. One silent look is forgiven (it may be busy), a second is not;
 * a worker that is gone serves no more from that moment. What it served stays known, so that its models are
 * waited for and not unknown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../contract/log.ts';
import type { RepositoryIndexEntry } from '../contract/repository_index.ts';
import type { ModelTable } from './model_table.ts';
import { WorkerLink, type WorkerLinkOptions, type WorkerTarget } from './worker_link.ts';
import { lookAt } from './worker_look.ts';

export interface DiscoveryDeps {
  readonly log: Log;
  readonly table: ModelTable<WorkerLink>;
  /** A worker's state or what it serves has changed. */
  readonly onChange: () => void;
  /** A model and version that was not known before; for metrics. */
  readonly onModel: (name: string, version: string) => void;
}

export interface DiscoveryOptions {
  readonly link: Omit<WorkerLinkOptions, 'onChange'>;
  /** Headers of every call to a worker, flat: name, value, ... */
  readonly headers: readonly string[];
}

/** What a look says of a call that failed. */
export type Verdict = 'gone' | 'here';

export interface Discovery extends AsyncDisposable {
  readonly links: readonly WorkerLink[];
  /** Replaces the list of workers; those that stay keep their connections. */
  setTargets(targets: readonly WorkerTarget[]): void;
  /**
   * Looks at once; calls at the same time share one look. One that is under way began too early to tell of
   * what has just failed, so another follows it.
   */
  check(link: WorkerLink): Promise<Verdict>;
}

/** Between looks at a worker that serves; each wait is up to a fifth longer or shorter, so that gateways do not look in step. */
const INTERVAL_MS = 1000;
/** Between looks at one that does not: how soon a restarted worker is found. */
const SEEKING_INTERVAL_MS = 100;
const JITTER = 0.2;
const SILENT_LOOKS_FORGIVEN = 1;

interface Watched {
  readonly link: WorkerLink;
  readonly stop: AbortController;
  looking: Promise<Verdict> | undefined;
  next: Promise<Verdict> | undefined;
  silentLooks: number;
  index: string;
}

export function createDiscovery(deps: DiscoveryDeps, options: DiscoveryOptions): Discovery {
  const watched = new Map<string, Watched>();
  let links: readonly WorkerLink[] = [];
  const retiring = new Set<WorkerLink>();

  const update = (of: Watched, ready: boolean, reason: string): void => {
    const { link } = of;
    if (link.ready !== ready) {
      deps.log.info(ready ? 'worker is ready' : 'worker does not serve', {
        worker: link.name,
        ...(ready ? {} : { reason }),
      });
    }
    const changed = link.ready !== ready || link.doubtful;
    link.ready = ready;
    link.doubtful = false;
    if (changed) deps.onChange();
  };

  const learn = (of: Watched, entries: readonly RepositoryIndexEntry[]): void => {
    const index = JSON.stringify(entries);
    if (index === of.index) return;
    of.index = index;
    of.link.entries = entries;
    for (const { name, version } of entries) {
      if (deps.table.find(name, version) === undefined) deps.onModel(name, version);
    }
    deps.table.rebuild(links);
    deps.onChange();
  };

  const look = async (of: Watched): Promise<Verdict> => {
    const seen = await lookAt(of.link.control, options.headers);
    if (of.stop.signal.aborted) return 'gone';
    switch (seen.type) {
      case 'here':
        of.silentLooks = 0;
        if (seen.entries !== undefined) learn(of, seen.entries);
        update(of, seen.ready && of.link.entries !== undefined, 'it says that it is not ready');
        return 'here';
      case 'gone':
        of.silentLooks = 0;
        update(of, false, 'nobody listens at its address');
        return 'gone';
      case 'silent': {
        of.silentLooks += 1;
        update(of, of.link.ready && of.silentLooks <= SILENT_LOOKS_FORGIVEN, 'it does not answer');
        return 'here';
      }
    }
  };

  const lookShared = (of: Watched): Promise<Verdict> => {
    of.looking ??= look(of).finally(() => {
      of.looking = undefined;
    });
    return of.looking;
  };

  const lookAfresh = (of: Watched): Promise<Verdict> => {
    if (of.looking === undefined) return lookShared(of);
    of.next ??= of.looking.then(() => {
      of.next = undefined;
      return lookShared(of);
    });
    return of.next;
  };

  const watch = async (of: Watched): Promise<void> => {
    const { signal } = of.stop;
    while (!signal.aborted) {
      await lookShared(of);
      const intervalMs = of.link.ready ? INTERVAL_MS : SEEKING_INTERVAL_MS;
      const jitter = 1 + JITTER * (2 * Math.random() - 1);
      await sleep(intervalMs * jitter, undefined, { signal, ref: false }).catch(() => {});
    }
  };

  const retire = (of: Watched): void => {
    of.stop.abort();
    retiring.add(of.link);
    void of.link.retire().finally(() => retiring.delete(of.link));
  };

  const setTargets = (targets: readonly WorkerTarget[]): void => {
    const wanted = new Map(targets.map((target) => [`${target.name} ${target.url}`, target]));
    for (const [key, of] of watched) {
      if (wanted.has(key)) continue;
      watched.delete(key);
      retire(of);
    }
    const added: Watched[] = [];
    const before = new Map(links.map((link) => [link.name, link.entries]));
    for (const [key, target] of wanted) {
      if (watched.has(key)) continue;
      const link = new WorkerLink(target, { ...options.link, onChange: deps.onChange });
      // A worker that has moved serves what it served: its models are waited for, not unknown.
      link.entries = before.get(target.name);
      const of: Watched = {
        link,
        stop: new AbortController(),
        looking: undefined,
        next: undefined,
        silentLooks: 0,
        index: '',
      };
      watched.set(key, of);
      added.push(of);
    }
    links = [...watched.values()].map(({ link }) => link);
    deps.table.rebuild(links);
    deps.onChange();
    for (const of of added) void watch(of);
  };

  return {
    get links() {
      return links;
    },
    setTargets,
    check: (link) => {
      for (const of of watched.values()) if (of.link === link) return lookAfresh(of);
      return Promise.resolve('gone');
    },
    [Symbol.asyncDispose]: async () => {
      for (const of of watched.values()) of.stop.abort();
      const open = [...links, ...retiring];
      watched.clear();
      links = [];
      await Promise.all(open.map((link) => link.close()));
    },
  };
}
