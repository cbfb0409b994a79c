/**
 * Evidence: from telemetry to an explanation that a person reads in ten seconds. A pure function; what it cannot
 * support it does not claim.
 */
import type { Evidence } from '../contract/evidence.ts';
import type { EvidenceInput, QueryLedger } from './evidence_input.ts';
import { cannotSay, clock, common, fails, ms, placeText, slowTraces } from './evidence_parts.ts';
import { findPlaces } from './evidence_places.ts';
import { explainProcesses } from './evidence_processes.ts';
import { type CauseFinding, findCause, moments, quantile, stageChanges } from './evidence_stages.ts';

/** Fewer marked queries than this support no claim. */
const MIN_MARKED = 5;
const MIN_BASELINE = 20;
/** Marked queries must be this many times as frequent as in the baseline. */
const MIN_FREQUENCY_RATIO = 2;
/** And more frequent by this many standard errors of a binomial. */
const MIN_Z = 4;
/** Bucket in which the beginning of the growth is looked for. */
const SINCE_BUCKET_MS = 10_000;

/**
 * From where on a query counts as slow, to be tried in this order: over the alert's threshold, since those made it
 * fire; then well over what 95 of 100 baseline queries took, where fewer are over the threshold than support a claim.
 */
function slowLimits({ baseline, thresholdMs }: EvidenceInput): readonly number[] {
  const totals = baseline.map(({ serviceMs }) => serviceMs).sort((a, b) => a - b);
  const usual = quantile(totals, 0.95) * 1.5 + 1;
  if (thresholdMs === undefined) return [usual];
  return [thresholdMs, Math.min(thresholdMs, Math.max(usual, quantile(totals, 0.5) * 1.5))];
}

interface Frequency {
  readonly now: number;
  readonly baseline: number;
  readonly z: number;
}

/** Queries that are slow or fail, and whether they are more frequent than before. */
interface Marking {
  readonly isMarked: (query: QueryLedger) => boolean;
  readonly marked: readonly QueryLedger[];
  readonly seen: Frequency;
  readonly claims: boolean;
}

function marking({ now, baseline }: EvidenceInput, isMarked: Marking['isMarked']): Marking {
  const marked = now.filter(isMarked);
  const seen = frequency(marked.length, now.length, baseline.filter(isMarked).length, baseline.length);
  const claims =
    marked.length >= MIN_MARKED && seen.z >= MIN_Z && seen.now >= MIN_FREQUENCY_RATIO * seen.baseline;
  return { isMarked, marked, seen, claims };
}

/** @returns the first marking that supports a claim; else the last, for what it lacks */
function markQueries(input: EvidenceInput): Marking {
  if (input.subject === 'errors') return marking(input, fails);
  const markings = slowLimits(input).map((limitMs) => marking(input, ({ serviceMs }) => serviceMs > limitMs));
  return markings.find(({ claims }) => claims) ?? (markings.at(-1) as Marking);
}

/** Two-proportion z test, with one added to each count so that an empty baseline does not divide by zero. */
function frequency(marked: number, all: number, markedBefore: number, allBefore: number): Frequency {
  const now = marked / Math.max(1, all);
  const baseline = markedBefore / Math.max(1, allBefore);
  const pooled = (marked + markedBefore + 1) / (all + allBefore + 2);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / Math.max(1, all) + 1 / Math.max(1, allBefore)));
  return { now, baseline, z: (now - baseline) / error };
}

/** The first bucket of the window from which on marked queries stay frequent. */
function since(
  input: EvidenceInput,
  isMarked: (query: QueryLedger) => boolean,
  share: number,
): number | undefined {
  const buckets = new Map<number, { all: number; marked: number }>();
  for (const query of input.now) {
    const at = Math.floor(query.startMs / SINCE_BUCKET_MS) * SINCE_BUCKET_MS;
    const bucket = buckets.get(at) ?? { all: 0, marked: 0 };
    bucket.all += 1;
    if (isMarked(query)) bucket.marked += 1;
    buckets.set(at, bucket);
  }
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .find(([, { all, marked }]) => marked > 0 && marked / all >= share / 2)?.[0];
}

