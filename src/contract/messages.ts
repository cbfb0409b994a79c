/**
 * Messages between the supervisor and its children, over Node's IPC channel. Each carries the version of this
 * list; what does not parse is ignored by both sides, so that a supervisor and a child of different versions
 * fail by silence (a missed heartbeat), never by misreading.
 */

const MESSAGE_VERSION = 1;

/** Where one process listens: by purpose (`http`, `metrics`, `otlp`), the port. */
export type Ports = Readonly<Record<string, number>>;

/** One process of the tree, as the supervisor tells the others. */
export interface Peer {
  /** `console`, `enricher`, `worker`, `gateway`. */
  readonly name: string;
  /** Stable over restarts. */
  readonly index: number;
  readonly ports: Ports;
}

/** Child to supervisor. */
export type ChildMessage =
  /** The process answers its callers. */
  | { readonly type: 'ready'; readonly name: string; readonly index: number; readonly ports: Ports }
  /** Nothing is in flight and everything is flushed; the process exits next. */
  | { readonly type: 'drained' }
  /** The answer to `ping` with the same sequence, sent after the process has handled pending I/O. */
  | { readonly type: 'pong'; readonly sequence: number }
  /** The process cannot start, and another try would end the same way: a taken port, a setting. */
  | { readonly type: 'fatal'; readonly message: string; readonly setting: string | undefined };

/** Supervisor to child. */
export type SupervisorMessage =
  /** Finish what is in flight within graceMs, flush, exit 0. */
  | { readonly type: 'drain'; readonly graceMs: number }
  | { readonly type: 'ping'; readonly sequence: number }
  /** Every process that is ready, after each change. */
  | { readonly type: 'peers'; readonly peers: readonly Peer[] };

/** What travels: the message and the version of this list. */
export type Sealed<M> = M & { readonly v: typeof MESSAGE_VERSION };

export function seal<M extends ChildMessage | SupervisorMessage>(message: M): Sealed<M> {
  return { v: MESSAGE_VERSION, ...message };
}

const TEXT_LIMIT_CHARS = 4096;
const PEERS_LIMIT = 1024;

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= TEXT_LIMIT_CHARS;
}

function isPorts(value: unknown): value is Ports {
  return isFields(value) && Object.values(value).every((port) => isCount(port) && port <= 65_535);
}

function isPeer(value: unknown): value is Peer & Fields {
  return isFields(value) && isText(value.name) && isCount(value.index) && isPorts(value.ports);
}

function open(raw: unknown): Fields | undefined {
  return isFields(raw) && raw.v === MESSAGE_VERSION ? raw : undefined;
}

/** A child's message, or undefined for anything else. Never throws. */
export function parseChildMessage(raw: unknown): ChildMessage | undefined {
  const fields = open(raw);
  switch (fields?.type) {
    case 'ready':
      return isPeer(fields)
        ? { type: 'ready', name: fields.name, index: fields.index, ports: fields.ports }
        : undefined;
    case 'drained':
      return { type: 'drained' };
    case 'pong':
      return isCount(fields.sequence) ? { type: 'pong', sequence: fields.sequence } : undefined;
    case 'fatal':
      return isText(fields.message) && (fields.setting === undefined || isText(fields.setting))
        ? { type: 'fatal', message: fields.message, setting: fields.setting }
        : undefined;
    default:
      return undefined;
  }
}

/** The supervisor's message, or undefined for anything else. Never throws. */
export function parseSupervisorMessage(raw: unknown): SupervisorMessage | undefined {
  const fields = open(raw);
  switch (fields?.type) {
    case 'drain':
      return isCount(fields.graceMs) ? { type: 'drain', graceMs: fields.graceMs } : undefined;
    case 'ping':
      return isCount(fields.sequence) ? { type: 'ping', sequence: fields.sequence } : undefined;
    case 'peers':
      return Array.isArray(fields.peers) && fields.peers.length <= PEERS_LIMIT && fields.peers.every(isPeer)
        ? { type: 'peers', peers: fields.peers.map(({ name, index, ports }) => ({ name, index, ports })) }
        : undefined;
    default:
      return undefined;
  }
}
