/** Whether a process still turns its event loop. Pure: the caller owns clock, timer and channel. */

export interface HeartbeatOptions {
  /** A process that answers nothing for this long hangs. */
  readonly hangTimeoutMs: number;
}

export type HeartbeatVerdict =
  | { readonly kind: 'ping'; readonly sequence: number }
  /** An answer is outstanding, but not for too long. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'hung'; readonly silentMs: number };

/** Looks within one hangTimeoutMs. */
const LOOKS_PER_TIMEOUT = 4;
/** Loading code and models before the first answer may take longer than any pause after it. */
const START_FACTOR = 6;

export interface Heartbeat {
  /** How often to look, in milliseconds. */
  readonly intervalMs: number;
  /**
   * Called every intervalMs, and after pending answers were read: timers fire before I/O, so an answer may lie
   * unread when the timer does.
   */
  look(nowMs: number): HeartbeatVerdict;
  pong(sequence: number): void;
}

/**
 * A look that comes much too late means that the judge itself, or the machine, stood still. Nobody can be
 * blamed for silence in that time, so the process gets a full timeout again.
 */
export function createHeartbeat(options: HeartbeatOptions, startedAtMs: number): Heartbeat {
  const intervalMs = options.hangTimeoutMs / LOOKS_PER_TIMEOUT;
  let sequence = 0;
  let answered = 0;
  let silentSinceMs = startedAtMs;
  let lookedAtMs = startedAtMs;
  return {
    intervalMs,
    look: (nowMs) => {
      const stoodStill = nowMs - lookedAtMs > 2 * intervalMs;
      lookedAtMs = nowMs;
      if (answered === sequence) {
        silentSinceMs = nowMs;
        sequence += 1;
        return { kind: 'ping', sequence };
      }
      if (stoodStill) silentSinceMs = nowMs;
      const silentMs = nowMs - silentSinceMs;
      const limitMs = options.hangTimeoutMs * (answered === 0 ? START_FACTOR : 1);
      return silentMs >= limitMs ? { kind: 'hung', silentMs } : { kind: 'wait' };
    },
    pong: (answer) => {
      if (answer === sequence) answered = answer;
    },
  };
}
