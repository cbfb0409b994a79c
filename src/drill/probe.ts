/** One query after another beside the load, to see when the fault is first felt. */
import type { LoadSample } from '../loadgen/plan.ts';

const PAUSE_MS = 50;
const TIMEOUT_MS = 10_000;

export interface Felt {
  /** Unix milliseconds at which the query was answered. */
  readonly atMs: number;
  readonly ms: number;
  /** 0: no answer. */
  readonly status: number;
}

/** Resolves with the first query that took so long or failed; undefined when stopped before. */
export async function firstFelt(
  target: { readonly url: string; readonly model: string; readonly sample: LoadSample },
  slowMs: number,
  signal: AbortSignal,
): Promise<Felt | undefined> {
  const address = `${target.url.replace(/\/+$/, '')}/v2/models/${encodeURIComponent(target.model)}/infer`;
  while (!signal.aborted) {
    const startMs = performance.now();
    let status = 0;
    try {
      const response = await fetch(address, {
        method: 'POST',
        body: new Uint8Array(target.sample.body),
        headers: target.sample.headers,
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      await response.arrayBuffer();
      status = response.status;
    } catch {
      if (signal.aborted) return undefined;
    }
    const ms = performance.now() - startMs;
    if (ms >= slowMs || status < 200 || status >= 300) return { atMs: Date.now(), ms, status };
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return undefined;
}
