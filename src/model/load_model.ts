/** From an entry of the repository to a model that is warm, on the thread that will run it. */
import { createPipeline } from './create_pipeline.ts';
import { describeModel } from './describe_model.ts';
import type { ModelInfo } from './model_info.ts';
import { ModelLoadError } from './model_problem.ts';
import type { Pipeline } from './pipelines.ts';
import type { ModelEntry } from './repository.ts';
import { openSession, type RuntimeSession } from './runtime.ts';

export interface LoadedModel extends AsyncDisposable {
  /** Plain data: post it to the thread that serves. */
  readonly info: ModelInfo;
  readonly pipeline: Pipeline;
  readonly session: RuntimeSession;
}

/**
 * Runs the sample once alone and, with batching, once as the largest batch it fills, so that memory is
 * allocated and kernels are chosen before the first query.
 */
async function warmUp(info: ModelInfo, pipeline: Pipeline, session: RuntimeSession): Promise<void> {
  const sample = pipeline.prepareRows(info.warmUp);
  const most = Math.floor((info.batching?.maxBatchRows ?? 1) / sample.rows);
  for (const copies of new Set([1, most])) {
    const batch = pipeline.assemble(Array.from({ length: copies }, () => sample));
    const outputs = pipeline.postprocess(await session.run(batch.feeds));
    pipeline.split(
      outputs,
      Array.from({ length: copies }, () => sample.rows),
    );
  }
}

/**
 * Opens the model on this thread, which it blocks, and warms it up.
 * @throws ModelLoadError
 */
export async function loadModel(entry: ModelEntry): Promise<LoadedModel> {
  const session = await openSession(entry, { intraOpThreads: entry.manifest.intraOpThreads });
  try {
    let info = describeModel(entry, session.graph, session.notes);
    const pipeline = createPipeline(info);
    if (info.warmUp.length > 0) {
      try {
        await warmUp(info, pipeline, session);
      } catch (error) {
        const { message } = error as Error;
        if (info.warmUpGiven) {
          const location = entry.manifest.locations.warm_up ?? { path: entry.shownPath };
          const where = { model: entry.name, version: entry.version, ...location };
          throw new ModelLoadError([{ code: 'warm_up', ...where, message: `warm_up: ${message}` }]);
        }
        const note = `not warmed up: a made-up sample failed (${message}); give it "warm_up:" in model.yaml`;
        info = { ...info, notes: [...info.notes, note] };
      }
    }
    return { info, pipeline, session, [Symbol.asyncDispose]: () => session[Symbol.asyncDispose]() };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}
