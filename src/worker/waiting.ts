/** One query from its place in the queue to its outputs. */
import type { VitrineError } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensors.ts';
import type { PreparedQuery } from '../model/pipelines.ts';
import type { WorkerQuery } from '../telemetry/worker_query.ts';
import type { ReadyModel } from './served_models.ts';

export interface Waiting {
  readonly model: ReadyModel;
  readonly prepared: PreparedQuery;
  /** undefined while telemetry is off. */
  readonly query: WorkerQuery | undefined;
  /** Nobody waits for the outputs any more: answered at the deadline, or the caller is gone. */
  readonly settled: boolean;
  /** Both do nothing when the query is settled already. */
  resolve(outputs: readonly Tensor[]): void;
  reject(error: VitrineError): void;
}

export interface Awaited {
  readonly waiting: Waiting;
  readonly outputs: Promise<readonly Tensor[]>;
}

export function createWaiting(
  model: ReadyModel,
  prepared: PreparedQuery,
  query: WorkerQuery | undefined,
): Awaited {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Tensor[]>();
  let settled = false;
  const waiting: Waiting = {
    model,
    prepared,
    query,
    get settled() {
      return settled;
    },
    resolve: (outputs) => {
      settled = true;
      resolve(outputs);
    },
    reject: (error) => {
      settled = true;
      reject(error);
    },
  };
  return { waiting, outputs: promise };
}
