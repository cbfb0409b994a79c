/** The store's own thread: SQLite is synchronous, and whoever answers HTTP must not wait for it. */
import { parentPort, workerData } from 'node:worker_threads';
import { createSqliteStore } from './sqlite_store.ts';
import type { FromStore, StoreThreadData, ToStore } from './store_messages.ts';
import { StoreService } from './store_service.ts';

const port = parentPort;
if (port === null) throw new Error('store_thread.ts runs as a worker thread of store_client.ts');

const { store: storeOptions, limits, evictIntervalMs } = workerData as StoreThreadData;
const store = createSqliteStore(storeOptions);
const service = new StoreService(store, { limits }, (message: FromStore) => port.postMessage(message));
const retention = setInterval(() => service.checkRetention(), evictIntervalMs);

port.on('message', (message: ToStore) => {
  service.receive(message);
  if (message.type === 'close') {
    clearInterval(retention);
    port.close();
  }
});
port.postMessage({ type: 'ready' } satisfies FromStore);
service.tellCondition();
