/** A child as the supervision sees it, and the real one: a Node process with an IPC channel. */
import { fork } from 'node:child_process';
import { setPriority } from 'node:os';
import { type SupervisorMessage, seal } from '../contract/messages.ts';
import { SUPERVISED_FLAG } from './service_process.ts';

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildHandle {
  /** Undefined when the process could not be started; `exited` then follows. */
  readonly pid: number | undefined;
  /** Never throws; a message to a process that is gone is lost. */
  send(message: SupervisorMessage): void;
  /** SIGKILL: for a process that does not answer. */
  kill(): void;
}

export interface ChildListeners {
  /** Whatever came over the channel, unparsed. */
  message(raw: unknown): void;
  /** Once, last. */
  exited(exit: ChildExit): void;
}

export interface ChildProgram {
  /** The entry file. */
  readonly modulePath: string;
  readonly args?: readonly string[];
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Added to the scheduler's nice value: higher yields the processor to the others. */
  readonly niceness?: number;
}

export type SpawnChild = (program: ChildProgram, listeners: ChildListeners) => ChildHandle;

const CHANNEL_CLOSE_LIMIT_MS = 1000;

/** Starts a Node process of our own version, in our process group, writing to our stdout and stderr. */
export const forkChild: SpawnChild = (program, listeners) => {
  const child = fork(program.modulePath, [...(program.args ?? []), SUPERVISED_FLAG], {
    env: { ...program.env },
    // Inherited, not piped through us: a child's last words arrive even when we were killed first.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let ended = false;
  const end = (exit: ChildExit): void => {
    if (ended) return;
    ended = true;
    listeners.exited(exit);
  };
  child.on('message', (raw) => listeners.message(raw));
  child.on('exit', (code, signal) => {
    // Its last messages may still lie in the channel, which closes after them.
    if (!child.connected) return end({ code, signal });
    const waited = setTimeout(() => end({ code, signal }), CHANNEL_CLOSE_LIMIT_MS);
    child.once('disconnect', () => {
      clearTimeout(waited);
      end({ code, signal });
    });
  });
  child.on('error', () => {
    // Also raised when a message could not be sent; only a process that never was has ended by it.
    if (child.pid === undefined) end({ code: null, signal: null });
  });
  if (child.pid !== undefined && program.niceness !== undefined) {
    try {
      setPriority(child.pid, program.niceness);
    } catch {
      // A hint: where the system refuses it, or the process is gone already, nothing is lost.
    }
  }
  return {
    pid: child.pid,
    send: (message) => {
      if (child.connected) child.send(seal(message), () => {});
    },
    kill: () => {
      if (!ended) child.kill('SIGKILL');
    },
  };
};
