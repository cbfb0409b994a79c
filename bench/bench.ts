/** What a bench is given and what it hands back. */
import type { Machine } from './machine.ts';
import type { Spread } from './rounds.ts';

export interface BenchContext {
  readonly machine: Machine;
  /** Fewer and shorter rounds: shows that the bench runs, its figures mean little. */
  readonly quick: boolean;
  /** Rounds of each comparison. */
  readonly rounds: number;
  /** Folder for what is too long to print; it exists. */
  readonly outFolder: string;
  readonly progress: (text: string) => void;
  /** Aborted when the user stops the bench. */
  readonly signal: AbortSignal;
}

export interface Aim {
  readonly relation: 'at least' | 'at most';
  readonly value: number;
}

/** One line of a result. */
export interface Figure {
  readonly label: string;
  readonly spread: Spread;
  /** `x` for a quotient; else the unit. */
  readonly unit: string;
  readonly aim?: Aim;
}

export interface BenchResult {
  readonly figures: readonly Figure[];
  /** What has to be known to read the figures, one sentence each. */
  readonly notes: readonly string[];
  /** Tables and lists to print below, line by line. */
  readonly tables: readonly (readonly string[])[];
  /** What every round found, for the JSON file. */
  readonly details: unknown;
}

export interface Bench {
  readonly number: number;
  readonly name: string;
  /** One sentence: what is compared with what. */
  readonly summary: string;
  readonly run: (context: BenchContext) => Promise<BenchResult>;
}

/** Whether the median reaches the aim; undefined for figures without one. */
export function isMet({ aim, spread }: Figure): boolean | undefined {
  if (aim === undefined) return undefined;
  return aim.relation === 'at least' ? spread.median >= aim.value : spread.median <= aim.value;
}
