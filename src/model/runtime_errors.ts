/**
 * What ONNX Runtime's messages mean, in one line with a fix. They are English text without codes, so they are
 * matched by what is characteristic in them; what matches nothing is passed on, shortened and without paths.
 */
import { VitrineError } from '../contract/errors.ts';
import type { ModelProblem } from './model_problem.ts';

const MESSAGE_LIMIT_CHARS = 300;

type Explanation = Pick<ModelProblem, 'code' | 'message'>;

interface Rule {
  readonly pattern: RegExp;
  readonly explain: (groups: readonly string[]) => Explanation;
}

/** The last part of a path, as the model's author wrote it. */
function fileName(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path;
}

const RULES: readonly Rule[] = [
  {
    pattern: /External data path does not exist: "([^"]*)"/,
    explain: ([, path = '']) => ({
      code: 'external_data',
      message: `its weights file "${fileName(path)}" is missing; put it beside model.onnx`,
    }),
  },
  {
    pattern: /External data path escapes|Absolute path not allowed for external data/,
    explain: () => ({
      code: 'external_data',
      message: 'its weights file lies outside the version folder; put it beside model.onnx and export again',
    }),
  },
  {
    pattern: /External initializer: (\S+) offset: \d+ size to read: (\d+) given file_length: (\d+)/,
    explain: ([, name, needed, length]) => ({
      code: 'external_data',
      message: `its weights file is cut short: "${name}" needs ${needed} bytes and the file has ${length}; copy it again`,
    }),
  },
  {
    pattern: /[Ee]xternal (?:data|initializer)/,
    explain: () => ({
      code: 'external_data',
      message: 'its weights file cannot be read; put it whole beside model.onnx',
    }),
  },
  {
    pattern: /Protobuf parsing failed|does not have a graph|No graph was found/,
    explain: () => ({
      code: 'corrupt_model',
      message: 'is no ONNX model, or is cut short; copy or export it again',
    }),
  },
  {
    pattern: /No Op registered for (\S+) with domain_version of (\d+)/,
    explain: ([, operator, opset]) => ({
      code: 'unsupported',
      message: `the operator ${operator} is unknown in operator set ${opset}; export the model without it`,
    }),
  },
  {
    pattern: /([\w.]+:[\w.]+)\(-?\d+\) is not a registered function\/op/,
    explain: ([, operator]) => ({
      code: 'unsupported',
      message: `the custom operator ${operator} is not there; export the model without it`,
    }),
  },
  {
    pattern: /Could not find an implementation for (\w+)\((\d+)\)/,
    explain: ([, operator, opset]) => ({
      code: 'unsupported',
      message: `the operator ${operator} of operator set ${opset} is not implemented for its datatype; export it with another, such as float32`,
    }),
  },
  {
    pattern: /Opset (\d+) is under development.*till opset (\d+)/s,
    explain: ([, given, newest]) => ({
      code: 'unsupported',
      message: `operator set ${given} is newer than the runtime, which takes up to ${newest}; export with an older one`,
    }),
  },
  {
    pattern: /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    explain: ([, given, newest]) => ({
      code: 'unsupported',
      message: `IR version ${given} is newer than the runtime, which takes up to ${newest}; export with an older onnx`,
    }),
  },
  {
    pattern: /Unsupported data type: (\d+)/,
    explain: ([, type]) => ({
      code: 'unsupported',
      message: `an input or output has ONNX datatype ${type}${type === '16' ? ' (bfloat16)' : ''}, which is not served; cast it to float32 in the graph`,
    }),
  },
  {
    pattern: /Type Error: (.*)/,
    explain: ([, detail = '']) => ({
      code: 'unsupported',
      message: `the graph's types do not fit: ${detail}`,
    }),
  },
  {
    pattern: /[Ii]nvalid model\.\s*(.*)/s,
    explain: ([, detail = '']) => ({ code: 'corrupt_model', message: `the graph is not valid: ${detail}` }),
  },
];

/** One line: source locations, absolute paths and what follows the first line are of no use to the reader. */
function shorten(message: string): string {
  const line = message
    .replace(/^Load model from .*? failed:/s, '')
    .replace(/\/onnxruntime_src\/\S+ .*?\) (?=[A-Z])/s, '')
    .replace(/(?:\/[^\s/"']+){2,}/g, (path) => fileName(path))
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > MESSAGE_LIMIT_CHARS ? `${line.slice(0, MESSAGE_LIMIT_CHARS)}...` : line;
}

/** Why a model did not load. */
export function explainLoadError(error: unknown): Explanation {
  const message = error instanceof Error ? error.message : String(error);
  for (const rule of RULES) {
    const match = rule.pattern.exec(message);
    if (match === null) continue;
    const explanation = rule.explain(match);
    return { ...explanation, message: shorten(explanation.message) };
  }
  return { code: 'load', message: `the runtime refused it: ${shorten(message)}` };
}

/**
 * Why a run failed. The runtime's own text may quote elements of the input, so only names of tensors and
 * operators, and shapes, are taken from it; not even the cause is kept.
 */
export function explainRunError(error: unknown): VitrineError {
  const message = error instanceof Error ? error.message : String(error);
  const dimension =
    /Got invalid dimensions for input: (\S+) for the following indices\s+index: (\d+) Got: (\d+) Expected: (\d+)/.exec(
      message,
    );
  if (dimension !== null) {
    const [, name, axis, got, expected] = dimension;
    const field = `"${name}".shape[${axis}]`;
    return new VitrineError('invalid_tensor', `input ${field} is ${got}; the model takes ${expected}`, {
      field,
    });
  }
  const rank = /Invalid rank for input: (\S+) Got: (\d+) Expected: (\d+)/.exec(message);
  if (rank !== null) {
    const [, name, got, expected] = rank;
    const field = `"${name}".shape`;
    return new VitrineError(
      'invalid_tensor',
      `input ${field} has ${got} dimensions; the model takes ${expected}`,
      { field },
    );
  }
  const node = /while running (\w+) node\. Name:'([^']*)'/.exec(message);
  const where = node === null ? '' : ` at its operator ${node[1]}${node[2] === '' ? '' : ` "${node[2]}"`}`;
  return new VitrineError('model_failed', `the model failed${where}; its inputs may be out of its range`);
}
