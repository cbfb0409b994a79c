/**
 * One process of the tree, over all its restarts.
 *
 *   waiting ──start()──▶ starting ──ready──▶ ready
 *                          │  ▲                │
 *                     died │  └── backoff ◀────┤ died (also: hung, then killed)
 *                          ▼          │        │
 *                       given_up ◀────┘        │
 *   any but given_up ──drain()──▶ draining ──exited──▶ stopped
 *
 * A process that says `fatal` before it was ever ready is given up at once: its configuration has to change.
 * One that was ready before is restarted even then, since the cause may pass (a port that is not free yet).
 * `waiting`, `backoff`, `given_up` and `stopped` have no child; the others have one.
 */
import type { Log } from '../contract/log.ts';
import { type Peer, type Ports, parseChildMessage } from '../contract/messages.ts';
import type { ChildExit, ChildHandle, ChildProgram, SpawnChild } from './child_handle.ts';
import { createHeartbeat, type Heartbeat } from './heartbeat.ts';
import { createRestartPolicy, type RestartPolicy } from './restart_policy.ts';

export type ProcessState = 'waiting' | 'starting' | 'ready' | 'backoff' | 'draining' | 'given_up' | 'stopped';

export interface SupervisedProcessOptions {
  readonly name: string;
  readonly index: number;
  /**
   * Asked at each start, so that it can carry what became known meanwhile.
   * @param restarts within the window, this start included; 0 the first time
   */
  readonly program: (restarts: number) => ChildProgram;
  readonly restartLimit: number;
  readonly restartWindowMs: number;
  readonly restartBackoffMs: number;
  readonly hangTimeoutMs: number;
}

export interface SupervisedProcessDeps {
  readonly spawn: SpawnChild;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly random: () => number;
  /** After every change of state. */
  readonly changed: (process: SupervisedProcess) => void;
}

/** States in which a child lives, and the states that may follow each. */
const NEXT: Readonly<Record<ProcessState, readonly ProcessState[]>> = {
  waiting: ['starting', 'stopped'],
  starting: ['ready', 'backoff', 'given_up', 'draining'],
  ready: ['backoff', 'given_up', 'draining'],
  backoff: ['starting', 'stopped'],
  draining: ['stopped'],
  given_up: [],
  stopped: [],
};

export class SupervisedProcess {
  readonly name: string;
  readonly index: number;
  /** `worker 2`: stable, unlike a pid. */
  readonly label: string;
  readonly #options: SupervisedProcessOptions;
  readonly #deps: SupervisedProcessDeps;
  readonly #restarts: RestartPolicy;
  #state: ProcessState = 'waiting';
  #child: ChildHandle | undefined;
  #ports: Ports | undefined;
  #fault: { message: string; setting: string | undefined } | undefined;
  #wasReady = false;
  #drained = false;
  #restartsInWindow = 0;
  #endedWell = true;
  #heartbeat: Heartbeat | undefined;
  #heartbeatTimer: NodeJS.Timeout | undefined;
  #backoffTimer: NodeJS.Timeout | undefined;