function stageText({ cause, symptom }: CauseFinding): string {
  const share = `${Math.round(cause.shareOfGrowth * 100)} % of the growth`;
  const own = `${cause.stage} takes ${ms(cause.nowMs)} instead of ${ms(cause.baselineMs)} (${share})`;
  return symptom === undefined
    ? `${own}.`
    : `${own}, and queries wait behind it: ${symptom.stage} ${ms(symptom.nowMs)} instead of ${ms(symptom.baselineMs)}.`;
}

/** Why queries are slow, why they fail, or which processes do. Never throws; an empty input says that it cannot say. */
export function explain(input: EvidenceInput): Evidence {
  const { now, baseline } = input;
  if (input.subject === 'processes') return explainProcesses(input);
  if (now.length < MIN_MARKED) {
    return cannotSay(input, input.missing ?? `only ${now.length} kept traces in the window`);
  }
  const errors = input.subject === 'errors';
  const { isMarked, marked, seen, claims } = markQueries(input);
  if (marked.length < MIN_MARKED) {
    return cannotSay(input, errors ? 'too few failed queries were kept' : 'too few slow queries were kept');
  }
  if (baseline.length < MIN_BASELINE) {
    return cannotSay(
      input,
      input.missing ?? `only ${baseline.length} kept traces before the window to compare with`,
    );
  }
  if (!claims) return cannotSay(input, 'the window looks as the time before it did');
  const places = findPlaces([...now, ...(input.elsewhere ?? [])], isMarked);
  const sinceMs = since(input, isMarked, seen.now);
  const traces = slowTraces(input, marked);
  const certainty = Math.min(1, seen.z / (3 * MIN_Z));
  const sinceText = sinceMs === undefined ? '' : ` since ${clock(sinceMs)}`;
  const circumstanceText = input.circumstances.slice(0, 2).map(({ text }) => `Also: ${text}.`);
  const tracesText = traces[0] === undefined ? [] : [`Slowest: ${ms(traces[0].totalMs)}, ${traces[0].url}`];

  if (errors) {
    const codes = new Map<string, number>();
    for (const { errorCode, outcome } of marked)
      codes.set(errorCode || outcome, (codes.get(errorCode || outcome) ?? 0) + 1);
    const [code, count] = [...codes].sort((a, b) => b[1] - a[1])[0] as [string, number];
    const head = `${Math.round(seen.now * 100)} % of queries fail${sinceText}, ${Math.round(seen.baseline * 100)} % before; ${Math.round((count / marked.length) * 100)} % of them with ${code}.`;
    return {
      ...common(input),
      stage: undefined,
      stages: [],
      places,
      sinceMs,
      traces,
      confidence: certainty,
      cannotSay: undefined,
      text: [head, placeText(places), ...circumstanceText, ...tracesText].join('\n'),
    };
  }

  const stages = stageChanges(marked, baseline);
  const found = findCause(stages, now, baseline);
  if (found === undefined) return cannotSay(input, 'the growth is spread over many stages', stages);
  const usual = moments(baseline.map(({ serviceMs }) => serviceMs)).mean;
  const slow = moments(marked.map(({ serviceMs }) => serviceMs)).mean;
  const head = `${Math.round(seen.now * 100)} % of queries are slow${sinceText}: ${ms(slow)} on average, ${ms(usual)} before.`;
  return {
    ...common(input),
    stage: found.cause,
    stages,
    places,
    sinceMs,
    traces,
    confidence:
      certainty * Math.min(1, (found.cause.shareOfGrowth + (found.symptom?.shareOfGrowth ?? 0)) / 0.6),
    cannotSay: undefined,
    text: [head, stageText(found), placeText(places), ...circumstanceText, ...tracesText].join('\n'),
  };
}
