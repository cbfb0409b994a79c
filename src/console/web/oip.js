/** Queries of the Open Inference Protocol v2 in JSON: making one from a model's metadata, and reading the answer. */

/** @typedef {{name: string, datatype: string, shape: readonly number[]}} TensorInfo */
/** @typedef {{name: string, version: string, state: string, reason: string}} IndexEntry */
/** @typedef {{name: string, datatype: string, shape: readonly number[], values: readonly (string | number | boolean)[]}} Output */

const INT = /^U?INT(8|16|32|64)$/;
const FLOAT = /^(FP|BF)(16|32|64)$/;
/** Elements of a sample; a model that takes more has to be given its own. */
const SAMPLE_LIMIT = 100_000;

/** A handwritten five, 8 by 8, ink from 0 to 16: what the shipped model `digits` reads. */
export const DIGIT = [
  0, 0, 6, 15, 16, 16, 3, 0, 0, 0, 14, 16, 6, 6, 1, 0, 0, 3, 14, 5, 0, 0, 0, 0, 0, 11, 15, 8, 4, 0, 0, 0, 0,
  1, 10, 12, 16, 8, 0, 0, 0, 0, 0, 0, 5, 16, 0, 0, 0, 0, 0, 5, 13, 14, 0, 0, 0, 0, 4, 16, 14, 3, 0, 0,
];

/**
 * The models of a repository index that can be tried, each once with its ready versions, newest first.
 * @param {unknown} index
 * @returns {{name: string, versions: string[]}[]}
 */
export function readyModels(index) {
  /** @type {Map<string, string[]>} */
  const models = new Map();
  for (const entry of Array.isArray(index) ? index : []) {
    if (entry?.state !== 'READY' || typeof entry.name !== 'string') continue;
    const versions = models.get(entry.name) ?? [];
    if (typeof entry.version === 'string' && entry.version !== '') versions.push(entry.version);
    models.set(entry.name, versions);
  }
  return [...models].map(([name, versions]) => ({
    name,
    versions: versions.sort((a, b) => Number(b) - Number(a)),
  }));
}

/**
 * The inputs that a model's metadata names.
 * @param {any} metadata
 * @returns {TensorInfo[]}
 */
export function inputsOf(metadata) {
  if (!Array.isArray(metadata?.inputs)) return [];
  return metadata.inputs.map((/** @type {any} */ input) => ({
    name: String(input?.name ?? ''),
    datatype: String(input?.datatype ?? ''),
    shape: Array.isArray(input?.shape) ? input.shape.map(Number) : [],
  }));
}

/**
 * Whether one text fills a model's input: it has one, of BYTES, with room for one element.
 * @param {readonly TensorInfo[]} inputs
 */
export function takesText(inputs) {
  const [input] = inputs;
  return (
    inputs.length === 1 &&
    input?.datatype === 'BYTES' &&
    input.shape.every((size) => size === -1 || size === 1)
  );
}

/**
 * The path of a query.
 * @param {string} model
 * @param {string} version empty for the default
 */
export function modelPath(model, version) {
  const path = `/v2/models/${encodeURIComponent(model)}`;
  return version === '' ? path : `${path}/versions/${encodeURIComponent(version)}`;
}

/** @param {TensorInfo} input @param {string} text */
export function textQuery(input, text) {
  return { inputs: [{ name: input.name, datatype: 'BYTES', shape: input.shape.map(() => 1), data: [text] }] };
}

/** @param {string} datatype @returns {string | number | boolean | undefined} */
function sampleValue(datatype) {
  if (datatype === 'BYTES') return 'hello';
  if (datatype === 'BOOL') return true;
  if (INT.test(datatype)) return 1;
  return FLOAT.test(datatype) ? 0.5 : undefined;
}

/** @param {readonly number[]} flat @param {readonly number[]} shape */
function isDigit(flat, shape) {
  return flat.length === DIGIT.length && shape.length >= 2;
}

/**
 * A valid query of a model: variable sizes become 1, values are placeholders.
 * @param {string} model
 * @param {readonly TensorInfo[]} inputs
 * @returns {object | undefined} undefined when it would be too large to read, or a datatype has no JSON form
 */
export function sampleQuery(model, inputs) {
  const sampled = [];
  let left = SAMPLE_LIMIT;
  for (const { name, datatype, shape: declared } of inputs) {
    const shape = declared.map((size) => (size > 0 ? size : 1));
    const count = shape.reduce((product, size) => product * size, 1);
    const value = sampleValue(datatype);
    left -= count;
    if (left < 0 || value === undefined) return undefined;
    /** @type {(string | number | boolean)[]} */
    let data = new Array(count).fill(value);
    if (model === 'digits' && datatype === 'FP32' && isDigit(/** @type {number[]} */ (data), shape))
      data = [...DIGIT];
    sampled.push({ name, datatype, shape, data });
  }
  return sampled.length === 0 ? undefined : { inputs: sampled };
}

/** @param {object} query JSON with each tensor's data on one line per row */
export function queryText(query) {
  return JSON.stringify(query, null, 2).replaceAll(/\[\s+((?:-?[\d.eE+]+,?\s*)+)\]/g, (_, numbers) => {
    return `[${String(numbers).trim().replaceAll(/\s+/g, ' ')}]`;
  });
}

/** @param {unknown} data @param {(string | number | boolean)[]} into */
function flatten(data, into) {
  if (Array.isArray(data)) for (const each of data) flatten(each, into);
  else if (typeof data === 'string' || typeof data === 'number' || typeof data === 'boolean') into.push(data);
}

/**
 * The outputs of an answer.
 * @param {any} answer
 * @returns {Output[]}
 */
export function outputsOf(answer) {
  if (!Array.isArray(answer?.outputs)) return [];
  return answer.outputs.map((/** @type {any} */ output) => {
    /** @type {(string | number | boolean)[]} */
    const values = [];
    flatten(output?.data, values);
    return {
      name: String(output?.name ?? ''),
      datatype: String(output?.datatype ?? ''),
      shape: Array.isArray(output?.shape) ? output.shape : [],
      values,
    };
  });
}

/**
 * A line for a shell that sends a text to a model.
 * @param {string} gatewayUrl
 * @param {string} model
 * @param {object} query without single quotes in it
 */
export function curlLine(gatewayUrl, model, query) {
  const url = `${gatewayUrl.replace(/\/+$/, '')}${modelPath(model, '')}/infer`;
  return `curl -si ${url} -H 'content-type: application/json' -d '${JSON.stringify(query)}'`;
}
