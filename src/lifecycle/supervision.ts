/**
 * The process tree: starts processes as soon as what they need is ready, restarts what dies, tells every process
 * who else is ready, and ends all of them in order.
 */
import type { Log } from '../contract/log.ts';
import type { Peer, Ports } from '../contract/messages.ts';
import { type ChildProgram, forkChild, type SpawnChild } from './child_handle.ts';
import { SupervisedProcess } from './supervised_process.ts';

export interface ProcessSpec {
  /** `console`, `worker`, `gateway`. */
  readonly name: string;
  /** Unique within the name, stable over restarts. */
  readonly index: number;
  /** Asked at each start. `portsOf` knows every process that was ready before; restarts as for a process. */
  readonly program: (
    portsOf: (name: string, index: number) => Ports | undefined,
    restarts: number,
  ) => ChildProgram;
  /** Names of processes that have to be ready, or given up, before this one starts; empty starts at once. */
  readonly after: readonly string[];
  /** Lower drains first: whoever takes queries before whoever works for them, and the receiver of spans last. */
  readonly drainPhase: number;
  /** When every process of this name is given up, the tree ends: it could serve nobody. */
  readonly essential: boolean;
}

export interface SupervisionOptions {
  readonly restartLimit: number;
  readonly restartWindowMs: number;
  readonly restartBackoffMs: number;
  readonly hangTimeoutMs: number;
  /** For the whole tree. */
  readonly graceMs: number;
}

export interface SupervisionDeps {
  readonly log: Log;
  readonly spawn?: SpawnChild;
  readonly nowMs?: () => number;
  readonly random?: () => number;
  /** A process changed its state. */
  readonly changed?: (process: SupervisedProcess) => void;
}

export interface SupervisionEnd {
  readonly cause: 'asked' | 'fatal' | 'essential_lost';
  /** Every process ended by itself within the grace period. */
  readonly clean: boolean;
  /** For whoever started the tree, unless it was asked to end. */
  readonly message: string | undefined;
}

export interface Supervision extends AsyncDisposable {
  readonly processes: readonly SupervisedProcess[];
  /** Resolves when no process is left. Never rejects. */
  readonly ended: Promise<SupervisionEnd>;
  /** Drains in order of phases within graceMs. Again: kills what is left. */
  stop(): Promise<SupervisionEnd>;
}

/** Share of the time left that a phase may take; the last takes all of it. */
const PHASE_SHARE = 0.6;
/** Share of its phase in which a process has to end by itself before it is killed. */
const CHILD_SHARE = 0.9;

