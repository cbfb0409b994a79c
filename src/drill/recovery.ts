/** Whether traces arrive: what drills of telemetry look for when their fault is lifted, or has to be borne. */
import type { DrillContext } from './drill.ts';

/** Retries of what waited meanwhile come first. */
const WAIT_LIMIT_MS = 30_000;

/** Asks once, and waits for its trace. @throws Error when it does not come */
export async function expectTrace({ target, console: watch, until, checked }: DrillContext): Promise<void> {
  const [sample] = target.samples;
  const address = `${target.url.replace(/\/+$/, '')}/v2/models/${encodeURIComponent(target.model)}/infer`;
  const response = await fetch(address, {
    method: 'POST',
    body: new Uint8Array(sample?.body ?? []),
    headers: sample?.headers ?? {},
    signal: AbortSignal.timeout(WAIT_LIMIT_MS),
  });
  await response.arrayBuffer();
  const traceId = response.headers.get('x-trace-id') ?? '';
  const startMs = performance.now();
  if (!(await until('waiting for a new trace', WAIT_LIMIT_MS, () => watch.hasTrace(traceId)))) {
    throw new Error(`the trace ${traceId} of a new query was not stored within ${WAIT_LIMIT_MS / 1000} s`);
  }
  checked(
    `the trace of a new query is stored ${Math.round(performance.now() - startMs)} ms after its answer`,
  );
}
