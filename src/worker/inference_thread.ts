/** Entry of an inference thread. The main thread answers health and HTTP; this one may block. */
import { parentPort, workerData } from 'node:worker_threads';
import { sharedFaults } from '../lifecycle/faults.ts';
import { serveInference } from './inference_server.ts';
import type { InferenceThreadData } from './thread_messages.ts';

const port = parentPort;
if (port === null) throw new Error('inference_thread.ts is an entry for worker_threads');
const { faults } = workerData as InferenceThreadData;
serveInference(port as unknown as Parameters<typeof serveInference>[0], sharedFaults(faults), () =>
  port.close(),
);
