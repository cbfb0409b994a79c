/** The models that the bench measures, made on the spot in a repository of their own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { INFERENCE_HEADER_CONTENT_LENGTH } from '../src/contract/headers.ts';
import { encodeInferRequest } from '../src/contract/oip_client.ts';
import type { LoadSample } from '../src/loadgen/plan.ts';
import {
  encodeIdentity,
  encodeMlp,
  GENERATED_INPUT,
  MLP_SHAPES,
  seededUniform,
} from '../src/model/generated_models.ts';

/** Distinct bodies of one load. */
const SAMPLES = 32;

export interface Batching {
  readonly maxRows: number;
  readonly maxDelayMs: number;
}

export interface BenchModel {
  readonly name: string;
  readonly onnx: Uint8Array;
  /** Undefined: every query runs alone. */
  readonly batching: Batching | undefined;
  /** Elements of a row. */
  readonly width: number;
}

/** Nothing to compute: what is left is the service. */
export function tinyModel(): BenchModel {
  return { name: 'tiny', onnx: encodeIdentity('FP32', ['batch', 4]), batching: undefined, width: 4 };
}

export function mlpModel(
  shape: keyof typeof MLP_SHAPES,
  batching: Batching | undefined,
  name: string = shape,
): BenchModel {
  const mlp = MLP_SHAPES[shape];
  return { name, onnx: encodeMlp(mlp), batching, width: mlp.width };
}

export function modelFile(folder: string, { name }: BenchModel): string {
  return join(folder, name, '1', 'model.onnx');
}

/** Writes `<folder>/<name>/1/model.onnx` and model.yaml for each. */
export async function writeRepository(folder: string, models: readonly BenchModel[]): Promise<void> {
  for (const { name, onnx, batching } of models) {
    const version = join(folder, name, '1');
    await mkdir(version, { recursive: true });
    await writeFile(join(version, 'model.onnx'), onnx);
    const lines = ['instances: 1', 'intra_op_threads: 1'];
    if (batching !== undefined) {
      const { maxRows, maxDelayMs } = batching;
      lines.push(`batching: { axis: 0, max_batch_size: ${maxRows}, max_queue_delay_ms: ${maxDelayMs} }`);
    }
    await writeFile(join(version, 'model.yaml'), `${lines.join('\n')}\n`);
  }
}

/** Queries of one row each, with numbers of four digits, so that JSON has a size like that of real inputs. */
export function samplesOf(model: BenchModel, encoding: 'json' | 'binary'): LoadSample[] {
  const uniform = seededUniform(7);
  return Array.from({ length: SAMPLES }, () => {
    const data = Float32Array.from({ length: model.width }, () => Math.round(uniform() * 1e4) / 1e4);
    if (encoding === 'json') {
      const values = Array.from(data, (value) => Number(value.toFixed(4)));
      const input = { name: GENERATED_INPUT, shape: [1, model.width], datatype: 'FP32', data: values };
      return {
        body: Buffer.from(JSON.stringify({ inputs: [input] })),
        headers: { 'content-type': 'application/json' },
      };
    }
    const message = encodeInferRequest(
      {
        inputs: [{ name: GENERATED_INPUT, datatype: 'FP32', shape: [1, model.width], data }],
        binaryDataOutput: true,
      },
      'binary',
    );
    return {
      body: message.body,
      headers: {
        'content-type': message.contentType,
        [INFERENCE_HEADER_CONTENT_LENGTH]: String(message.inferenceHeaderContentLength),
      },
    };
  });
}
