/** Joins the manifest to the graph: what the model is to those who query it, or why it cannot be that. */
import { allocateData, type Datatype, type TensorData } from '../contract/datatypes.ts';
import { readJsonData } from '../contract/tensor_json.ts';
import { describeTensor, type Tensor, type TensorMetadata, VARIABLE_DIMENSION } from '../contract/tensors.ts';
import type {
  BatchingLimits,
  GraphMetadata,
  ModelInfo,
  PostprocessPlan,
  PreprocessPlan,
} from './model_info.ts';
import { ModelLoadError, type ModelProblem } from './model_problem.ts';
import type { ModelEntry } from './repository.ts';
import { PADDED_ELEMENTS_LIMIT, utf8BytesMismatch } from './utf8_bytes.ts';

/** A sample made from the shapes stays under this; beyond it the model is not warmed up. */
const SAMPLE_ELEMENTS_LIMIT = 2 ** 24;
const SAMPLE_TEXT = 'warm up';

/** Reports a problem of one manifest key. */
type Complain = (key: string, message: string) => void;

function list(tensors: readonly TensorMetadata[]): string {
  return tensors.map((tensor) => `${tensor.name} (${describeTensor(tensor)})`).join(', ');
}

interface Side<Plan> {
  readonly plan: Plan;
  readonly tensors: readonly TensorMetadata[];
}

function describePreprocess(
  entry: ModelEntry,
  graph: GraphMetadata,
  complain: Complain,
): Side<PreprocessPlan> {
  const spec = entry.manifest.preprocess;
  const unchanged = { plan: { type: 'none' }, tensors: graph.inputs } as const;
  if (spec.type === 'none') return unchanged;
  const key = 'pipeline.preprocess';
  const tensor = graph.inputs.find((input) => input.name === spec.tensor);
  if (tensor === undefined) {
    complain(`${key}.tensor`, `"${spec.tensor}" is no input of the graph; it has ${list(graph.inputs)}`);
    return unchanged;
  }
  const mismatch = utf8BytesMismatch(tensor, spec.shift);
  if (mismatch !== undefined) complain(`${key}.tensor`, `the graph's input "${tensor.name}" ${mismatch}`);
  const others = graph.inputs.filter((input) => input !== tensor);
  if (others.some((input) => input.name === spec.input)) {
    complain(`${key}.input`, `"${spec.input}" is the name of another input of the graph; choose a new one`);
  }
  const maxRows = entry.manifest.batching?.maxBatchRows ?? 1;
  if (maxRows * spec.max_bytes > PADDED_ELEMENTS_LIMIT) {
    complain(
      `${key}.max_bytes`,
      `${spec.max_bytes} times max_batch_size ${maxRows} is over ${PADDED_ELEMENTS_LIMIT} padded bytes; lower one`,
    );
  }
  const text: TensorMetadata = { name: spec.input, datatype: 'BYTES', shape: tensor.shape.slice(0, 1) };
  const plan: PreprocessPlan = {
    type: 'utf8_bytes',
    input: spec.input,
    tensor: spec.tensor,
    datatype: tensor.datatype,
    shift: spec.shift,
    maxBytes: spec.max_bytes,
  };
  return { plan, tensors: graph.inputs.map((input) => (input === tensor ? text : input)) };
}

function describePostprocess(
  entry: ModelEntry,
  graph: GraphMetadata,
  complain: Complain,
): Side<PostprocessPlan> {
  const spec = entry.manifest.postprocess;
  const unchanged = { plan: { type: 'none' }, tensors: graph.outputs } as const;
  if (spec.type === 'none') return unchanged;
  const key = 'pipeline.postprocess';
  const tensor = graph.outputs.find((output) => output.name === spec.tensor);
  if (tensor === undefined) {
    complain(`${key}.tensor`, `"${spec.tensor}" is no output of the graph; it has ${list(graph.outputs)}`);
    return unchanged;
  }
  // The runtime reports an output of unknown rank as []; the run then shows what it is.
  const rankFits = tensor.shape.length === 2 || tensor.shape.length === 0;
  if (tensor.datatype !== 'FP32' || !rankFits) {
    complain(
      `${key}.tensor`,
      `the graph's output is ${describeTensor(tensor)}; top_label needs FP32 [n, classes]`,
    );
  }
  const labels = entry.labels ?? [];
  if (labels.length === 0) {
    complain(key, 'top_label needs labels; add "labels:" with a file or a list');
  }
  const classes = tensor.shape[1] ?? VARIABLE_DIMENSION;
  if (labels.length > 0 && classes !== VARIABLE_DIMENSION && classes !== labels.length) {
    complain('labels', `there are ${labels.length} labels for the ${classes} classes of "${tensor.name}"`);
  }
  const rows = tensor.shape.slice(0, 1);
  const kept = graph.outputs.filter((output) => spec.keep || output !== tensor);
  const tensors: TensorMetadata[] = [
    { name: spec.label, datatype: 'BYTES', shape: rows.length === 1 ? rows : [VARIABLE_DIMENSION] },
    { name: spec.probability, datatype: 'FP32', shape: rows.length === 1 ? rows : [VARIABLE_DIMENSION] },
    ...kept,
  ];
  for (const which of ['label', 'probability'] as const) {
    if (tensors.filter((output) => output.name === spec[which]).length > 1) {
      complain(`${key}.${which}`, `"${spec[which]}" would be the name of two outputs; choose another`);
    }
  }
  const { type, label, probability, keep } = spec;
  return { plan: { type, tensor: tensor.name, label, probability, keep, labels }, tensors };
}

