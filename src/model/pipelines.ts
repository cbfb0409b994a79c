/**
 * What happens to a query around the run. Four pure steps, none of which touches a clock, a file or the
 * runtime, so that the worker decides on which thread each one runs:
 *
 *   prepareRows(inputs)   one query, before it queues: checked, encoded, lengths known
 *   assemble(prepared[])  the queries of one batch -> the graph's feeds, padded to the longest row
 *   postprocess(outputs)  the graph's outputs of a batch -> public outputs of that batch
 *   split(outputs, rows)  public outputs of a batch -> each query's own, as views, in order
 *
 * All of it survives structured clone. What assemble() and postprocess() return is fresh memory that nothing
 * else holds, so its buffers may be transferred to another thread: transferList() names them. What
 * prepareRows() returns may be a view on the request's body and must not be transferred.
 */
import type { Tensor } from '../contract/tensors.ts';
import type { ModelInfo } from './model_info.ts';

export interface PreparedQuery {
  /** Rows along the batch axis; 1 for a model without batching, whatever its shape. */
  readonly rows: number;
  /** Only queries with equal keys may share a batch. Constant for models whose rows can be padded. */
  readonly groupKey: string;
  /** Real elements of each row where rows differ in length, else undefined. */
  readonly rowLengths: Int32Array | undefined;
  /** Real elements over all inputs, for the account of padding. */
  readonly elements: number;
  /** Memory that the query holds while it waits, in bytes. */
  readonly bytes: number;
  /** The graph's inputs, or for padded ones the rows one after another without padding. */
  readonly tensors: readonly Tensor[];
}

export interface AssembledBatch {
  /** By the graph's input names. */
  readonly feeds: readonly Tensor[];
  readonly rows: number;
  /** Elements over all feeds that a query brought, and those that only fill up shorter rows. */
  readonly realElements: number;
  readonly paddingElements: number;
}

export interface Pipeline {
  /**
   * @throws VitrineError invalid_tensor (rank, text that is not UTF-8, no rows, inputs that disagree on rows),
   *   too_many_rows (over the model's max_batch_size), unknown_input (doubled, missing, unknown)
   */
  prepareRows(inputs: readonly Tensor[]): PreparedQuery;
  /** @param prepared queries of one groupKey, at least one; exactly one for a model without batching */
  assemble(prepared: readonly PreparedQuery[]): AssembledBatch;
  /** @throws VitrineError model_failed when an output has not the shape that the pipeline was told */
  postprocess(outputs: readonly Tensor[]): Tensor[];
  /** @throws VitrineError model_failed when an output's first dimension is not the batch's rows */
  split(outputs: readonly Tensor[], rowsPerQuery: readonly number[]): Tensor[][];
}

/** Builds the four steps for a model; cheap, so each thread builds its own from the same ModelInfo. */
export type CreatePipeline = (info: ModelInfo) => Pipeline;
