/**
 * Which traces are kept. One decision per query: at its start in modes `all` and `ratio`; in mode
 * `retroactive` at its end, when it is known how it went. Each kept trace says why it was kept.
 *
 * The caller's flag: set = kept (up to a rate per caller, beyond it the mode decides), clear = not kept
 * unless a trigger says so in retroactive mode, absent = the mode decides. A sampler configured through
 * `OTEL_TRACES_SAMPLER` decides alone, as the specification says.
 */
import type { Outcome } from '../contract/outcomes.ts';

export type KeptBecause = 'all' | 'ratio' | 'caller' | 'sampler' | 'slow' | 'failed' | 'refused' | 'retried';

export interface KeepingOptions {
  readonly mode: 'all' | 'ratio' | 'retroactive';
  readonly ratio: number;
  readonly slowMs: number;
  readonly callerTracesPerSecondLimit: number;
}

export interface StartFacts {
  /** The caller's sampled flag; undefined when it sent no trace context. */
  readonly callerSampled: boolean | undefined;
  /** Whom the flag's rate is counted for: an address. */
  readonly caller: string;
  readonly nowMs: number;
}

export interface StartVerdict {
  readonly kept: KeptBecause | undefined;
  readonly undecided: boolean;
  /** The ring is filling up: nothing new is kept, so that a trace is shed whole. */
  readonly shed: boolean;
}

export interface EndFacts {
  readonly totalMs: number;
  readonly outcome: Outcome;
  readonly attempts: number;
}

export interface Keeping {
  start(facts: StartFacts): StartVerdict;
  verdict(facts: EndFacts): KeptBecause | undefined;
}

const NOT_KEPT: StartVerdict = { kept: undefined, undecided: false, shed: false };
const UNDECIDED: StartVerdict = { kept: undefined, undecided: true, shed: false };
const KEPT_ALL: StartVerdict = { kept: 'all', undecided: false, shed: false };
const KEPT_RATIO: StartVerdict = { kept: 'ratio', undecided: false, shed: false };
const KEPT_CALLER: StartVerdict = { kept: 'caller', undecided: false, shed: false };

/** Callers whose rate is remembered within one second; beyond it new callers share one rate. */
const CALLER_LIMIT = 1024;

/** Tokens per caller and second, refilled whole each second. */
class CallerRate {
  readonly #limit: number;
  #second = -1;
  #taken = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  take(caller: string, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      if (this.#taken.size > 0) this.#taken = new Map();
    }
    const key = this.#taken.size < CALLER_LIMIT || this.#taken.has(caller) ? caller : '';
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= this.#limit) return false;
    this.#taken.set(key, taken + 1);
    return true;
  }
}

/** @param random uniform in [0, 1), for tests */
export function createKeeping(options: KeepingOptions, random: () => number = Math.random): Keeping {
  const rate = new CallerRate(options.callerTracesPerSecondLimit);
  return {
    start({ callerSampled, caller, nowMs }) {
      if (callerSampled === true && (options.mode === 'all' || rate.take(caller, nowMs))) return KEPT_CALLER;
      if (callerSampled === false) return options.mode === 'retroactive' ? UNDECIDED : NOT_KEPT;
      if (options.mode === 'all') return KEPT_ALL;
      if (random() < options.ratio) return KEPT_RATIO;
      return options.mode === 'retroactive' ? UNDECIDED : NOT_KEPT;
    },
    verdict({ totalMs, outcome, attempts }) {
      if (outcome === 'rejected' || outcome === 'throttled') return 'refused';
      if (outcome === 'error' || outcome === 'expired') return 'failed';
      if (attempts > 1) return 'retried';
      if (totalMs >= options.slowMs) return 'slow';
      return undefined;
    },
  };
}
