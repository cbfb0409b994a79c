/**
 * The network between this gateway and its workers, where a drill can slow it down or cut it: a TCP proxy of our
 * own. Only where drills are allowed; otherwise connections are direct.
 *
 *   gateway ══ near ══▶ proxy: far ── piece by piece, late or never ── upstream ══▶ worker
 *
 * The worker is connected first, and the gateway to the proxy only then: whoever is not there is refused as without
 * a proxy. A delay holds up each piece that a worker sends; pieces keep their order. A cut breaks a connection with
 * the next piece on it, and no new one is made.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import type { FaultReader } from '../lifecycle/faults.ts';
import { CONNECT_TIMEOUT_MS } from './worker_link.ts';

export interface WorkerNetwork extends AsyncDisposable {
  /** For undici's clients. */
  readonly connector: buildConnector.connector;
}

/** Held up on one connection: beyond it nothing more is read from the worker. */
const HELD_LIMIT_BYTES = 1024 * 1024;
/** Whoever connects to the proxy without having been sent by the connector is dropped after so long. */
const STRANGER_LIMIT_MS = 1000;

/** Copies what `from` sends to `to`, each piece `delayMs()` late; `cut()` is asked before each. */
function carry(from: Socket, to: Socket, delayMs: () => number, cut: () => boolean): void {
  let heldBytes = 0;
  let lastDueMs = 0;
  let ended = false;
  const resumed = (): void => {
    if (heldBytes < HELD_LIMIT_BYTES && !to.writableNeedDrain) from.resume();
  };
  const deliver = (piece: Buffer): void => {
    heldBytes -= piece.length;
    if (!to.destroyed) to.write(piece);
    if (ended && heldBytes === 0) to.end();
    else resumed();
  };
  from.on('data', (piece: Buffer) => {
    if (cut()) {
      from.destroy();
      to.resetAndDestroy();
      return;
    }
    const nowMs = performance.now();
    lastDueMs = Math.max(lastDueMs, nowMs + delayMs());
    heldBytes += piece.length;
    if (lastDueMs <= nowMs && heldBytes === piece.length) deliver(piece);
    else setTimeout(deliver, lastDueMs - nowMs, piece);
    if (heldBytes >= HELD_LIMIT_BYTES || to.writableNeedDrain) from.pause();
  });
  to.on('drain', resumed);
  from.on('end', () => {
    ended = true;
    if (heldBytes === 0) to.end();
  });
  from.on('error', () => to.resetAndDestroy());
  to.on('close', () => from.destroy());
}

export async function createWorkerNetwork(faults: FaultReader): Promise<WorkerNetwork> {
  const cut = (): boolean => faults.active && faults.error('worker_network');
  const delayMs = (): number => (faults.active ? faults.delayMs('worker_network') : 0);
  const connectWorker = buildConnector({ timeout: CONNECT_TIMEOUT_MS });
  /** The proxy's end of each connection, by the port that the gateway's end has. */
  const arrivals = new Map<number | undefined, PromiseWithResolvers<Socket>>();
  const open = new Set<Socket>();
  const arrival = (port: number | undefined): PromiseWithResolvers<Socket> => {
    const known = arrivals.get(port);
    if (known !== undefined) return known;
    const made = Promise.withResolvers<Socket>();
    arrivals.set(port, made);
    return made;
  };
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (far) => {
    open.add(far);
    far.on('close', () => open.delete(far));
    far.on('error', () => far.destroy());
    const port = far.remotePort;
    const awaited = arrival(port);
    awaited.resolve(far);
    setTimeout(() => {
      if (arrivals.get(port) !== awaited) return;
      arrivals.delete(port);
      far.destroy();
    }, STRANGER_LIMIT_MS).unref();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: proxyPort } = server.address() as AddressInfo;

  const connector: buildConnector.connector = (options, callback) => {
    if (cut()) {
      const error = new Error('the network to the worker is cut by a drill');
      process.nextTick(callback, Object.assign(error, { code: 'EHOSTUNREACH' }), null);
      return;
    }
    connectWorker(options, (error, upstream) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      const near = connect({ port: proxyPort, host: '127.0.0.1', noDelay: true });
      const refused = (reason: Error): void => {
        upstream.destroy();
        callback(reason, null);
      };
      near.once('error', refused);
      near.once('connect', () => {
        const { localPort } = near;
        void arrival(localPort).promise.then((far) => {
          arrivals.delete(localPort);
          near.off('error', refused);
          carry(far, upstream, () => 0, cut);
          carry(upstream, far, delayMs, cut);
          far.resume();
          callback(null, near);
        });
      });
    });
  };
  return {
    connector,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const far of open) far.destroy();
      }),
  };
}
