/**
 * onnxruntime-node in a loop, with nothing around it: what a model can do at most in batches of one size. The
 * options are those with which the worker opens a session; inputs are made once, outputs dropped.
 */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { serveBench } from './child.ts';

/** What the bench asks of it. */
export interface RawTask {
  readonly batchRows: number;
  readonly durationMs: number;
}

export interface RawResult {
  readonly rowsPerS: number;
  /** Of one run. */
  readonly meanRunMs: number;
}

const [modelPath = '', input = '', width = '0'] = process.argv.slice(2);
const session = await InferenceSession.create(modelPath, {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  enableMemPattern: false,
  extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
});

async function loop({ batchRows, durationMs }: RawTask): Promise<RawResult> {
  const data = new Float32Array(batchRows * Number(width)).fill(0.5);
  const feeds = { [input]: new Tensor('float32', data, [batchRows, Number(width)]) };
  await session.run(feeds);
  const startMs = performance.now();
  let runs = 0;
  let elapsedMs = 0;
  while (elapsedMs < durationMs) {
    await session.run(feeds);
    runs += 1;
    elapsedMs = performance.now() - startMs;
  }
  return { rowsPerS: (runs * batchRows * 1000) / elapsedMs, meanRunMs: elapsedMs / runs };
}

serveBench('raw-runtime', {}, (task) => loop(task as RawTask));
