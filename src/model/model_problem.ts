/**
 * Why a model, or one version of it, is not served. Problems are plain data: they cross threads, go to the
 * log and into the repository's index. One model's problem never stops the others.
 */

export type ModelProblemCode =
  /** The repository's folder itself: missing, unreadable, over a limit. */
  | 'repository'
  /** A folder's name or layout, a link that leaves the repository, a missing model.onnx. */
  | 'layout'
  /** model.yaml or a file that it names. */
  | 'manifest'
  /** The file is no ONNX model, or is cut short. */
  | 'corrupt_model'
  /** A file with the model's weights is missing, too short or outside the model's folder. */
  | 'external_data'
  /** The graph needs an operator, an operator set or a datatype that the runtime lacks. */
  | 'unsupported'
  /** The manifest asks for what the graph cannot do: a tensor that is not there, a fixed batch axis. */
  | 'graph_mismatch'
  /** The warm-up run failed. */
  | 'warm_up'
  /** Anything else that the runtime said while loading. */
  | 'load';

export interface ModelProblem {
  readonly code: ModelProblemCode;
  /** The model's name as its folder says; empty for the repository itself. */
  readonly model: string;
  /** The version, or undefined when the problem is not one version's. */
  readonly version?: string;
  /** The file or folder at fault, relative to the repository. */
  readonly path: string;
  /** 1-based line in `path`, where there is one. */
  readonly line?: number;
  /** What is wrong and what to do about it, one line, without the path. */
  readonly message: string;
}

/** A problem as one line: `langid/1/model.yaml:7: batching.axis: ...`. */
export function formatProblem(problem: ModelProblem): string {
  const where = problem.line === undefined ? problem.path : `${problem.path}:${problem.line}`;
  return `${where === '' ? '.' : where}: ${problem.message}`;
}

/** Thrown while a model is read, loaded or warmed up; carries what to report. */
export class ModelLoadError extends Error {
  /** At least one. */
  readonly problems: readonly ModelProblem[];

  constructor(problems: readonly ModelProblem[], options: { cause?: unknown } = {}) {
    super(problems.map(formatProblem).join('\n'), options);
    this.name = 'ModelLoadError';
    this.problems = problems;
  }
}
