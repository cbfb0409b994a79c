/** The closed registry of pipelines: which code each plan runs. */
import { isUtf8 } from 'node:buffer';
import type { BytesData } from '../contract/datatypes.ts';
import { VitrineError } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensors.ts';
import { concatenateRows, rowsOf, shapeKey, splitRows, tensorBytes } from './batch_rows.ts';
import type { ModelInfo } from './model_info.ts';
import type { AssembledBatch, Pipeline, PreparedQuery } from './pipelines.ts';
import { createTopLabel } from './top_label.ts';
import { gatherTexts, padTexts } from './utf8_bytes.ts';

/**
 * The runtime holds texts as C strings: UTF-8, ended by the first NUL. Checked here, so that a query which
 * cannot run is refused by itself and not with the batch that it would share.
 */
function checkGraphText(tensor: Tensor): void {
  if (tensor.datatype !== 'BYTES') return;
  const elements = tensor.data as BytesData;
  for (let index = 0; index < elements.length; index += 1) {
    const element = elements[index] ?? new Uint8Array(0);
    const wrong = !isUtf8(element)
      ? 'is not UTF-8 text; encode it as UTF-8'
      : element.includes(0)
        ? 'holds a NUL byte, which the model cannot take; remove it'
        : undefined;
    if (wrong === undefined) continue;
    const field = `${JSON.stringify(tensor.name)}.data[${index}]`;
    throw new VitrineError('invalid_tensor', `input ${field} ${wrong}`, { field });
  }
}

function createPrepareRows(info: ModelInfo): Pipeline['prepareRows'] {
  const { batching, preprocess } = info;
  // Rows of the text input are padded, so its lengths keep no queries apart.
  const textPlace =
    preprocess.type === 'utf8_bytes' ? info.inputs.findIndex((input) => input.name === preprocess.input) : -1;
  const others = info.inputs.filter((_, place) => place !== textPlace);
  return (inputs) => {
    const rows = batching === undefined ? 1 : rowsOf(inputs, batching.maxBatchRows);
    const tensors = inputs.filter((_, place) => place !== textPlace);
    let elements = 0;
    let bytes = 0;
    for (const tensor of tensors) {
      checkGraphText(tensor);
      elements += tensor.data.length;
      bytes += tensorBytes(tensor);
    }
    const groupKey = batching === undefined ? '' : shapeKey(tensors, others);
    const texts = inputs[textPlace];
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
