/**
 * Scrapes every process that the gateway lists (HTTP service discovery, the same list that Prometheus reads),
 * at a fixed interval. A scrape that is slower than its timeout counts as failed; scrapes never overlap.
 */
import { type IncomingMessage, request } from 'node:http';
import type { Log } from '../../contract/log.ts';
import { DEFAULT_PARSE_LIMITS, parseExposition } from './exposition_parser.ts';
import type { SampleStore, Target } from './sample_store.ts';

export interface ScrapeTarget extends Target {
  readonly url: string;
}

export interface ScraperOptions {
  /** Addresses of the lists: `http://127.0.0.1:8002/metrics/targets`. */
  readonly discoveryUrls: readonly string[];
  readonly timeoutMs: number;
  readonly bodyLimitBytes: number;
}

export interface Scraper {
  /** One round over all targets; resolves when each was recorded. Never rejects. */
  scrape(): Promise<void>;
  readonly targets: readonly ScrapeTarget[];
}

const TARGETS_LIMIT = 1024;
export const SCRAPE_BODY_LIMIT_BYTES = 16 * 1024 * 1024;

function get(url: string, accept: string, options: ScraperOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      { headers: { accept }, timeout: options.timeoutMs },
      (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > options.bodyLimitBytes) call.destroy(new Error('the scrape is too large'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
          else reject(new Error(`HTTP ${response.statusCode}`));
        });
      },
    );
    // The timeout of a socket starts again with each byte; this one bounds the whole.
    const deadline = setTimeout(() => call.destroy(new Error('timeout')), options.timeoutMs);
    call.on('timeout', () => call.destroy(new Error('timeout')));
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

export function createScraper(
  deps: { readonly store: SampleStore; readonly log: Log; readonly nowMs: () => number },
  options: ScraperOptions,
): Scraper {
  const { store, log, nowMs } = deps;
  let targets: readonly ScrapeTarget[] = [];
  let running: Promise<void> | undefined;

  /** A list that cannot be read leaves the last one in force: its targets are scraped, and found to be down. */
  const discover = async (): Promise<void> => {
    const lists = await Promise.all(
      options.discoveryUrls.map((url) =>
        get(url, 'application/json', options)
          .then(readTargets)
          .catch((error: unknown) => {
            log.debug('a list of targets could not be read', { url, error });
            return undefined;
          }),
      ),
    );
    if (lists.every((list) => list === undefined)) return;
    const found = new Map<string, ScrapeTarget>();
    for (const target of lists.flatMap((list) => list ?? []))
      found.set(`${target.job} ${target.instance}`, target);
    const next = [...found.values()].slice(0, TARGETS_LIMIT);
    if (lists.every((list) => list !== undefined)) {
      for (const target of targets) {
        if (!found.has(`${target.job} ${target.instance}`))
          store.forget({ job: target.job, instance: target.instance }, nowMs());
      }
      targets = next;
    } else {
      const known = new Set(next.map(({ job, instance }) => `${job} ${instance}`));
      targets = [...next, ...targets.filter(({ job, instance }) => !known.has(`${job} ${instance}`))];
    }
  };

  const scrapeOne = async ({ job, instance, url }: ScrapeTarget): Promise<void> => {
    const target: Target = { job, instance };
    const startMs = nowMs();
    try {
      const text = await get(url, 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5', options);
      store.record(target, parseExposition(text, DEFAULT_PARSE_LIMITS), startMs);
    } catch (error) {
      log.debug('a scrape failed', { job, instance, error });
      store.recordFailure(target, startMs);
    }
  };

  const round = async (): Promise<void> => {
    await discover();
    await Promise.all(targets.map(scrapeOne));
    store.expire();
  };

  return {
    get targets() {
      return targets;
    },
    scrape() {
      running ??= round().finally(() => {
        running = undefined;
      });
      return running;
    },
  };
}
