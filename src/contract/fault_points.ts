/**
 * Where a drill or a test can make a query wait, fail, or take its process down: one point inside each stage,
 * so that a delay at a point makes exactly that stage grow; and points beside the queries. A closed list; the
 * table is in lifecycle/faults.ts.
 */

/** Points that the gateway passes. `attempt` lies between the headers written to a worker and its answer. */
const GATEWAY_FAULT_POINTS = ['admit', 'route', 'attempt', 'respond'] as const;

/** Points that the worker passes; `dispatch`, `compute` and `postprocess` on its inference threads. */
const WORKER_FAULT_POINTS = [
  'worker_receive',
  'preprocess',
  'queue',
  'batch_wait',
  'dispatch',
  'compute',
  'postprocess',
  'worker_respond',
] as const;

/**
 * Points that no query passes.
 * - `event_loop`, of every process: a delay holds its main thread up for so long, again and again with one turn
 *   between; see lifecycle/stall.ts.
 * - `worker_network`, of a gateway: a delay holds up what its workers send, an error cuts their connections and
 *   lets none be made; see gateway/worker_network.ts.
 * - `memory`, of a worker: it holds so many bytes more, see lifecycle/memory_growth.ts.
 * - `otlp_receiver`, of the console: an error closes the port of the receiver, and nothing else.
 * - `trace_store`, of the console: an error lets the database of traces grow no more, as a full disk would.
 * - `clock`, of the console: by so much the wall clock is set by which it scrapes, evaluates and tells of alerts.
 */
const PROCESS_FAULT_POINTS = [
  'event_loop',
  'worker_network',
  'memory',
  'otlp_receiver',
  'trace_store',
  'clock',
] as const;

export const FAULT_POINTS = [
  ...GATEWAY_FAULT_POINTS,
  ...WORKER_FAULT_POINTS,
  ...PROCESS_FAULT_POINTS,
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

export function isFaultPoint(text: string): text is FaultPoint {
  return (FAULT_POINTS as readonly string[]).includes(text);
}

/** Most that `memory` takes; the process reckons with a limit that lies so far above what it had before. */
export const MEMORY_FAULT_LIMIT_BYTES = 256 * 1024 * 1024;