/** Starts the tree. */
export function createSupervision(
  specs: readonly ProcessSpec[],
  options: SupervisionOptions,
  deps: SupervisionDeps,
): Supervision {
  const { log } = deps;
  const nowMs = deps.nowMs ?? (() => performance.now());
  const ended = Promise.withResolvers<SupervisionEnd>();
  let stopping: { cause: SupervisionEnd['cause']; message: string | undefined } | undefined;
  let starting = true;
  let announced = '';
  let waiters: (() => void)[] = [];

  const members = specs.map((spec) => ({
    spec,
    process: new SupervisedProcess(
      {
        ...options,
        name: spec.name,
        index: spec.index,
        program: (restarts) => spec.program(portsOf, restarts),
      },
      {
        log,
        nowMs,
        spawn: deps.spawn ?? forkChild,
        random: deps.random ?? Math.random,
        changed: (process) => onChange(process),
      },
    ),
  }));
  const processes = members.map((member) => member.process);

  function portsOf(name: string, index: number): Ports | undefined {
    return processes.find((process) => process.name === name && process.index === index)?.ports;
  }

  /** Started in a turn of its own, because a start changes states and would run within another change. */
  function startThoseThatCan(): void {
    if (stopping !== undefined) return;
    for (const { spec, process } of members) {
      if (process.state !== 'waiting') continue;
      const needed = processes.filter((other) => spec.after.includes(other.name));
      if (needed.every((other) => other.ports !== undefined || other.ended)) process.start();
    }
  }

  function tellPeers(): void {
    const peers: Peer[] = processes.flatMap((process) =>
      process.state === 'ready' && process.ports !== undefined
        ? [{ name: process.name, index: process.index, ports: process.ports }]
        : [],
    );
    const text = JSON.stringify(peers);
    if (text === announced) return;
    announced = text;
    for (const process of processes) process.tellPeers(peers);
  }

  function onChange(process: SupervisedProcess): void {
    deps.changed?.(process);
    for (const wake of waiters) wake();
    if (starting) return;
    tellPeers();
    if (stopping === undefined && process.state === 'given_up') judgeLoss(process);
    queueMicrotask(startThoseThatCan);
    if (processes.every((each) => each.ended)) {
      ended.resolve({
        cause: stopping?.cause ?? 'essential_lost',
        clean: processes.every((each) => each.endedWell),
        message: stopping?.message ?? (stopping === undefined ? 'no process is left' : undefined),
      });
    }
  }

  function judgeLoss(lost: SupervisedProcess): void {
    if (lost.fault !== undefined) {
      void end('fatal', lost.fault.message);
      return;
    }
    const peers = members.filter(({ spec }) => spec.name === lost.name);
    if (peers.every(({ spec, process }) => spec.essential && process.state === 'given_up')) {
      void end('essential_lost', `no ${lost.name} is left, so nothing can be served; the log above says why`);
    }
  }

  /** Resolves true when the condition holds, false at the deadline. */
  function until(condition: () => boolean, deadlineMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (held: boolean): void => {
        clearTimeout(timer);
        waiters = waiters.filter((each) => each !== wake);
        resolve(held);
      };
      const wake = (): void => {
        if (condition()) settle(true);
      };
      const timer = setTimeout(() => settle(false), Math.max(0, deadlineMs - nowMs()));
      waiters.push(wake);
      wake();
    });
  }

  async function end(cause: SupervisionEnd['cause'], message?: string): Promise<void> {
    if (stopping !== undefined) return;
    stopping = { cause, message };
    const deadlineMs = nowMs() + options.graceMs;
    const phases = [...new Set(specs.map((spec) => spec.drainPhase))].sort((a, b) => a - b);
    for (const [position, phase] of phases.entries()) {
      const inPhase = members.filter(({ spec }) => spec.drainPhase === phase).map(({ process }) => process);
      const last = position === phases.length - 1;
      const phaseMs = (deadlineMs - nowMs()) * (last ? 1 : PHASE_SHARE);
      for (const process of inPhase) process.drain(phaseMs * CHILD_SHARE);
      // `drained` is enough to go on: what a process still tears down then concerns nobody else.
      if (await until(() => inPhase.every((process) => process.quiet), nowMs() + phaseMs)) continue;
      killLeft(inPhase);
    }
    if (!(await until(() => processes.every((process) => process.ended), deadlineMs))) killLeft(processes);
  }

  function killLeft(left: readonly SupervisedProcess[]): void {
    for (const process of left) {
      if (process.ended) continue;
      log.error(`${process.label} did not drain in time and is killed`, {
        pid: process.pid,
        setting: 'VITRINE_LIFECYCLE_GRACE_MS',
      });
      process.kill();
    }
  }

  const stop = (): Promise<SupervisionEnd> => {
    if (stopping === undefined) void end('asked');
    else {
      for (const process of processes) {
        // A process whose phase has not come yet would otherwise count as one that died.
        process.drain(0);
        process.kill();
      }
    }
    return ended.promise;
  };

  startThoseThatCan();
  starting = false;
  return {
    processes,
    ended: ended.promise,
    stop,
    [Symbol.asyncDispose]: async () => {
      void end('asked');
      await ended.promise;
    },
  };
}
