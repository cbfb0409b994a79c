/** When a process that died is started again, and when it is given up. Pure: the caller owns clock and timers. */

export interface RestartPolicyOptions {
  /** Restarts within windowMs before the process is given up. 0: never restarted. */
  readonly limit: number;
  readonly windowMs: number;
  /** First wait; doubles with each restart in the window, up to 32 times this. */
  readonly backoffMs: number;
  /** From 0 to 1, as Math.random. */
  readonly random: () => number;
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number; readonly attempt: number }
  | { readonly kind: 'give_up'; readonly restarts: number };

const BACKOFF_FACTOR_LIMIT = 32;

export interface RestartPolicy {
  /** Asked once for each death, at a monotonic time. */
  decide(nowMs: number): RestartDecision;
}

/**
 * Exponential backoff with equal jitter: half of the wait is fixed, half is random, so that processes that died
 * together do not come back together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export function createRestartPolicy(options: RestartPolicyOptions): RestartPolicy {
  let restartsAtMs: number[] = [];
  return {
    decide: (nowMs) => {
      restartsAtMs = restartsAtMs.filter((atMs) => nowMs - atMs < options.windowMs);
      const restarts = restartsAtMs.length;
      if (restarts >= options.limit) return { kind: 'give_up', restarts };
      restartsAtMs.push(nowMs);
      const waitMs = options.backoffMs * Math.min(2 ** restarts, BACKOFF_FACTOR_LIMIT);
      return { kind: 'restart', delayMs: waitMs * (0.5 + options.random() / 2), attempt: restarts + 1 };
    },
  };
}
