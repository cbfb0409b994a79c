/** Evidence's input from wherever an installation keeps its telemetry: the console's stores, or Prometheus and Jaeger. */
import type { AlertInstance } from '../contract/alerts.ts';
import { SERVICE_WORKER } from '../contract/attributes.ts';
import { OUTCOMES, type Outcome } from '../contract/outcomes.ts';
import type { QueryRecord } from '../contract/query_record.ts';
import { STAGES, UNATTRIBUTED } from '../contract/stages.ts';
import type { AlertRule } from './alert.ts';
import { circumstances, type EvaluateMeasure } from './circumstances.ts';
import type { EvidenceInput, LedgerStage, ProcessSight, QueryLedger } from './evidence_input.ts';
import { jobOf, type Subject } from './evidence_subject.ts';
import { type Reading, readingsOf } from './sample_needs.ts';

const HOUR_S = 3600;
/** Of a rule that reads only what is now, and has no window of its own. */
const WINDOWLESS_S = 300;

function ledgerOf(record: QueryRecord): QueryLedger {
  const { stagesMs, totalMs, unattributedMs } = record;
  const stages = new Map<LedgerStage, number>();
  for (const stage of STAGES) {
    const ms = stagesMs[stage];
    if (ms !== undefined && Number.isFinite(ms)) stages.set(stage, ms);
  }
  if (unattributedMs > 0) stages.set(UNATTRIBUTED, unattributedMs);
  return {
    traceId: record.traceId,
    startMs: record.startUs / 1000,
    serviceMs: totalMs - (stages.get('receive') ?? 0) - (stages.get('respond') ?? 0),
    stagesMs: stages,
    model: record.model,
    version: record.version,
    worker: record.worker,
    outcome: OUTCOMES.find((outcome): outcome is Outcome => outcome === record.outcome) ?? 'error',
    errorCode: record.errorCode,
  };
}

/**
 * From when to when. The trouble began about one of the rule's shortest windows before the alert became pending, or
 * somewhat earlier where a guard waited for traffic: two of them. The time before is what it is compared with.
 */
function evidenceWindows(
  rule: AlertRule,
  alert: Pick<AlertInstance, 'pendingSinceMs'>,
  { atMs, timeScale }: { readonly atMs: number; readonly timeScale: number },
): { readonly windowS: number; readonly baselineS: number } {
  const windows = readingsOf(rule.expression).flatMap(({ windowS }: Reading) => windowS ?? []);
  const shortestS = Math.min(...windows, (windows.length === 0 ? WINDOWLESS_S : HOUR_S) / timeScale);
  const windowS = Math.min(2 * shortestS + (atMs - alert.pendingSinceMs) / 1000, HOUR_S / timeScale);
  return { windowS, baselineS: Math.min(Math.max(2 * windowS, 600 / timeScale), HOUR_S / timeScale) };
}

export interface RecordsQuery {
  /** Unix milliseconds, inclusive and exclusive. */
  readonly startMs: number;
  readonly endMs: number;
  /** Undefined: of every model. */
  readonly model: string | undefined;
}

export interface Records {
  /** Of queries that began in the range: a sample that is even over it. */
  readonly records: readonly QueryRecord[];
  /** Why there are none, where that is not for want of queries. */
  readonly missing?: string | undefined;
}

/** Queries that were picked, not sampled: by exemplars. */
export interface ExamplesQuery extends RecordsQuery {
  readonly version: string | undefined;
  readonly subject: EvidenceInput['subject'];
}

/** Where evidence comes from. What rejects ends the gathering; a source that others can stand in for does not. */
export interface EvidenceSources {
  /** Unix milliseconds as of which the alert is looked at. */
  readonly atMs: number;
  readonly timeScale: number;
  readonly records: (query: RecordsQuery) => Promise<Records>;
  readonly evaluate: EvaluateMeasure;
  /** Processes of a job, service.name. */
  readonly processes: (
    job: string,
    windows: { readonly windowS: number; readonly baselineS: number },
  ) => Promise<readonly ProcessSight[]>;
  /** The slowest, or those that failed, of the window; undefined where nothing picks them. */
  readonly examples?: (query: ExamplesQuery) => Promise<readonly QueryRecord[]>;
  readonly traceUrl: (traceId: string) => string;
}

/** @param alert an alert of the rule */
export async function gatherEvidence(
  rule: AlertRule,
  alert: Pick<AlertInstance, 'labels' | 'pendingSinceMs'>,
  { subject, thresholdMs }: Subject,
  sources: EvidenceSources,
): Promise<EvidenceInput> {
  const { atMs, timeScale, traceUrl } = sources;
  const { windowS, baselineS } = evidenceWindows(rule, alert, { atMs, timeScale });
  const { model, version, instance, job } = alert.labels;
  const fromMs = atMs - windowS * 1000;
  const isOfVersion = (query: QueryRecord): boolean => version === undefined || query.version === version;
  const isHere = (query: QueryRecord): boolean =>
    subject === 'processes' || job !== SERVICE_WORKER || query.worker === instance;
  const ledgers = (records: readonly QueryRecord[], isAsked = isHere): QueryLedger[] =>
    records.filter((query) => isOfVersion(query) && isAsked(query)).map(ledgerOf);
  const [now, baseline, examples, conditions, processes] = await Promise.all([
    sources.records({ startMs: fromMs, endMs: atMs, model }),
    sources.records({ startMs: fromMs - baselineS * 1000, endMs: fromMs, model }),
    sources.examples?.({ startMs: fromMs, endMs: atMs, model, version, subject }) ?? [],
    circumstances({ evaluate: sources.evaluate, atMs, windowS, baselineS, model }),
    subject === 'processes'
      ? sources.processes(jobOf(rule, alert.labels), { windowS, baselineS })
      : undefined,
  ]);
  const missing = now.missing ?? baseline.missing;
  return {
    atMs,
    windowS,
    baselineS,
    subject,
    now: ledgers(now.records),
    baseline: ledgers(baseline.records),
    elsewhere: ledgers(now.records, (query) => !isHere(query)),
    ...(missing === undefined ? {} : { missing }),
    examples: ledgers(examples),
    thresholdMs,
    circumstances: conditions,
    ...(processes === undefined ? {} : { processes }),
    traceUrl,
  };
}
