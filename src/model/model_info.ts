/**
 * What a loaded model is: its graph as the runtime reads it, its public inputs and outputs once the pipeline
 * stands around it, and the limits under which it runs. Plain data (structured clone), so that the thread
 * which opened the session can hand it to the thread which serves HTTP.
 */
import type { Tensor, TensorMetadata } from '../contract/tensors.ts';

/** Inputs and outputs as the ONNX graph declares them; -1 stands for every variable or symbolic dimension. */
export interface GraphMetadata {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** A manifest's batching; absent (undefined) unless the manifest declares the axis. */
export interface BatchingLimits {
  /** Rows in one run at most, and rows in one query at most. */
  readonly maxBatchRows: number;
  /** How long the first query of a batch waits for company while an executor is free. 0 = never. */
  readonly maxQueueDelayMs: number;
}

/** The manifest's preprocess, resolved against the graph. */
export type PreprocessPlan =
  | { readonly type: 'none' }
  | {
      readonly type: 'utf8_bytes';
      /** The public BYTES input. */
      readonly input: string;
      /** The graph's integer input [n, length]. */
      readonly tensor: string;
      readonly datatype: TensorMetadata['datatype'];
      /** Added to every byte; 0 is the padding. */
      readonly shift: number;
      /** Longer texts are cut to this many bytes. */
      readonly maxBytes: number;
    };

/** The manifest's postprocess, resolved against the graph and with its labels read. */
export type PostprocessPlan =
  | { readonly type: 'none' }
  | {
      readonly type: 'top_label';
      /** The graph's FP32 output [n, classes]. */
      readonly tensor: string;
      /** Public BYTES output [n]. */
      readonly label: string;
      /** Public FP32 output [n]. */
      readonly probability: string;
      /** Whether `tensor` stays an output too. */
      readonly keep: boolean;
      /** By class index. */
      readonly labels: readonly string[];
    };

export interface ModelInfo {
  readonly name: string;
  /** A positive integer in decimal. */
  readonly version: string;
  readonly description: string;
  readonly platform: 'onnxruntime_onnx';
  /** What clients send and get: the graph's tensors less those that the pipeline makes or takes, plus its own. */
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
  readonly graph: GraphMetadata;
  readonly preprocess: PreprocessPlan;
  readonly postprocess: PostprocessPlan;
  /** undefined: every query is one run, as it is. */
  readonly batching: BatchingLimits | undefined;
  /** Inference threads that hold a session of this model. */
  readonly instances: number;
  readonly intraOpThreads: number;
  /** undefined: the server's default. */
  readonly defaultTimeoutMs: number | undefined;
  /**
   * One query's public inputs, in the model's order, run before the model is ready; empty when the shapes are
   * too large to make one.
   */
  readonly warmUp: readonly Tensor[];
  /** Whether the manifest gave the sample: then a failing warm-up is the model's problem, else only a note. */
  readonly warmUpGiven: boolean;
  /** What was left out or assumed, one line each, for the log: a non-tensor output that is not served. */
  readonly notes: readonly string[];
}
