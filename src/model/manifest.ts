/**
 * model.yaml: what a model's folder may say about how it is served. Everything in it is optional, and a model
 * without one is served as its graph declares itself.
 *
 * A manifest in the version's folder wins over one in the model's folder, key by top-level key. Every problem
 * names the file, the line, the key, what is wrong and what to write instead.
 */
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { nearestName } from '../contract/nearest_name.ts';
import type { ModelProblem } from './model_problem.ts';

export const MANIFEST_FILE = 'model.yaml';
/** A larger file is no manifest. */
export const MANIFEST_LIMIT_BYTES = 64 * 1024;
/** Problems reported of one file; the rest follows once these are fixed. */
const PROBLEM_LIMIT = 20;

const TENSOR_NAME = z.string().min(1).max(256);

const PREPROCESS = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({
    type: z.literal('utf8_bytes'),
    input: TENSOR_NAME,
    tensor: TENSOR_NAME,
    shift: z.int().min(0).max(255).default(0),
    max_bytes: z.int().min(1).max(1_048_576).default(4096),
  }),
]);

const POSTPROCESS = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({
    type: z.literal('top_label'),
    tensor: TENSOR_NAME,
    label: TENSOR_NAME.default('label'),
    probability: TENSOR_NAME.default('probability'),
    keep: z.boolean().default(false),
  }),
]);

const MANIFEST = z.strictObject({
  description: z.string().max(1000).optional(),
  labels: z
    .union([z.string().min(1).max(1024), z.array(z.string().min(1).max(1024)).min(1).max(100_000)])
    .optional(),
  pipeline: z
    .strictObject({ preprocess: PREPROCESS.optional(), postprocess: POSTPROCESS.optional() })
    .optional(),
  batching: z
    .strictObject({
      axis: z.literal(0),
      max_batch_size: z.int().min(1).max(4096).default(16),
      max_queue_delay_ms: z.number().min(0).max(10_000).default(2),
    })
    .optional(),
  instances: z.int().min(1).max(64).optional(),
  intra_op_threads: z.int().min(1).max(256).optional(),
  default_timeout_ms: z.int().min(1).max(86_400_000).optional(),
  warm_up: z.record(TENSOR_NAME, z.unknown()).optional(),
});

type ManifestData = z.infer<typeof MANIFEST>;

type PreprocessSpec = z.infer<typeof PREPROCESS>;
type PostprocessSpec = z.infer<typeof POSTPROCESS>;

/** Where a key stands: a file relative to the repository and a 1-based line. */
interface ManifestLocation {
  readonly path: string;
  readonly line: number;
}

/** A manifest with its defaults; plain data. */
export interface Manifest {
  readonly description: string;
  /** Inline labels, or the name of the file that holds them (see labels.ts), or none. */
  readonly labels: readonly string[] | { readonly file: string } | undefined;
  readonly preprocess: PreprocessSpec;
  readonly postprocess: PostprocessSpec;
  readonly batching: { readonly maxBatchRows: number; readonly maxQueueDelayMs: number } | undefined;
  readonly instances: number;
  readonly intraOpThreads: number;
  readonly defaultTimeoutMs: number | undefined;
  /** By public input name: nested lists of JSON values. */
  readonly warmUp: Readonly<Record<string, unknown>> | undefined;
  /** By dotted key (`pipeline.preprocess.tensor`), for problems that only the graph brings to light. */
  readonly locations: Readonly<Record<string, ManifestLocation>>;
}

/** One file's text, read; `data` is undefined when there are problems. */
export interface ManifestFile {
  readonly data: ManifestData | undefined;
  readonly locations: Readonly<Record<string, ManifestLocation>>;
  readonly problems: readonly Pick<ModelProblem, 'path' | 'line' | 'message'>[];
}

/** Keys that a strict object of the schema knows, by dotted path of that object. */
const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(MANIFEST.shape),
  pipeline: ['preprocess', 'postprocess'],
  'pipeline.preprocess': PREPROCESS.options.flatMap((option) => Object.keys(option.shape)),
  'pipeline.postprocess': POSTPROCESS.options.flatMap((option) => Object.keys(option.shape)),
  batching: ['axis', 'max_batch_size', 'max_queue_delay_ms'],
};

