/**
 * The life of one service process, from its start to its exit code, under a supervisor or alone.
 *
 * Under a supervisor the process obeys messages and ignores SIGINT and SIGTERM, which a terminal sends to the
 * whole process group: the supervisor decides the order in which processes drain. When the channel is lost the
 * supervisor is gone, so the process drains and exits: none is orphaned. Alone, the first signal drains and the
 * second forces.
 */
import type { Log } from '../contract/log.ts';
import {
  type ChildMessage,
  type Peer,
  type Ports,
  parseSupervisorMessage,
  seal,
} from '../contract/messages.ts';
import type { Health } from './health.ts';
import { StartupError } from './startup_error.ts';
import { takeStopSignals } from './stop_signals.ts';

/** In argv of every process that a supervisor started. */
export const SUPERVISED_FLAG = '--supervised';

/** Drained in time, or not needed. */
export const EXIT_OK = 0;
/** Crashed, or could not drain within the grace period. */
export const EXIT_FAILED = 1;
/** The configuration has to change first (EX_CONFIG of sysexits.h): another start would end the same way. */
export const EXIT_CONFIG = 78;

/** Share of the grace period for what is in flight; the rest is for flushing and releasing. */
export const DRAIN_SHARE = 0.8;

export interface RunningService {
  /** Sent to the supervisor, which tells the other processes. */
  readonly ports: Ports;
  /** Stops accepting, and finishes what is in flight; what is left after graceMs is cut. */
  drain(graceMs: number): Promise<void>;
  /** Flushes telemetry and releases everything. Called once, after drain or when drain failed. */
  close(): Promise<void>;
}

export interface ServiceContext {
  /** Aborted when the process has to stop before it was ready. */
  readonly signal: AbortSignal;
  /** Calls with every ready process of the tree, now and after each change. Never without a supervisor. */
  onPeers(listener: (peers: readonly Peer[]) => void): void;
}

export interface ServiceDefinition {
  readonly name: string;
  readonly index: number;
  /** Longest drain after a signal or a lost supervisor; the supervisor's messages name their own. */
  readonly graceMs: number;
  readonly log: Log;
  /** `start` is cleared when the service is ready, `drain` obstructs it from the moment it stops. */
  readonly health: Health;
  /** @throws StartupError when only a change of configuration helps */
  start(context: ServiceContext): Promise<RunningService>;
}

/** Resolves when the message has left, or can no longer leave. */
function tell(message: ChildMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) return resolve();
    process.send(seal(message), undefined, {}, () => resolve());
  });
}

/** Runs the service and resolves when it is ready. The process ends through `process.exit`. */
export async function runService(definition: ServiceDefinition): Promise<void> {
  const { name, index, log, health } = definition;
  const supervised = process.argv.includes(SUPERVISED_FLAG);
  // The supervisor may die while our modules are loading; nobody would ever stop us then.
  if (supervised && process.connected !== true) process.exit(EXIT_FAILED);
  const abort = new AbortController();
  const peersListeners: ((peers: readonly Peer[]) => void)[] = [];
  let peers: readonly Peer[] | undefined;
  let service: RunningService | undefined;
  let stopping = false;

  process.on('uncaughtException', (error, origin) => {
    log.error(`${name} ${index} crashed`, { error, origin });
    process.exit(EXIT_FAILED);
  });

  const started = (async () => {
    // One turn later, so that what follows is in place before a service that starts at once is ready.
    await Promise.resolve();
    service = await definition.start({
      signal: abort.signal,
      onPeers: (listener) => {
        peersListeners.push(listener);
        if (peers !== undefined) listener(peers);
      },
    });
    return service;
  })();

  const stop = async (reason: string, graceMs: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info(`${name} ${index} drains`, { reason, graceMs });
    const overdue = setTimeout(() => {
      log.error(`${name} ${index} could not drain in time`, { graceMs });
      process.exit(EXIT_FAILED);
    }, graceMs);
    let code = EXIT_OK;
    try {
      // 1. Unready, so that whoever balances over this process stops choosing it.
      health.obstruct('drain', reason);
      abort.abort();
      // 2. A start under way ends first: what it opened has to be closed. One that failed has released it already.
      const running = service ?? (await started.catch(() => undefined));
      // 3. Stop accepting and finish what is in flight: its callers wait for us.
      await running?.drain(graceMs * DRAIN_SHARE).catch((error: unknown) => {
        code = EXIT_FAILED;
        log.error(`${name} ${index} failed to drain`, { error });
      });
      // 4. Flush and release, only now that nothing records any more.
      await running?.close();
    } catch (error) {
      code = EXIT_FAILED;
      log.error(`${name} ${index} failed to close`, { error });
    }
    // 5. Tell the supervisor, so that it stops the processes that this one needed.
    await tell({ type: 'drained' });
    clearTimeout(overdue);
    process.exit(code);
  };

  if (supervised) {
    process.on('message', (raw) => {
      const message = parseSupervisorMessage(raw);
      switch (message?.type) {
        case 'ping':
          // After the poll phase: a process that answers has also served its sockets.
          setImmediate(() => void tell({ type: 'pong', sequence: message.sequence }));
          break;
        case 'peers':
          peers = message.peers;
          for (const listener of peersListeners) listener(peers);
          break;
        case 'drain':
          void stop('the supervisor asked', message.graceMs);
          break;
      }
    });
    process.on('disconnect', () => void stop('the supervisor is gone', definition.graceMs));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  } else {
    takeStopSignals({
      first: (signal) => void stop(signal, definition.graceMs),
      again: () => process.exit(EXIT_FAILED),
    });
  }

  try {
    const { ports } = await started;
    if (stopping) return;
    health.clear('start');
    log.info(`${name} ${index} is ready`, { ports, pid: process.pid });
    await tell({ type: 'ready', name, index, ports });
  } catch (error) {
    if (stopping) return;
    stopping = true;
    if (error instanceof StartupError) {
      log.error(error.message, { code: error.code, setting: error.setting });
      await tell({ type: 'fatal', message: error.message, setting: error.setting });
      process.exit(EXIT_CONFIG);
    }
    log.error(`${name} ${index} could not start`, { error });
    process.exit(EXIT_FAILED);
  }
}