/** The graph must let each run choose its rows, in every input and, as far as it says, in every output. */
function describeBatching(
  entry: ModelEntry,
  graph: GraphMetadata,
  complain: Complain,
): BatchingLimits | undefined {
  const { batching } = entry.manifest;
  if (batching === undefined) return undefined;
  const fixed =
    graph.inputs.find((input) => input.shape[0] !== VARIABLE_DIMENSION) ??
    // The runtime reports an output of unknown rank as []; the warm-up then shows what it is.
    graph.outputs.find((output) => output.shape.length > 0 && output.shape[0] !== VARIABLE_DIMENSION);
  if (fixed !== undefined) {
    complain(
      'batching.axis',
      `the graph's "${fixed.name}" is ${describeTensor(fixed)}, whose first dimension does not vary; export it with a dynamic batch dimension, or remove "batching:"`,
    );
  }
  return batching;
}

function emptySample(metadata: TensorMetadata, text: string): Tensor | undefined {
  const shape = metadata.shape.map((size) => (size === VARIABLE_DIMENSION ? 1 : size));
  const count = shape.reduce((product, size) => product * size, 1);
  if (count > SAMPLE_ELEMENTS_LIMIT) return undefined;
  const { datatype } = metadata;
  const data: TensorData =
    datatype === 'BYTES'
      ? Array.from({ length: count }, () => new TextEncoder().encode(text))
      : allocateData(datatype, count);
  return { name: metadata.name, datatype, shape, data };
}

/** The shape of nested lists, by their first elements. */
function nestedShape(value: unknown): number[] {
  return Array.isArray(value) ? [value.length, ...nestedShape(value[0])] : [];
}

/** A warm-up value of the manifest as a tensor. */
function givenSample(metadata: TensorMetadata, value: unknown, complain: Complain): Tensor | undefined {
  const key = `warm_up.${metadata.name}`;
  const shape = nestedShape(value);
  const fits =
    shape.length === metadata.shape.length &&
    metadata.shape.every((size, axis) => size === VARIABLE_DIMENSION || size === shape[axis]);
  if (!fits) {
    complain(key, `has the shape [${shape.join(', ')}]; the input is ${describeTensor(metadata)}`);
    return undefined;
  }
  try {
    const count = shape.reduce((product, size) => product * size, 1);
    const { name, datatype } = metadata;
    const data = readJsonData({ field: key, datatype, shape, count, exactData: () => value }, value);
    return { name, datatype: datatype satisfies Datatype, shape, data };
  } catch (error) {
    complain(key, (error as Error).message);
    return undefined;
  }
}

function describeWarmUp(
  entry: ModelEntry,
  inputs: readonly TensorMetadata[],
  preprocess: PreprocessPlan,
  complain: Complain,
  notes: string[],
): readonly Tensor[] {
  const given = entry.manifest.warmUp;
  if (given !== undefined) {
    for (const name of Object.keys(given)) {
      if (!inputs.some((input) => input.name === name)) {
        complain(`warm_up.${name}`, `is no input of the model; it takes ${list(inputs)}`);
      }
    }
    return inputs.flatMap((input) => {
      if (Object.hasOwn(given, input.name)) return givenSample(input, given[input.name], complain) ?? [];
      complain('warm_up', `lacks the input ${list([input])}`);
      return [];
    });
  }
  const text = preprocess.type === 'utf8_bytes' ? SAMPLE_TEXT : '';
  const samples = inputs.map((input) => emptySample(input, text));
  if (samples.every((sample) => sample !== undefined)) return samples;
  notes.push('not warmed up: its inputs are too large to make up; give it "warm_up:" in model.yaml');
  return [];
}

/**
 * @param entry as the scan found it
 * @param graph as the runtime read it
 * @param runtimeNotes what the runtime left out, passed on in ModelInfo.notes
 * @throws ModelLoadError `graph_mismatch`, each problem with the manifest's line
 */
export function describeModel(
  entry: ModelEntry,
  graph: GraphMetadata,
  runtimeNotes: readonly string[] = [],
): ModelInfo {
  const { manifest } = entry;
  const problems: ModelProblem[] = [];
  const complain: Complain = (key, message) => {
    const keys = key.split('.');
    let location = manifest.locations[key];
    while (location === undefined && keys.length > 1) {
      keys.pop();
      location = manifest.locations[keys.join('.')];
    }
    problems.push({
      code: 'graph_mismatch',
      model: entry.name,
      version: entry.version,
      ...(location ?? { path: entry.shownPath }),
      message: `${key}: ${message}`,
    });
  };
  const notes = [...runtimeNotes];
  const preprocess = describePreprocess(entry, graph, complain);
  const postprocess = describePostprocess(entry, graph, complain);
  const batching = describeBatching(entry, graph, complain);
  const warmUp =
    problems.length > 0 ? [] : describeWarmUp(entry, preprocess.tensors, preprocess.plan, complain, notes);
  if (problems.length > 0) throw new ModelLoadError(problems);
  return {
    name: entry.name,
    version: entry.version,
    description: manifest.description,
    platform: 'onnxruntime_onnx',
    inputs: preprocess.tensors,
    outputs: postprocess.tensors,
    graph,
    preprocess: preprocess.plan,
    postprocess: postprocess.plan,
    batching,
    instances: manifest.instances,
    intraOpThreads: manifest.intraOpThreads,
    defaultTimeoutMs: manifest.defaultTimeoutMs,
    warmUp,
    warmUpGiven: manifest.warmUp !== undefined,
    notes,
  };
}