/** What a key takes, in the words of an error message; by dotted key. */
const ACCEPTS: Readonly<Record<string, string>> = {
  '': 'keys such as "description: ...", one per line',
  description: 'one line of text, at most 1000 characters',
  labels: 'a file in the version folder with one label per line, or a list of quoted texts',
  pipeline: 'preprocess and postprocess',
  'pipeline.preprocess': '{ type: none } or { type: utf8_bytes, input: ..., tensor: ... }',
  'pipeline.preprocess.type': 'none or utf8_bytes',
  'pipeline.preprocess.input': 'the name of the text input that clients send',
  'pipeline.preprocess.tensor': "the name of the graph's integer input [n, length]",
  'pipeline.preprocess.shift': 'a whole number from 0 to 255, added to every byte',
  'pipeline.preprocess.max_bytes': 'a whole number from 1 to 1048576',
  'pipeline.postprocess': '{ type: none } or { type: top_label, tensor: ... }',
  'pipeline.postprocess.type': 'none or top_label',
  'pipeline.postprocess.tensor': "the name of the graph's FP32 output [n, classes]",
  'pipeline.postprocess.label': 'the name of the BYTES output with the best label',
  'pipeline.postprocess.probability': 'the name of the FP32 output with its probability',
  'pipeline.postprocess.keep': 'true or false',
  batching: '{ axis: 0 }, with max_batch_size and max_queue_delay_ms if wanted',
  'batching.axis': '0: the batch is the first dimension of every input and output',
  'batching.max_batch_size': 'a whole number of rows from 1 to 4096',
  'batching.max_queue_delay_ms': 'milliseconds from 0 to 10000',
  instances: 'a whole number from 1 to 64',
  intra_op_threads: 'a whole number from 1 to 256',
  default_timeout_ms: 'milliseconds, a whole number from 1 to 86400000',
  warm_up: 'input names with sample values, such as { text: ["hello"] }',
};

function dotted(path: readonly PropertyKey[]): string {
  return path.map(String).join('.');
}

/** What a list or text is called in YAML's words; the value itself may be long and stays out. */
function describeValue(value: unknown): string {
  if (value === undefined) return 'is missing';
  if (value === null) return 'is empty';
  if (Array.isArray(value)) return 'is a list';
  if (typeof value === 'object') return 'is a map';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return `is ${text.length > 60 ? `${text.slice(0, 60)}...` : text}`;
}

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let value = data;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** Lines of all keys, for the depth in which a manifest has keys of its own. */
function keyLines(root: unknown, lines: LineCounter, path: string): Record<string, ManifestLocation> {
  const locations: Record<string, ManifestLocation> = {};
  const visit = (node: unknown, prefix: string, depth: number): void => {
    if (!isMap(node) || depth > 3) return;
    for (const pair of node.items) {
      const key = pair.key as Node;
      if (!isScalar(key)) continue;
      const name = prefix === '' ? String(key.value) : `${prefix}.${String(key.value)}`;
      locations[name] = { path, line: lines.linePos(key.range?.[0] ?? 0).line };
      visit(pair.value, name, depth + 1);
    }
  };
  visit(root, '', 1);
  return locations;
}

/** The line of a key, or of the nearest key above it that is there. */
function lineOf(locations: Readonly<Record<string, ManifestLocation>>, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const location = locations[dotted(path.slice(0, length))];
    if (location !== undefined) return location.line;
  }
  return 1;
}

/** Of a union's branches, the complaint that lies deepest: its author meant that branch. */
function deepestIssue(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors.flat().sort((a, b) => b.path.length - a.path.length)[0];
  return inner === undefined || inner.path.length === 0
    ? issue
    : { ...inner, path: [...issue.path, ...inner.path] };
}