  constructor(options: SupervisedProcessOptions, deps: SupervisedProcessDeps) {
    this.#options = options;
    this.#deps = deps;
    this.name = options.name;
    this.index = options.index;
    this.label = `${options.name} ${options.index}`;
    this.#restarts = createRestartPolicy({
      limit: options.restartLimit,
      windowMs: options.restartWindowMs,
      backoffMs: options.restartBackoffMs,
      random: deps.random,
    });
  }

  get state(): ProcessState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Of the last time it was ready; kept over a restart. */
  get ports(): Ports | undefined {
    return this.#ports;
  }

  /** Why it can never start, when it said so. */
  get fault(): { readonly message: string; readonly setting: string | undefined } | undefined {
    return this.#fault;
  }

  /** Nothing is in flight here any more: drained, or without a process. */
  get quiet(): boolean {
    return this.#drained || this.ended;
  }

  get ended(): boolean {
    return this.#state === 'stopped' || this.#state === 'given_up';
  }

  /** Whether the drain ended by itself, with exit code 0. */
  get endedWell(): boolean {
    return this.#endedWell;
  }

  /** Only from `waiting`. */
  start(): void {
    this.#spawn();
  }

  /** Tells a live process who else is ready. */
  tellPeers(peers: readonly Peer[]): void {
    this.#child?.send({ type: 'peers', peers });
  }

  /** Ends it in order; at once where no child lives. Again: no effect. */
  drain(graceMs: number): void {
    if (this.ended || this.#state === 'draining') return;
    if (this.#child === undefined) {
      this.#become('stopped');
      return;
    }
    this.#child.send({ type: 'drain', graceMs: Math.max(0, Math.floor(graceMs)) });
    this.#become('draining');
  }

  kill(): void {
    this.#child?.kill();
  }

  #become(next: ProcessState): void {
    if (!NEXT[this.#state].includes(next)) {
      throw new Error(`${this.label} cannot go from ${this.#state} to ${next}`);
    }
    this.#state = next;
    if (next !== 'backoff') clearTimeout(this.#backoffTimer);
    // A process that drains is watched by the drain's deadline instead.
    if (next !== 'starting' && next !== 'ready') clearInterval(this.#heartbeatTimer);
    this.#deps.changed(this);
  }

  #spawn(): void {
    const child = this.#deps.spawn(this.#options.program(this.#restartsInWindow), {
      message: (raw) => {
        if (this.#child === child) this.#receive(raw);
      },
      exited: (exit) => {
        // A process that could not be started may say so before spawn has returned.
        setImmediate(() => this.#exited(exit));
      },
    });
    this.#child = child;
    this.#heartbeat = createHeartbeat({ hangTimeoutMs: this.#options.hangTimeoutMs }, this.#deps.nowMs());
    this.#heartbeatTimer = setInterval(() => setImmediate(() => this.#look()), this.#heartbeat.intervalMs);
    this.#become('starting');
  }

  #look(): void {
    if (this.#state !== 'starting' && this.#state !== 'ready') return;
    const verdict = this.#heartbeat?.look(this.#deps.nowMs());
    if (verdict?.kind === 'ping') {
      this.#child?.send({ type: 'ping', sequence: verdict.sequence });
    } else if (verdict?.kind === 'hung') {
      this.#deps.log.error(`${this.label} hangs and is killed`, {
        pid: this.pid,
        silentMs: Math.round(verdict.silentMs),
        setting: 'VITRINE_LIFECYCLE_HANG_TIMEOUT_MS',
      });
      this.kill();
    }
  }

  #receive(raw: unknown): void {
    const message = parseChildMessage(raw);
    switch (message?.type) {
      case 'pong':
        this.#heartbeat?.pong(message.sequence);
        break;
      case 'ready':
        this.#ports = message.ports;
        if (this.#state !== 'starting') break;
        this.#wasReady = true;
        this.#become('ready');
        break;
      case 'drained':
        this.#drained = true;
        this.#deps.changed(this);
        break;
      case 'fatal':
        if (!this.#wasReady) this.#fault = { message: message.message, setting: message.setting };
        break;
    }
  }

  #exited(exit: ChildExit): void {
    const pid = this.pid;
    this.#child = undefined;
    if (this.#state === 'draining') {
      this.#endedWell = exit.code === 0;
      this.#become('stopped');
      return;
    }
    if (this.#fault !== undefined) {
      this.#become('given_up');
      return;
    }
    const fields = { pid, exitCode: exit.code, signal: exit.signal };
    const decision = this.#restarts.decide(this.#deps.nowMs());
    if (decision.kind === 'give_up') {
      this.#deps.log.error(`${this.label} died again and is given up; the others go on`, {
        ...fields,
        restarts: decision.restarts,
        setting: 'VITRINE_LIFECYCLE_RESTART_LIMIT',
      });
      this.#become('given_up');
      return;
    }
    this.#restartsInWindow = decision.attempt;
    const delayMs = Math.round(decision.delayMs);
    this.#deps.log.warn(`${this.label} died and is restarted`, {
      ...fields,
      delayMs,
      restart: decision.attempt,
    });
    this.#backoffTimer = setTimeout(() => this.#spawn(), delayMs);
    this.#become('backoff');
  }
}
