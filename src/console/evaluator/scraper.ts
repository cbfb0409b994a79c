/**
 * Scrapes every process that the gateway lists (HTTP service discovery, the same list that Prometheus reads),
 * at a fixed interval. A scrape that is slower than its timeout counts as failed; those of one target never overlap.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Log } from '../../contract/log.ts';
import { DEFAULT_PARSE_LIMITS, parseExposition } from './exposition_parser.ts';
import type { SampleStore, Target } from './sample_store.ts';

export interface ScrapeTarget extends Target {
  readonly url: string;
}

export interface ScraperOptions {
  readonly timeoutMs: number;
  readonly bodyLimitBytes: number;
  /** Sent as bearer token to targets of a job (service name) that is guarded. */
  readonly tokens: Readonly<Record<string, string>>;
}

export interface ScraperStats {
  readonly scrapes: number;
  readonly failures: number;
  /** Scrapes that were not begun because the target's last one was still under way. */
  readonly skipped: number;
  readonly targets: number;
}

export interface Scraper {
  /**
   * One round over all targets; resolves when each scrape that it began was recorded. Never rejects. A slow target
   * holds up no other: it is passed over until its scrape ends.
   */
  scrape(): Promise<void>;
  /** Addresses of the lists: `http://127.0.0.1:8002/metrics/targets`. From the next round on. */
  setDiscoveryUrls(urls: readonly string[]): void;
  readonly targets: readonly ScrapeTarget[];
  stats(): ScraperStats;
  /** Ends open scrapes. */
  close(): void;
}

const TARGETS_LIMIT = 1024;
export const SCRAPE_BODY_LIMIT_BYTES = 16 * 1024 * 1024;

interface GetOptions extends Pick<ScraperOptions, 'timeoutMs' | 'bodyLimitBytes'> {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

function get(url: string, options: GetOptions): Promise<string> {
  const { headers, signal, timeoutMs, bodyLimitBytes } = options;
  return new Promise((resolve, reject) => {
    const call = request(url, { headers, signal }, (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > bodyLimitBytes) giveUp('the scrape is too large');
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
        else reject(new Error(`HTTP ${response.statusCode}`));
      });
    });
    /** Without an error of its own: whoever would get that depends on how far the call is. */
    const giveUp = (reason: string): void => {
      reject(new Error(reason));
      call.destroy();
    };
    const deadline = setTimeout(() => giveUp(`no answer within ${timeoutMs} ms`), timeoutMs);
    call.on('error', reject);
    call.on('close', () => clearTimeout(deadline));
    call.end();
  });
}

function readTargets(text: string): ScrapeTarget[] {
  const groups: unknown = JSON.parse(text);
  if (!Array.isArray(groups)) return [];
  return groups.flatMap((group: { targets?: unknown; labels?: Record<string, unknown> }) => {
    const { job, instance } = group.labels ?? {};
    if (!Array.isArray(group.targets) || typeof job !== 'string') return [];
    return group.targets.flatMap((address: unknown) =>
      typeof address === 'string' && /^[A-Za-z0-9.:[\]-]{1,255}$/.test(address)
        ? [
            {
              job,
              instance: typeof instance === 'string' ? instance : address,
              url: `http://${address}/metrics`,
            },
          ]
        : [],
    );
  });
}

function keyOf({ job, instance }: Target): string {
  return `${job} ${instance}`;
}

export function createScraper(
  deps: { readonly store: SampleStore; readonly log: Log; readonly nowMs: () => number },
  options: ScraperOptions,
): Scraper {
  const { store, log, nowMs } = deps;
  let targets: readonly ScrapeTarget[] = [];
  let discoveryUrls: readonly string[] = [];
  let discovering: Promise<void> | undefined;
  /** Targets whose scrape is under way: another one is not begun before it ends. */
  const open = new Set<string>();
  const closed = new AbortController();
  const counts = { scrapes: 0, failures: 0, skipped: 0 };

  const ask = (url: string, accept: string, token: string | undefined): Promise<string> =>
    get(url, {
      timeoutMs: options.timeoutMs,
      bodyLimitBytes: options.bodyLimitBytes,
      headers: {
        accept,
        ...(token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` }),
      },
      signal: closed.signal,
    });

  /** A list that cannot be read leaves the last one in force: its targets are scraped, and found to be down. */
  const discover = async (): Promise<void> => {
    const lists = await Promise.all(
      discoveryUrls.map((url) =>
        ask(url, 'application/json', undefined)
          .then(readTargets)
          .catch((error: unknown) => {
            log.debug('a list of targets could not be read', { url, error });
            return undefined;
          }),
      ),
    );
    if (lists.every((list) => list === undefined)) return;
    const found = new Map<string, ScrapeTarget>();
    for (const target of lists.flatMap((list) => list ?? [])) {
      if (found.size < TARGETS_LIMIT) found.set(keyOf(target), target);
    }
    const missing = targets.filter((target) => !found.has(keyOf(target)));
    if (lists.includes(undefined)) {
      targets = [...found.values(), ...missing].slice(0, TARGETS_LIMIT);
      return;
    }
    const timeMs = nowMs();
    for (const { job, instance } of missing) store.forget({ job, instance }, timeMs);
    targets = [...found.values()];
  };

  const scrapeOne = async ({ job, instance, url }: ScrapeTarget): Promise<void> => {
    const target: Target = { job, instance };
    const startMs = performance.now();
    /** When it was begun, by the clock as it is now: it may have been set since. */
    const begunMs = (): number => nowMs() - Math.round(performance.now() - startMs);
    counts.scrapes += 1;
    open.add(keyOf(target));
    try {
      const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
      const text = await ask(url, accept, options.tokens[job]);
      store.record(target, parseExposition(text, DEFAULT_PARSE_LIMITS), begunMs());
    } catch (error) {
      if (closed.signal.aborted) return;
      counts.failures += 1;
      log.debug('a scrape failed', { job, instance, error });
      store.recordFailure(target, begunMs());
    } finally {
      open.delete(keyOf(target));
    }
  };

  const round = async (): Promise<void> => {
    // While the lists are slow, those that are known are scraped.
    if (discovering === undefined) {
      discovering = discover().finally(() => {
        discovering = undefined;
      });
      await discovering;
    }
    const due = targets.filter((target) => !open.has(keyOf(target)));
    counts.skipped += targets.length - due.length;
    await Promise.all(due.map(scrapeOne));
    store.expire();
  };

  return {
    get targets() {
      return targets;
    },
    scrape: round,
    setDiscoveryUrls(urls) {
      discoveryUrls = urls;
    },
    stats: () => ({ ...counts, targets: targets.length }),
    close: () => closed.abort(),
  };
}
