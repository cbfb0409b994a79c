/** Queries beside the load, one begun after the other whether answered or not, to see when the fault is first felt. */
import type { LoadSample } from '../loadgen/plan.ts';

/** Twenty a second. */
const INTERVAL_PER_PROBE_MS = 50;
/** Probes under way: with so many, the next waits for one to end. */
const UNDER_WAY_LIMIT = 64;

export interface Felt {
  /** Unix milliseconds at which the query was answered, or had taken too long. */
  readonly atMs: number;
  readonly ms: number;
  /** undefined: not answered by then. */
  readonly status: number | undefined;
}

/** Resolves with the first query that takes so long, answered or not, or that fails; undefined when stopped before. */
export async function firstFelt(
  target: { readonly url: string; readonly model: string; readonly samples: readonly LoadSample[] },
  slowMs: number,
  options: {
    /** Probes begun together: more than there are workers, so that each gets one, also one that is avoided. */
    readonly together: number;
    readonly signal: AbortSignal;
  },
): Promise<Felt | undefined> {
  const { together, signal } = options;
  const address = `${target.url.replace(/\/+$/, '')}/v2/models/${encodeURIComponent(target.model)}/infer`;
  const found = Promise.withResolvers<Felt | undefined>();
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  const slow = Number.isFinite(slowMs);
  let underWay = 0;
  let asked = 0;

  const ask = async (): Promise<void> => {
    // From the end: the load begins at the other.
    asked += 1;
    const sample = target.samples.at(-1 - (asked % target.samples.length)) as LoadSample;
    const startMs = performance.now();
    const tell = (status: number | undefined): void => {
      found.resolve({ atMs: Date.now(), ms: performance.now() - startMs, status });
    };
    const late = slow ? setTimeout(tell, slowMs, undefined) : undefined;
    underWay += 1;
    try {
      const response = await fetch(address, {
        method: 'POST',
        body: new Uint8Array(sample.body),
        headers: sample.headers,
        signal: stop,
      });
      await response.arrayBuffer();
      if (!response.ok || performance.now() - startMs >= slowMs) tell(response.status);
    } catch {
      if (!stop.aborted) tell(0);
    } finally {
      clearTimeout(late);
      underWay -= 1;
    }
  };
  const timer = setInterval(() => {
    for (let probe = 0; probe < together && underWay < UNDER_WAY_LIMIT; probe += 1) void ask();
  }, INTERVAL_PER_PROBE_MS * together);
  const stopped = (): void => found.resolve(undefined);
  signal.addEventListener('abort', stopped, { once: true });
  if (signal.aborted) stopped();
  try {
    return await found.promise;
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', stopped);
    over.abort();
  }
}