function schemaProblems(
  error: z.ZodError,
  data: unknown,
  locations: Readonly<Record<string, ManifestLocation>>,
  lineOfItem: (path: readonly PropertyKey[]) => number | undefined,
): { readonly line: number; readonly message: string }[] {
  const problems: { readonly line: number; readonly message: string }[] = [];
  for (const issue of error.issues.map(deepestIssue)) {
    const key = dotted(issue.path);
    if (issue.code === 'unrecognized_keys') {
      for (const unknown of issue.keys) {
        const near = nearestName(unknown, KNOWN_KEYS[key] ?? []);
        const fix =
          near === undefined
            ? `remove it; known keys are ${[...new Set(KNOWN_KEYS[key] ?? [])].join(', ')}`
            : `did you mean ${near}?`;
        const name = (key === '' ? unknown : `${key}.${unknown}`).slice(0, 200);
        const line = lineOf(locations, [...issue.path, unknown]);
        problems.push({ line, message: `${JSON.stringify(name).slice(1, -1)}: unknown key; ${fix}` });
      }
      continue;
    }
    // Inside a list the list's own entry says what is accepted.
    let known = issue.path.length;
    while (known > 0 && ACCEPTS[dotted(issue.path.slice(0, known))] === undefined) known -= 1;
    const accepted = ACCEPTS[dotted(issue.path.slice(0, known))];
    problems.push({
      line: locations[key]?.line ?? lineOfItem(issue.path) ?? lineOf(locations, issue.path),
      message: `${key === '' ? 'the file' : key} ${describeValue(valueAt(data, issue.path))}; it takes ${accepted}`,
    });
  }
  return problems;
}

/**
 * Reads one file's text. Pure.
 * @param path the file relative to the repository, for messages
 */
export function parseManifest(text: string, path: string): ManifestFile {
  const lines = new LineCounter();
  let document: Document;
  let data: unknown;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: 'core' });
    data = document.errors.length > 0 ? undefined : (document.toJS({ maxAliasCount: 100 }) ?? {});
  } catch (error) {
    // Nested deeper than the parser's stack, aliases that multiply or point nowhere.
    const message = `not valid YAML: ${(error as Error).message.split('\n')[0]}`;
    return { data: undefined, locations: {}, problems: [{ path, line: 1, message }] };
  }
  const locations = keyLines(document.contents, lines, path);
  if (document.errors.length > 0) {
    const problems = document.errors.slice(0, PROBLEM_LIMIT).map((error) => ({
      path,
      line: lines.linePos(error.pos[0]).line,
      message: `not valid YAML: ${error.message.split('\n')[0]}`,
    }));
    return { data: undefined, locations, problems };
  }
  const parsed = MANIFEST.safeParse(data);
  if (parsed.success) return { data: parsed.data, locations, problems: [] };
  const lineOfItem = (keys: readonly PropertyKey[]): number | undefined => {
    const node = document.getIn(keys, true) as Node | undefined;
    return node?.range ? lines.linePos(node.range[0]).line : undefined;
  };
  const problems = schemaProblems(parsed.error, data, locations, lineOfItem).slice(0, PROBLEM_LIMIT);
  return { data: undefined, locations, problems: problems.map((problem) => ({ path, ...problem })) };
}

/** Merges the files of the model's folder and of the version's, the later winning per top-level key. */
export function mergeManifests(files: readonly ManifestFile[]): Manifest {
  const data: ManifestData = {};
  const locations: Record<string, ManifestLocation> = {};
  for (const file of files) {
    if (file.data === undefined) continue;
    Object.assign(data, file.data);
    for (const key of Object.keys(file.data)) {
      for (const old of Object.keys(locations)) {
        if (old === key || old.startsWith(`${key}.`)) delete locations[old];
      }
    }
    Object.assign(locations, file.locations);
  }
  return {
    description: data.description ?? '',
    labels: typeof data.labels === 'string' ? { file: data.labels } : data.labels,
    preprocess: data.pipeline?.preprocess ?? { type: 'none' },
    postprocess: data.pipeline?.postprocess ?? { type: 'none' },
    batching: data.batching && {
      maxBatchRows: data.batching.max_batch_size,
      maxQueueDelayMs: data.batching.max_queue_delay_ms,
    },
    instances: data.instances ?? 1,
    intraOpThreads: data.intra_op_threads ?? 1,
    defaultTimeoutMs: data.default_timeout_ms,
    warmUp: data.warm_up,
    locations,
  };
}
