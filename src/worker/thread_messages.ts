/**
 * What crosses between the main thread and an inference thread: two closed unions, told apart by `type`. Both
 * sides are of one build, so the messages carry no version. Models are named by `slot`, their place in the
 * list of the repository's entries.
 */
import type { ErrorCode } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensors.ts';
import type { ModelInfo } from '../model/model_info.ts';
import type { ModelProblem } from '../model/model_problem.ts';
import type { ModelEntry } from '../model/repository.ts';

/** `workerData` of the thread. */
export interface InferenceThreadData {
  /** The table of faults, see lifecycle/faults.ts. */
  readonly faults: SharedArrayBuffer;
}

export type ToInferenceThread =
  | { readonly type: 'load'; readonly slot: number; readonly entry: ModelEntry }
  /** `feeds` are transferred: the sender holds none of their memory afterwards. */
  | { readonly type: 'run'; readonly run: number; readonly slot: number; readonly feeds: readonly Tensor[] }
  /** Releases the sessions and ends the thread, after what was asked before. */
  | { readonly type: 'close' };

/** When the executor did what, by performance.now(), which the threads of a process share. */
export interface RunMarks {
  /** Its first instruction for this batch. */
  readonly startMs: number;
  readonly computeStartMs: number;
  readonly computeEndMs: number;
  /** After the postprocess. */
  readonly endMs: number;
}

/** An error as plain data. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly field: string | undefined;
}

export type FromInferenceThread =
  | { readonly type: 'loaded'; readonly slot: number; readonly info: ModelInfo; readonly loadMs: number }
  | {
      readonly type: 'load_failed';
      readonly slot: number;
      readonly problems: readonly ModelProblem[];
      readonly loadMs: number;
    }
  /** `outputs` are transferred. */
  | {
      readonly type: 'ran';
      readonly run: number;
      readonly marks: RunMarks;
      readonly outputs: readonly Tensor[];
    }
  | { readonly type: 'failed'; readonly run: number; readonly marks: RunMarks; readonly error: PlainError };

/** One end of the channel: a Worker, a parentPort or a MessagePort of the in-process twin. */
export interface MessageEnd<In, Out> {
  postMessage(message: Out, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (message: In) => void): unknown;
}
