/** What evidence is made from, out of the console's own stores: kept traces and samples. */

import type { AlertInstance } from '../../contract/alerts.ts';
import { SERVICE_WORKER } from '../../contract/attributes.ts';
import { OUTCOMES, type Outcome } from '../../contract/outcomes.ts';
import { STAGES, UNATTRIBUTED } from '../../contract/stages.ts';
import type { AlertRule } from '../../slo/alert.ts';
import type { EvidenceInput, LedgerStage, QueryLedger } from '../../slo/evidence_input.ts';
import type { Measure } from '../../slo/expression.ts';
import { type Reading, readingsOf } from '../../slo/sample_needs.ts';
import type { LedgerQuery, LedgerResult, QueryRecord } from '../../traces/store.ts';
import { circumstances } from './circumstances.ts';
import type { Moment } from './measure.ts';
import { jobOf, processSights } from './process_sights.ts';

/** Queries looked at in the window, and as many before it. */
const QUERIES_LIMIT = 1000;
const HOUR_S = 3600;
/** Of a rule that reads only what is now, and has no window of its own. */
const WINDOWLESS_S = 300;

/** What processes are watched by, rather than queries. */
const OF_PROCESSES: ReadonlySet<string> = new Set([
  'up',
  'process_uptime_seconds',
  'vitrine_gateway_workers',
]);

export interface Subject {
  readonly subject: EvidenceInput['subject'];
  /** On serviceMs, where the rule has one. */
  readonly thresholdMs: number | undefined;
}

function baseMeasure(measure: Measure): Exclude<Measure, { kind: 'quotient' }> {
  return measure.kind === 'quotient' ? measure.numerator : measure;
}

/** What the rule is about; undefined when queries cannot explain it (telemetry itself, targets, the watchdog). */
export function subjectOf({ expression }: AlertRule): Subject | undefined {
  switch (expression.kind) {
    case 'burn_rate': {
      const { bad } = expression;
      return bad.kind === 'above'
        ? { subject: 'latency', thresholdMs: bad.edge * 1000 }
        : { subject: 'errors', thresholdMs: undefined };
    }
    case 'threshold':
    case 'against_past': {
      const measure = baseMeasure(expression.measure);
      const metric = measure.kind === 'increase' ? measure.of.metric : measure.metric;
      if (metric === 'inference_requests_total') return { subject: 'errors', thresholdMs: undefined };
      if (measure.kind === 'quantile') {
        const thresholdMs = expression.kind === 'threshold' ? expression.threshold * 1000 : undefined;
        return { subject: 'latency', thresholdMs };
      }
      if (OF_PROCESSES.has(metric)) return { subject: 'processes', thresholdMs: undefined };
      const aboutQueries = /^(?:inference_(?!repository)|nodejs_eventloop|hw_gpu_utilization)/;
      return aboutQueries.test(metric) ? { subject: 'other', thresholdMs: undefined } : undefined;
    }
    case 'absent':
    case 'vanished':
    case 'always':
      return undefined;
  }
}

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

export interface EvidenceSources {
  readonly ledgers: (query: LedgerQuery) => Promise<LedgerResult>;
  readonly moment: Moment;
  readonly timeScale: number;
  readonly traceUrl: (traceId: string) => string;
}

/** @throws VitrineError when the trace store cannot answer now */
export async function gatherEvidence(
  rule: AlertRule,
  alert: AlertInstance,
  { subject, thresholdMs }: Subject,
  { ledgers, moment, timeScale, traceUrl }: EvidenceSources,
): Promise<EvidenceInput> {
  const atMs = moment.timeMs;
  const { windowS, baselineS } = evidenceWindows(rule, alert, { atMs, timeScale });
  const { model, version, instance, job } = alert.labels;
  const fromMs = atMs - windowS * 1000;
  const ask = async (startMs: number, endMs: number): Promise<QueryLedger[]> => {
    const { queries } = await ledgers({
      startMinUs: Math.floor(startMs * 1000),
      startMaxUs: Math.floor(endMs * 1000) - 1,
      limit: QUERIES_LIMIT,
      ...(model === undefined ? {} : { model }),
    });
    return queries
      .filter((query) => version === undefined || query.version === version)
      .filter((query) => subject === 'processes' || job !== SERVICE_WORKER || query.worker === instance)
      .map(ledgerOf);
  };
  const [now, baseline] = await Promise.all([ask(fromMs, atMs), ask(fromMs - baselineS * 1000, fromMs)]);
  return {
    atMs,
    windowS,
    baselineS,
    subject,
    now,
    baseline,
    thresholdMs,
    circumstances: circumstances({ moment, windowS, baselineS, model }),
    ...(subject === 'processes'
      ? { processes: processSights(jobOf(rule, alert.labels), moment, { windowS, baselineS }) }
      : {}),
    traceUrl,
  };
}
