/** The closed registry of pipelines: which code each plan runs. */
import type { Tensor } from '../contract/tensors.ts';
import { concatenateRows, rowsOf, shapeKey, splitRows, tensorBytes } from './batch_rows.ts';
import type { ModelInfo } from './model_info.ts';
import type { AssembledBatch, Pipeline, PreparedQuery } from './pipelines.ts';
import { createTopLabel } from './top_label.ts';
import { gatherTexts, padTexts } from './utf8_bytes.ts';

function createPrepareRows(info: ModelInfo): Pipeline['prepareRows'] {
  const { batching, preprocess } = info;
  // The text input's rows are padded, so its lengths keep no queries apart.
  const others = info.inputs.filter(
    (input) => preprocess.type !== 'utf8_bytes' || input.name !== preprocess.input,
  );
  return (inputs) => {
    const rows = batching === undefined ? 1 : rowsOf(inputs, batching.maxBatchRows);
    const tensors = inputs.filter((input) => others.some((other) => other.name === input.name));
    let elements = 0;
    let bytes = 0;
    for (const tensor of tensors) {
      elements += tensor.data.length;
      bytes += tensorBytes(tensor);
    }
    const groupKey = batching === undefined ? '' : shapeKey(tensors, others);
    const texts =
      preprocess.type === 'utf8_bytes' ? inputs.find((input) => input.name === preprocess.input) : undefined;
    if (preprocess.type === 'none' || texts === undefined) {
      return { rows, groupKey, rowLengths: undefined, ragged: undefined, elements, bytes, tensors };
    }
    const { rowLengths, ragged } = gatherTexts(preprocess, texts);
    elements += ragged.length;
    bytes += ragged.byteLength + rowLengths.byteLength;
    return { rows, groupKey, rowLengths, ragged, elements, bytes, tensors };
  };
}

function assembleFeeds(info: ModelInfo, prepared: readonly PreparedQuery[]): Tensor[] {
  const { preprocess } = info;
  let place = 0;
  return info.graph.inputs.map((input) => {
    if (preprocess.type === 'utf8_bytes' && input.name === preprocess.tensor) {
      return padTexts(preprocess, prepared);
    }
    const at = place;
    place += 1;
    return concatenateRows(prepared.map((query) => query.tensors[at] as Tensor));
  });
}

function assemble(info: ModelInfo, prepared: readonly PreparedQuery[]): AssembledBatch {
  if (info.batching === undefined && prepared.length !== 1) {
    throw new RangeError(`${info.name} has no batch axis: one query is one run`);
  }
  const feeds = assembleFeeds(info, prepared);
  let rows = 0;
  let realElements = 0;
  for (const query of prepared) {
    rows += query.rows;
    realElements += query.elements;
  }
  let elements = 0;
  for (const feed of feeds) elements += feed.data.length;
  return { feeds, rows, realElements, paddingElements: elements - realElements };
}

/** The steps around a model's run. Cheap, so each thread builds its own from the same ModelInfo. */
export function createPipeline(info: ModelInfo): Pipeline {
  const { postprocess } = info;
  return {
    prepareRows: createPrepareRows(info),
    assemble: (prepared) => assemble(info, prepared),
    postprocess: postprocess.type === 'top_label' ? createTopLabel(postprocess) : (outputs) => outputs,
    split: (outputs, rowsPerQuery) =>
      info.batching === undefined ? [outputs] : splitRows(outputs, rowsPerQuery),
  };
}

/**
 * The buffers to transfer with these tensors. Only for tensors from assemble(), run() and postprocess(): nothing
 * else holds their memory. Shared memory needs no transfer and is left out.
 */
export function transferList(tensors: readonly Tensor[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of tensors) {
    const arrays: readonly ArrayBufferView[] = ArrayBuffer.isView(data) ? [data] : data;
    for (const { buffer } of arrays) if (buffer instanceof ArrayBuffer) buffers.add(buffer);
  }
  return [...buffers];
}
