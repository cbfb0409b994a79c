/** How requests ended, counted exactly: every request that was sent is in one cell of the tally, once. */
import { type Outcome, outcomeOf } from '../contract/outcomes.ts';

/**
 * The contract's outcomes, and three that only the sender sees: `timeout` (given up after timeoutMs),
 * `connection` (no whole answer came), `aborted` (the run was stopped).
 */
export type LoadOutcome = Outcome | 'timeout' | 'connection' | 'aborted';

/** One way in which requests ended. */
export interface OutcomeCount {
  readonly outcome: LoadOutcome;
  /** The HTTP status; 0 when no answer came. */
  readonly status: number;
  /** What ended a request that got no answer, such as `ECONNREFUSED`; empty for answers. */
  readonly code: string;
  readonly count: number;
  /** The first message of this kind, without control characters, cut; null for `ok` and where none was given. */
  readonly sample: string | null;
}

export interface Tally {
  /** An answer came whole. @param message read only when `wantsMessage` said so */
  answered(status: number, message: string | undefined): LoadOutcome;
  /** No whole answer came. */
  failed(outcome: 'timeout' | 'connection' | 'aborted', code: string, message: string): void;
  /** Whether this status still lacks its sample, so that answers of a known kind need not be kept. */
  wantsMessage(status: number): boolean;
  /** The most frequent first. */
  counts(): OutcomeCount[];
}

/** Distinct cells; what comes after goes to `other` of its outcome. Statuses are few, codes come from the OS. */
const CELL_LIMIT = 128;
const SAMPLE_LIMIT_CHARS = 300;
const OTHER_CODE = 'other';

interface Cell {
  readonly outcome: LoadOutcome;
  readonly status: number;
  readonly code: string;
  count: number;
  sample: string | null;
}

export function createTally(): Tally {
  const cells = new Map<string, Cell>();
  const byStatus = new Map<number, Cell>();

  const cellOf = (outcome: LoadOutcome, status: number, code: string): Cell => {
    const key = `${outcome} ${status} ${code}`;
    const known = cells.get(key);
    if (known !== undefined) return known;
    if (cells.size >= CELL_LIMIT && code !== OTHER_CODE) return cellOf(outcome, 0, OTHER_CODE);
    const cell: Cell = { outcome, status, code, count: 0, sample: null };
    cells.set(key, cell);
    return cell;
  };

  return {
    answered(status, message) {
      let cell = byStatus.get(status);
      if (cell === undefined) {
        cell = cellOf(outcomeOf(status, false), status, '');
        byStatus.set(status, cell);
      }
      cell.count += 1;
      if (cell.sample === null && message !== undefined) cell.sample = printable(message);
      return cell.outcome;
    },
    failed(outcome, code, message) {
      const cell = cellOf(outcome, 0, code);
      cell.count += 1;
      cell.sample ??= printable(message);
    },
    wantsMessage: (status) => status >= 400 && (byStatus.get(status)?.sample ?? null) === null,
    counts: () => [...cells.values()].map((cell) => ({ ...cell })).sort((a, b) => b.count - a.count),
  };
}

/** Text of a peer, fit for a terminal: control characters, and those that turn the direction of text, become spaces. */
function printable(text: string): string {
  const clean = text.replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  return clean.length > SAMPLE_LIMIT_CHARS ? `${clean.slice(0, SAMPLE_LIMIT_CHARS)}...` : clean;
}
