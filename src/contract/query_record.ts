/** A query as its trace tells of it, wherever the trace was found. */

/** Where one query spent its time, as its gateway's span tells. */
export interface QueryRecord {
  readonly traceId: string;
  readonly startUs: number;
  readonly totalMs: number;
  readonly unattributedMs: number;
  /** By name of the stage; stages that did not happen are absent. */
  readonly stagesMs: Readonly<Record<string, number>>;
  readonly model: string;
  readonly version: string;
  readonly outcome: string;
  readonly errorCode: string;
  /** Of the last attempt; empty when none is held. */
  readonly worker: string;
}
