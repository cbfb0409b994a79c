/** What every explanation is put together from: times and places in words, slow traces, and a refusal to claim. */
import type { Evidence, PlaceFinding, SlowTrace, StageChange } from '../contract/evidence.ts';
import { OUTCOME_VERDICT } from '../contract/outcomes.ts';
import type { EvidenceInput, LedgerStage, QueryLedger } from './evidence_input.ts';

const TRACE_LIMIT = 5;

export const fails = (query: QueryLedger): boolean => OUTCOME_VERDICT[query.outcome] === 'bad';

/** The slowest of the marked queries and of those that were picked, each trace once. */
export function slowTraces(input: EvidenceInput, marked: readonly QueryLedger[]): SlowTrace[] {
  const seen = new Set<string>();
  return [...marked, ...(input.examples ?? [])]
    .toSorted((a, b) => b.serviceMs - a.serviceMs)
    .filter(({ traceId }) => !seen.has(traceId) && seen.add(traceId))
    .slice(0, TRACE_LIMIT)
    .map((query) => {
      const [stage, stageMs] = [...query.stagesMs].reduce<readonly [LedgerStage, number]>(
        (largest, entry) => (entry[1] > largest[1] ? entry : largest),
        ['unattributed', 0],
      );
      const { traceId, serviceMs, worker } = query;
      return { traceId, totalMs: serviceMs, stage, stageMs, worker, url: input.traceUrl(traceId) };
    });
}

export function ms(value: number): string {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return value >= 10 ? `${value.toFixed(0)} ms` : `${value.toFixed(1)} ms`;
}

export function placeText(places: readonly PlaceFinding[]): string {
  const narrow = places
    .filter(({ all }) => !all)
    .map(({ dimension, values }) => `${dimension} ${values.join(', ')}`);
  const workers = places.find(({ dimension }) => dimension === 'worker');
  if (narrow.length > 0) return `Where: only ${narrow.join('; ')}.`;
  if (workers === undefined) return 'Where: before any worker.';
  return workers.values.length > 1
    ? `Where: all workers alike (${workers.values.join(', ')}).`
    : `Where: ${workers.values[0]}, the only worker.`;
}

export function common(
  input: EvidenceInput,
): Pick<Evidence, 'atMs' | 'windowS' | 'baselineS' | 'subject' | 'circumstances'> {
  const { atMs, windowS, baselineS, subject, circumstances } = input;
  return { atMs, windowS, baselineS, subject, circumstances };
}

export function cannotSay(
  input: EvidenceInput,
  reason: string,
  stages: readonly StageChange[] = [],
): Evidence {
  const lines = [
    `Cannot say why: ${reason}.`,
    ...input.circumstances.slice(0, 4).map(({ text }) => `Also: ${text}.`),
  ];
  const slowest = slowTraces(input, input.now);
  const [first] = slowest;
  // What was picked is slow whether or not anything can be claimed of it.
  if (first !== undefined && (input.examples ?? []).length > 0)
    lines.push(`Slowest: ${ms(first.totalMs)}, ${first.url}`);
  return {
    ...common(input),
    stage: undefined,
    stages,
    places: [],
    sinceMs: undefined,
    traces: slowest,
    confidence: 0,
    cannotSay: reason,
    text: lines.join('\n'),
  };
}

export function clock(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(11, 19)} UTC`;
}
