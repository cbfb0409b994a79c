/**
 * Wakes the generator close to a moment. Node's timers count whole milliseconds, so an open loop on them
 * sends half a millisecond late on average and in bursts; a sleeping thread is about 0.1 ms late and costs a
 * few hundredths of a core, where polling would cost a whole one that the service needs.
 */
import { Worker } from 'node:worker_threads';

/** Shared between the two threads. */
export interface PacerMemory {
  /** One cell, raised whenever `dueMs` has changed; what the thread sleeps on. */
  readonly sequence: Int32Array<SharedArrayBuffer>;
  /** One cell: when to wake next, in milliseconds from `baseNs`; infinite when not at all. */
  readonly dueMs: Float64Array<SharedArrayBuffer>;
  /** A moment of the monotonic clock, which all threads of a process share. */
  readonly baseNs: bigint;
}

export interface Pacer extends AsyncDisposable {
  /** Asks for one `onWake` in `inMs` milliseconds, instead of any asked for before. */
  wakeIn(inMs: number): void;
}

/**
 * Starts the thread; resolves when it is ready to keep time.
 * @param onWake called once per `wakeIn`, never early by more than clocks disagree
 * @param onError called when the thread died; there will be no more wakes
 */
export async function createPacer(onWake: () => void, onError: (error: Error) => void): Promise<Pacer> {
  const memory: PacerMemory = {
    sequence: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
    dueMs: new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)),
    baseNs: process.hrtime.bigint(),
  };
  memory.dueMs[0] = Number.POSITIVE_INFINITY;
  // Preloaded modules are for the process's own work; in this thread they would only cost start-up time.
  const thread = new Worker(new URL('./pacer_thread.ts', import.meta.url), {
    workerData: memory,
    execArgv: [],
  });
  const ready = Promise.withResolvers<void>();
  thread.on('message', (message: unknown) => {
    if (message === 'ready') ready.resolve();
    else onWake();
  });
  thread.on('error', (error) => {
    ready.reject(error);
    onError(error instanceof Error ? error : new Error('the pacing thread died', { cause: error }));
  });
  try {
    await ready.promise;
  } catch (error) {
    await thread.terminate();
    throw error;
  }
  return {
    wakeIn(inMs) {
      memory.dueMs[0] = Number(process.hrtime.bigint() - memory.baseNs) / 1e6 + inMs;
      Atomics.add(memory.sequence, 0, 1);
      Atomics.notify(memory.sequence, 0);
    },
    async [Symbol.asyncDispose]() {
      await thread.terminate();
    },
  };
}
