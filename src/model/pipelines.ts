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

export interface PreparedQuery {
  /** Rows along the batch axis; 1 for a model without batching, whatever its shape. */
  readonly rows: number;
  /** Only queries with equal keys may share a batch. Constant for models whose rows can be padded. */
  readonly groupKey: string;
  /** Bytes of each text where rows differ in length, else undefined. */
  readonly rowLengths: Int32Array | undefined;
  /** The texts one after another, as many bytes as rowLengths sum to, else undefined. */
  readonly ragged: Uint8Array | undefined;
  /** Real elements over all inputs, for the account of padding. */
  readonly elements: number;
  /** Memory that the query's tensors hold while it waits, in bytes. */
  readonly bytes: number;
  /** The graph's inputs in the graph's order, less the one that is made from `ragged`. */
  readonly tensors: readonly Tensor[];
}

export interface AssembledBatch {
  /** By the graph's input names, in its order. */
  readonly feeds: readonly Tensor[];
  readonly rows: number;
  /** Elements over all feeds that a query brought, and those that only fill up shorter rows. */
  readonly realElements: number;
  readonly paddingElements: number;
}

export interface Pipeline {
  /**
   * @param inputs in the model's order and checked against ModelInfo.inputs (contract's validateInputs)
   * @throws VitrineError `invalid_tensor` (text that is not UTF-8, no rows, inputs that disagree on rows),
   *   `too_many_rows` (over the model's max_batch_size, or too many padded elements)
   */
  prepareRows(inputs: readonly Tensor[]): PreparedQuery;
  /** @param prepared queries of one groupKey, at least one; exactly one for a model without batching */
  assemble(prepared: readonly PreparedQuery[]): AssembledBatch;
  /**
   * @param outputs of the whole batch, as the run gave them
   * @throws VitrineError `model_failed` when an output has not the shape that the pipeline was told
   */
  postprocess(outputs: readonly Tensor[]): readonly Tensor[];
  /**
   * @param rowsPerQuery in the order in which the queries were assembled
   * @throws VitrineError `model_failed` when an output's first dimension is not the batch's rows
   */
  split(outputs: readonly Tensor[], rowsPerQuery: readonly number[]): readonly (readonly Tensor[])[];
}
