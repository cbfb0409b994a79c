/** The store's decoding and inserting without HTTP and without a thread: what the receiver can reach at most. */

import { DEFAULT_OTLP_LIMITS } from '../src/traces/otlp_batch.ts';
import { createSqliteStore } from '../src/traces/sqlite_store.ts';
import { DEFAULT_STORE_OPTIONS } from '../src/traces/store.ts';
import type { FromStore } from '../src/traces/store_messages.ts';
import { StoreService } from '../src/traces/store_service.ts';
import { serveBench } from './child.ts';
import { createSpanBodies, SPANS_PER_PAIR } from './span_bodies.ts';
import type { SendResult, SendTask } from './span_sender.ts';

const [path = ''] = process.argv.slice(2);
const store = createSqliteStore({ ...DEFAULT_STORE_OPTIONS, path });
const waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
const service = new StoreService(store, { limits: DEFAULT_OTLP_LIMITS }, (message: FromStore) => {
  if (message.type === 'done') waiting.get(message.id)?.resolve();
  if (message.type === 'failed') waiting.get(message.id)?.reject(new Error(message.message));
});
let nextId = 1;

function ingest(body: Buffer): Promise<void> {
  const id = nextId;
  nextId += 1;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  waiting.set(id, { resolve, reject });
  const own = new Uint8Array(body).buffer;
  service.receive({ type: 'ingest', id, input: { body: own, encoding: 'protobuf' } });
  return promise.finally(() => waiting.delete(id));
}

async function insert(task: SendTask): Promise<SendResult> {
  const bodies = createSpanBodies(task.startUs);
  const startMs = performance.now();
  let bytes = 0;
  for (let sequence = task.fromPair; sequence < task.fromPair + task.pairs; sequence += task.connections) {
    const group: Promise<void>[] = [];
    // As many wait together as there are connections.
    for (let at = sequence; at < Math.min(sequence + task.connections, task.fromPair + task.pairs); at += 1) {
      for (const body of bodies.pair(at)) {
        bytes += body.length;
        group.push(ingest(body));
      }
    }
    await Promise.all(group);
  }
  return { spans: task.pairs * SPANS_PER_PAIR, bytes, elapsedMs: performance.now() - startMs, refused: 0 };
}

serveBench('store-alone', {}, (task) => insert(task as SendTask));
