/**
 * What an inference thread does: loads models and runs their batches, one after another, and nothing else.
 * Runs over any message channel, so that a test can have it in its own thread.
 */
import { asVitrineError } from '../contract/errors.ts';
import type { FaultReader } from '../lifecycle/faults.ts';
import { transferList } from '../model/create_pipeline.ts';
import { type LoadedModel, loadModel } from '../model/load_model.ts';
import { ModelLoadError, type ModelProblem } from '../model/model_problem.ts';
import type { ModelEntry } from '../model/repository.ts';
import type { FromInferenceThread, MessageEnd, RunMarks, ToInferenceThread } from './thread_messages.ts';

type End = MessageEnd<ToInferenceThread, FromInferenceThread>;

function problemsOf(error: unknown, entry: ModelEntry): readonly ModelProblem[] {
  if (error instanceof ModelLoadError) return error.problems;
  const message = error instanceof Error ? error.message : String(error);
  return [{ code: 'load', model: entry.name, version: entry.version, path: entry.shownPath, message }];
}

/**
 * Answers every `load` with `loaded` or `load_failed`, every `run` with `ran` or `failed`, in order.
 * @param closed called after `close`, when the sessions are released
 */
export function serveInference(end: End, faults: FaultReader, closed: () => void): void {
  const models = new Map<number, LoadedModel>();

  const load = async (slot: number, entry: ModelEntry): Promise<void> => {
    const startMs = performance.now();
    try {
      const model = await loadModel(entry);
      models.set(slot, model);
      end.postMessage({ type: 'loaded', slot, info: model.info, loadMs: performance.now() - startMs });
    } catch (error) {
      const loadMs = performance.now() - startMs;
      end.postMessage({ type: 'load_failed', slot, problems: problemsOf(error, entry), loadMs });
    }
  };

  const run = async ({
    run: id,
    slot,
    feeds,
  }: Extract<ToInferenceThread, { type: 'run' }>): Promise<void> => {
    if (faults.active) faults.passSync('dispatch');
    const startMs = performance.now();
    let computeStartMs = startMs;
    let computeEndMs = 0;
    const marks = (): RunMarks => {
      const endMs = performance.now();
      return { startMs, computeStartMs, computeEndMs: computeEndMs === 0 ? endMs : computeEndMs, endMs };
    };
    try {
      const model = models.get(slot);
      if (model === undefined) throw new Error(`no model is loaded in slot ${slot}`);
      if (faults.active) faults.passSync('compute');
      computeStartMs = performance.now();
      const raw = await model.session.run(feeds);
      computeEndMs = performance.now();
      if (faults.active) faults.passSync('postprocess');
      const outputs = model.pipeline.postprocess(raw);
      end.postMessage({ type: 'ran', run: id, marks: marks(), outputs }, transferList(outputs));
    } catch (error) {
      const { code, message, field } = asVitrineError(error);
      end.postMessage({ type: 'failed', run: id, marks: marks(), error: { code, message, field } });
    }
  };

  const close = async (): Promise<void> => {
    for (const model of models.values()) await model[Symbol.asyncDispose]();
    models.clear();
    closed();
  };

  const handle = (message: ToInferenceThread): Promise<void> => {
    switch (message.type) {
      case 'load':
        return load(message.slot, message.entry);
      case 'run':
        return run(message);
      case 'close':
        return close();
    }
  };
  // One after another: a run blocks the thread, but loading awaits in between.
  let last = Promise.resolve();
  end.on('message', (message) => {
    last = last.then(() => handle(message));
  });
}
