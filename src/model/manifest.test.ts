import { describe, expect, it } from 'vitest';
import { mergeManifests, parseManifest } from './manifest.ts';

const PATH = 'langid/1/model.yaml';

function problemsOf(text: string): string[] {
  const file = parseManifest(text, PATH);
  expect(file.data).toBeUndefined();
  return file.problems.map((problem) => `${problem.path}:${problem.line}: ${problem.message}`);
}

describe('a manifest that says nothing', () => {
  it.each(['', '# only a comment\n', '{}'])('has the defaults: %j', (text) => {
    const manifest = mergeManifests([parseManifest(text, PATH)]);
    expect(manifest).toMatchObject({
      description: '',
      labels: undefined,
      preprocess: { type: 'none' },
      postprocess: { type: 'none' },
      batching: undefined,
      instances: 1,
      intraOpThreads: 1,
      defaultTimeoutMs: undefined,
      warmUp: undefined,
    });
  });
});

it('reads every key, with its line', () => {
  const text = `description: Tells languages apart.
labels: labels.txt
pipeline:
  preprocess: { type: utf8_bytes, input: text, tensor: bytes, shift: 1, max_bytes: 512 }
  postprocess:
    type: top_label
    tensor: probabilities
    label: language
    keep: true
batching: { axis: 0, max_batch_size: 8, max_queue_delay_ms: 0.5 }
instances: 2
intra_op_threads: 3
default_timeout_ms: 5000
warm_up: { text: ["hello"] }
`;
  const { locations, ...manifest } = mergeManifests([parseManifest(text, PATH)]);
  expect(manifest).toEqual({
    description: 'Tells languages apart.',
    labels: { file: 'labels.txt' },
    preprocess: { type: 'utf8_bytes', input: 'text', tensor: 'bytes', shift: 1, max_bytes: 512 },
    postprocess: {
      type: 'top_label',
      tensor: 'probabilities',
      label: 'language',
      probability: 'probability',
      keep: true,
    },
    batching: { maxBatchRows: 8, maxQueueDelayMs: 0.5 },
    instances: 2,
    intraOpThreads: 3,
    defaultTimeoutMs: 5000,
    warmUp: { text: ['hello'] },
  });
  expect(locations['pipeline.postprocess.label']).toEqual({ path: PATH, line: 8 });
  expect(locations['warm_up.text']).toEqual({ path: PATH, line: 14 });
});

describe('the version folder wins per top-level key', () => {
  const model = parseManifest('instances: 4\nbatching: { axis: 0, max_batch_size: 64 }\n', 'm/model.yaml');
  const version = parseManifest('\nbatching: { axis: 0 }\n', 'm/2/model.yaml');
  const merged = mergeManifests([model, version]);

  it('as a whole, not key by key below it', () => {
    expect(merged.instances).toBe(4);
    expect(merged.batching).toEqual({ maxBatchRows: 16, maxQueueDelayMs: 2 });
  });

  it('and problems point to the file that said it', () => {
    expect(merged.locations.instances).toEqual({ path: 'm/model.yaml', line: 1 });
    expect(merged.locations['batching.axis']).toEqual({ path: 'm/2/model.yaml', line: 2 });
    expect(merged.locations['batching.max_batch_size']).toBeUndefined();
  });
});

