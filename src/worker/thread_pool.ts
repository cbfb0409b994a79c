/**
 * The inference threads. Each runs one batch at a time, in the order in which it was asked. A thread is never
 * terminated while it may be running: that would abort the process. So a batch cannot be stopped, and a
 * thread that dies takes the process with it: whoever supervises the process starts it anew.
 */
import { Worker } from 'node:worker_threads';
import { VitrineError } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensors.ts';
import { transferList } from '../model/create_pipeline.ts';
import type { ModelInfo } from '../model/model_info.ts';
import type { ModelProblem } from '../model/model_problem.ts';
import type { ModelEntry } from '../model/repository.ts';
import type {
  FromInferenceThread,
  InferenceThreadData,
  MessageEnd,
  RunMarks,
  ToInferenceThread,
} from './thread_messages.ts';

/** A thread as the pool sees it. */
export interface InferenceEnd extends MessageEnd<FromInferenceThread, ToInferenceThread> {
  /** Told once when the thread is gone; `error` when nobody asked it to go. */
  onGone(listener: (error: Error | undefined) => void): void;
}

export type LoadResult =
  | { readonly info: ModelInfo; readonly loadMs: number }
  | { readonly problems: readonly ModelProblem[]; readonly loadMs: number };

/** Told exactly once per run, in a turn of the event loop of its own. */
export interface RunListener {
  ran(marks: RunMarks, outputs: readonly Tensor[]): void;
  failed(marks: RunMarks, error: VitrineError): void;
}

export interface ThreadPool extends AsyncDisposable {
  readonly size: number;
  load(thread: number, slot: number, entry: ModelEntry): Promise<LoadResult>;
  /** @param feeds fresh memory, which is transferred */
  run(thread: number, slot: number, feeds: readonly Tensor[], listener: RunListener): void;
}

/** Starts a real thread. */
export function spawnInferenceThread(data: InferenceThreadData): InferenceEnd {
  // Without the parent's flags: what it preloads (telemetry) has no business on this thread.
  const worker = new Worker(new URL('./inference_thread.ts', import.meta.url), {
    workerData: data,
    execArgv: [],
    name: 'inference',
  });
  let failure: Error | undefined;
  worker.on('error', (error: Error) => {
    failure = error;
  });
  return {
    postMessage: (message, transfer) => worker.postMessage(message, transfer as ArrayBuffer[] | undefined),
    on: (event, listener) => worker.on(event, listener),
    onGone: (listener) => {
      worker.on('exit', (code) => {
        listener(failure ?? (code === 0 ? undefined : new Error(`inference thread ended with code ${code}`)));
      });
    },
  };
}

/**
 * @param spawn called `size` times
 * @param crashed told of a thread that is gone without having been asked; what it ran is lost
 */
export function createThreadPool(
  deps: { readonly spawn: () => InferenceEnd; readonly crashed: (thread: number, error: Error) => void },
  size: number,
): ThreadPool {
  const loads = new Map<string, (result: LoadResult) => void>();
  const runs = new Map<number, RunListener>();
  let lastRun = 0;
  let closing = false;

  const receive = (thread: number, message: FromInferenceThread): void => {
    switch (message.type) {
      case 'loaded':
      case 'load_failed': {
        const key = `${thread}:${message.slot}`;
        loads.get(key)?.(message);
        loads.delete(key);
        return;
      }
      case 'ran':
      case 'failed': {
        const listener = runs.get(message.run);
        runs.delete(message.run);
        if (message.type === 'ran') {
          listener?.ran(message.marks, message.outputs);
          return;
        }
        const { code, message: text, field } = message.error;
        listener?.failed(message.marks, new VitrineError(code, text, field === undefined ? {} : { field }));
        return;
      }
    }
  };

  const gone: Promise<void>[] = [];
  const ends = Array.from({ length: size }, (_, thread) => {
    const end = deps.spawn();
    end.on('message', (message) => receive(thread, message));
    gone.push(
      new Promise((resolve) => {
        end.onGone((error) => {
          if (!closing) deps.crashed(thread, error ?? new Error(`inference thread ${thread} ended unasked`));
          resolve();
        });
      }),
    );
    return end;
  });
  const endOf = (thread: number): InferenceEnd => {
    const end = ends[thread];
    if (end === undefined) throw new RangeError(`there is no inference thread ${thread}`);
    return end;
  };

  return {
    size,
    load: (thread, slot, entry) =>
      new Promise((resolve) => {
        loads.set(`${thread}:${slot}`, resolve);
        endOf(thread).postMessage({ type: 'load', slot, entry });
      }),
    run(thread, slot, feeds, listener) {
      lastRun += 1;
      runs.set(lastRun, listener);
      endOf(thread).postMessage({ type: 'run', run: lastRun, slot, feeds }, transferList(feeds));
    },
    async [Symbol.asyncDispose]() {
      closing = true;
      for (const end of ends) end.postMessage({ type: 'close' });
      await Promise.all(gone);
    },
  };
}
