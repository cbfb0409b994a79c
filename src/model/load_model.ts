/** From an entry of the repository to a model that is warm, on the thread that will run it. */
import type { Tensor } from '../contract/tensors.ts';
import { createPipeline } from './create_pipeline.ts';
import { describeModel } from './describe_model.ts';
import type { ModelInfo } from './model_info.ts';
import { ModelLoadError } from './model_problem.ts';
import type { Pipeline, PreparedQuery } from './pipelines.ts';
import type { ModelEntry } from './repository.ts';
import { openSession, type RuntimeSession } from './runtime.ts';

export interface LoadedModel extends AsyncDisposable {
  /** Plain data: post it to the thread that serves. */
  readonly info: ModelInfo;
  readonly pipeline: Pipeline;
  readonly session: RuntimeSession;
}

/**
 * Runs the sample once alone and, with batching, once as the largest batch that it fills, so that memory is
 * allocated before the first query. What comes out is held against what the manifest says of it.
 * @returns a note when there was no sample, or a made-up one did not run
 * @throws ModelLoadError `warm_up` when a given sample does not run, or batching is declared
 *   and the outputs do not follow the batch
 */
async function warmUp(
  entry: ModelEntry,
  info: ModelInfo,
  pipeline: Pipeline,
  session: RuntimeSession,
): Promise<string | undefined> {
  if (info.warmUp.length === 0) return undefined;
  const fail = (error: unknown, key: string): ModelLoadError => {
    const location = entry.manifest.locations[key] ?? { path: entry.shownPath };
    const message = `${key}: ${(error as Error).message}`;
    return new ModelLoadError([
      { code: 'warm_up', model: entry.name, version: entry.version, ...location, message },
    ]);
  };
  let sample: PreparedQuery;
  try {
    sample = pipeline.prepareRows(info.warmUp);
  } catch (error) {
    throw fail(error, 'warm_up');
  }
  const most = Math.floor((info.batching?.maxBatchRows ?? 1) / sample.rows);
  for (const copies of new Set([1, most])) {
    const batch = pipeline.assemble(Array.from({ length: copies }, () => sample));
    let outputs: readonly Tensor[];
    try {
      outputs = pipeline.postprocess(await session.run(batch.feeds));
    } catch (error) {
      if (info.warmUpGiven) throw fail(error, 'warm_up');
      // Sizes and values of a made-up sample may be none that the model takes.
      const { message } = error as Error;
      return `not warmed up: a made-up sample failed (${message}); give it "warm_up:" in model.yaml`;
    }
    try {
      pipeline.split(outputs, new Array(copies).fill(sample.rows));
    } catch (error) {
      throw fail(error, 'batching.axis');
    }
  }
  return undefined;
}

/**
 * Opens the model on this thread, which it blocks, and warms it up.
 * @throws ModelLoadError
 */
export async function loadModel(entry: ModelEntry): Promise<LoadedModel> {
  const session = await openSession(entry, { intraOpThreads: entry.manifest.intraOpThreads });
  try {
    const info = describeModel(entry, session.graph, session.notes);
    const pipeline = createPipeline(info);
    const note = await warmUp(entry, info, pipeline, session);
    return {
      info: note === undefined ? info : { ...info, notes: [...info.notes, note] },
      pipeline,
      session,
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}