describe('a wrong manifest names file, line, key and fix', () => {
  it.each<[string, string, string]>([
    [
      'an unknown key',
      'instances: 1\nbatchin: { axis: 0 }',
      ':2: batchin: unknown key; did you mean batching?',
    ],
    [
      'an unknown key below another',
      'batching:\n  axis: 0\n  max_batch_sise: 4',
      ':3: batching.max_batch_sise: unknown key; did you mean max_batch_size?',
    ],
    [
      'an unknown key in the pipeline',
      'pipeline:\n  preproces: { type: none }',
      ':2: pipeline.preproces: unknown key; did you mean preprocess?',
    ],
    [
      'an unknown key of a pipeline step',
      'pipeline:\n  preprocess:\n    type: utf8_bytes\n    input: text\n    tensor: bytes\n    max_byte: 3',
      ':6: pipeline.preprocess.max_byte: unknown key; did you mean max_bytes?',
    ],
    [
      'a key that resembles nothing',
      'zzzzzzzz: 1',
      ':1: zzzzzzzz: unknown key; remove it; known keys are description, labels, pipeline, batching',
    ],
    ['no axis', '\nbatching: { max_batch_size: 4 }', ':2: batching.axis is missing; it takes 0'],
    [
      'another axis',
      'batching: { axis: 1 }',
      ':1: batching.axis is 1; it takes 0: the batch is the first dimension',
    ],
    [
      'no rows',
      'batching:\n  axis: 0\n  max_batch_size: 0',
      ':3: batching.max_batch_size is 0; it takes a whole number',
    ],
    [
      'half a row',
      'batching: { axis: 0, max_batch_size: 1.5 }',
      ':1: batching.max_batch_size is 1.5; it takes a whole',
    ],
    [
      'a negative delay',
      'batching: { axis: 0, max_queue_delay_ms: -1 }',
      ':1: batching.max_queue_delay_ms is -1; it takes milliseconds from 0 to 10000',
    ],
    [
      'a text for a number',
      'instances: many',
      ':1: instances is "many"; it takes a whole number from 1 to 64',
    ],
    [
      'an endless timeout',
      'default_timeout_ms: .inf',
      ':1: default_timeout_ms is Infinity; it takes milliseconds',
    ],
    ['a list for a map', 'batching: [0]', ':1: batching is a list; it takes { axis: 0 }'],
    [
      'an empty map',
      'pipeline:\n  preprocess:',
      ':2: pipeline.preprocess is empty; it takes { type: none } or',
    ],
    [
      'an unknown step',
      'pipeline:\n  preprocess: { type: tokenizer }',
      ':2: pipeline.preprocess.type is "tokenizer"; it takes none or utf8_bytes',
    ],
    [
      'a step that lacks a name',
      'pipeline:\n  postprocess: { type: top_label }',
      ":2: pipeline.postprocess.tensor is missing; it takes the name of the graph's FP32 output",
    ],
    [
      'labels that are numbers',
      'labels:\n  - zero\n  - 1',
      ':3: labels.1 is 1; it takes a file in the version folder with one label per line, or a list of quoted texts',
    ],
    ['labels that are a map', 'labels: { a: 1 }', ':1: labels is a map; it takes a file'],
    ['a list as the file', '- instances', ':1: the file is a list; it takes keys such as'],
    ['a doubled key', 'instances: 1\ninstances: 2', ':2: not valid YAML: Map keys must be unique'],
    ['a broken file', 'instances: 1\nbatching: {', ':2: not valid YAML:'],
    ['a tag', 'instances: !!js/function 1', ':1: instances is "1"; it takes a whole number'],
  ])('%s', (_, text, expected) => {
    const problems = problemsOf(text);
    expect(problems.join('\n')).toContain(expected);
    for (const problem of problems) expect(problem).toMatch(/^langid\/1\/model\.yaml:\d+: [^\n]+$/);
  });

  it('all at once, but no more than twenty', () => {
    expect(problemsOf('instances: 0\nintra_op_threads: 0\nfoo: 1')).toHaveLength(3);
    const many = Array.from({ length: 50 }, (_, index) => `unknown_${index}: 1`).join('\n');
    expect(problemsOf(many)).toHaveLength(20);
  });

  it.each([
    ['deep nesting', '['.repeat(50_000)],
    ['aliases that multiply', bomb()],
    ['an alias to nothing', 'description: *nothing'],
    ['bytes that are no text', '\u0000\u0001\u0002'],
  ])('hostile text is a problem, not a crash: %s', (_, text) => {
    expect(problemsOf(text).length).toBeGreaterThan(0);
  });

  it('keys with line breaks stay on one line', () => {
    expect(problemsOf('"a\\nb": 1')).toEqual([expect.stringMatching(/^[^\n]*a\\nb: unknown key[^\n]*$/)]);
  });

  it('shows no more of a value than is needed to find it', () => {
    expect(problemsOf(`instances: "${'x'.repeat(10_000)}"`).join().length).toBeLessThan(300);
  });
});

/** Ten levels of aliases, each naming the one before ten times. */
function bomb(): string {
  const lines = ['warm_up:', '  a0: &a0 [x]'];
  for (let level = 1; level <= 10; level += 1) {
    lines.push(
      `  a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    );
  }
  return lines.join('\n');
}
