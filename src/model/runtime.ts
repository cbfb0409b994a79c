/**
 * ONNX Runtime: opens a model and runs it. The only importer of onnxruntime-node, and only dynamically, so
 * that a process which never opens a session never loads it.
 *
 * `run` and the opening of a session block the thread that calls them, although they return promises. A thread
 * that runs must not be terminated: that aborts the process. See runtime_environment.ts for what the process
 * sets before the first session.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Datatype } from '../contract/datatypes.ts';
import { VitrineError } from '../contract/errors.ts';
import { type Tensor, type TensorMetadata, VARIABLE_DIMENSION } from '../contract/tensors.ts';
import type { GraphMetadata } from './model_info.ts';
import { ModelLoadError } from './model_problem.ts';
import type { ModelEntry } from './repository.ts';
import { explainLoadError, explainRunError } from './runtime_errors.ts';

type Ort = typeof import('onnxruntime-node');

const DATATYPE_OF: Readonly<Partial<Record<OrtTensor.Type, Datatype>>> = {
  bool: 'BOOL',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};

const TYPE_OF = Object.fromEntries(
  Object.entries(DATATYPE_OF).map(([type, datatype]) => [datatype, type]),
) as Readonly<Record<Datatype, OrtTensor.Type>>;

interface SessionOptions {
  /** Threads that one run of this session uses, from 1. */
  readonly intraOpThreads: number;
}

export interface RuntimeSession extends AsyncDisposable {
  readonly graph: GraphMetadata;
  /** What of the graph is not served, one line each. */
  readonly notes: readonly string[];
  /**
   * One run. Blocks the thread for its whole duration and cannot be cancelled.
   * @param feeds every input of the graph, from assemble(); neither copied before the call nor kept after it.
   *   BYTES are UTF-8 without NUL, as prepareRows() has checked: the runtime cuts a text at the first NUL.
   * @returns the graph's outputs in its order, in fresh memory
   * @throws VitrineError `invalid_tensor` for shapes that the graph refuses, `model_failed` for any other
   *   failure, without the data that led to it
   */
  run(feeds: readonly Tensor[]): Promise<Tensor[]>;
}

let loading: Promise<Ort> | undefined;

/**
 * Imports the package once per thread. It decides at its first tensor how FP16 is held, and where
 * Float16Array exists it decides for one that its native part then refuses; so that name is hidden meanwhile,
 * and FP16 are 16-bit patterns throughout.
 */
async function importRuntime(): Promise<Ort> {
  const owner = globalThis as { Float16Array?: unknown };
  const hidden = owner.Float16Array;
  delete owner.Float16Array;
  try {
    const ort = await import('onnxruntime-node');
    new ort.Tensor('float32', new Float32Array(1), [1]);
    // Its own log lines would mix with ours; every failure is thrown and told once.
    ort.env.logLevel = 'fatal';
    return ort;
  } finally {
    if (hidden !== undefined) owner.Float16Array = hidden;
  }
}

function loadRuntime(): Promise<Ort> {
  loading ??= importRuntime();
  return loading;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

function toFeed(ort: Ort, tensor: Tensor): OrtTensor {
  const type = TYPE_OF[tensor.datatype];
  const data = ArrayBuffer.isView(tensor.data)
    ? tensor.data
    : tensor.data.map((text) => decoder.decode(text));
  return new ort.Tensor(type, data as OrtTensor.DataType, tensor.shape);
}

function fromOutput(name: string, output: OrtTensor): Tensor {
  const datatype = DATATYPE_OF[output.type];
  if (datatype === undefined) {
    throw new VitrineError('model_failed', `the model's output ${JSON.stringify(name)} is ${output.type}`);
  }
  const data =
    datatype === 'BYTES' ? (output.data as string[]).map((text) => encoder.encode(text)) : output.data;
  return { name, datatype, shape: output.dims, data: data as Tensor['data'] };
}

function describeValue(value: InferenceSession.ValueMetadata): TensorMetadata | string {
  if (!value.isTensor) return `"${value.name}" is no tensor but a sequence or map`;
  const datatype = DATATYPE_OF[value.type];
  if (datatype === undefined) return `"${value.name}" has the datatype ${value.type}, which is not served`;
  const shape = value.shape.map((size) => (typeof size === 'number' ? size : VARIABLE_DIMENSION));
  return { name: value.name, datatype, shape };
}

/** Inputs must all be tensors; an output that is none is left out and noted. */
function describeGraph(session: InferenceSession, fail: (message: string) => ModelLoadError) {
  const notes: string[] = [];
  const inputs = session.inputMetadata.map((value) => {
    const input = describeValue(value);
    if (typeof input === 'string') throw fail(`the graph's input ${input}; export it with tensors only`);
    return input;
  });
  const outputs = session.outputMetadata.flatMap((value) => {
    const output = describeValue(value);
    if (typeof output !== 'string') return output;
    notes.push(`the graph's output ${output}; it is left out`);
    return [];
  });
  if (outputs.length === 0) throw fail('the graph has no output that is a tensor; export one');
  return { graph: { inputs, outputs }, notes };
}

/**
 * Opens a session on this thread. Blocks it until the model is loaded and optimised.
 * @throws ModelLoadError with one problem: `corrupt_model`, `external_data`, `unsupported` or `load`
 */
export async function openSession(
  entry: Pick<ModelEntry, 'name' | 'version' | 'modelPath' | 'shownPath'>,
  options: SessionOptions,
): Promise<RuntimeSession> {
  const ort = await loadRuntime();
  const where = { model: entry.name, version: entry.version, path: entry.shownPath };
  let session: InferenceSession;
  try {
    session = await ort.InferenceSession.create(entry.modelPath, {
      executionProviders: ['cpu'],
      intraOpNumThreads: options.intraOpThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // A memory plan is kept for every combination of input shapes, without a limit.
      enableMemPattern: false,
      logSeverityLevel: 4,
      // Threads that spin while they wait take the cores from the thread that serves HTTP.
      extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
    });
  } catch (error) {
    throw new ModelLoadError([{ ...where, ...explainLoadError(error) }], { cause: error });
  }
  let released = false;
  const release = async (): Promise<void> => {
    if (released) return;
    released = true;
    await session.release();
  };
  try {
    const { graph, notes } = describeGraph(
      session,
      (message) => new ModelLoadError([{ ...where, code: 'unsupported', message }]),
    );
    const outputNames = graph.outputs.map((output) => output.name);
    return {
      graph,
      notes,
      async run(feeds) {
        const given: Record<string, OrtTensor> = {};
        for (const feed of feeds) given[feed.name] = toFeed(ort, feed);
        let outputs: InferenceSession.ReturnType;
        try {
          outputs = await session.run(given, outputNames);
        } catch (error) {
          throw explainRunError(error);
        }
        return outputNames.map((name) => fromOutput(name, outputs[name] as OrtTensor));
      },
      [Symbol.asyncDispose]: release,
    };
  } catch (error) {
    await release();
    throw error;
  }
}
