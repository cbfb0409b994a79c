/** What evidence is made from, out of the console's own stores: kept traces and samples. */
import type { AlertInstance } from '../../contract/alerts.ts';
import type { AlertRule } from '../../slo/alert.ts';
import type { EvidenceInput } from '../../slo/evidence_input.ts';
import type { Subject } from '../../slo/evidence_subject.ts';
import { gatherEvidence } from '../../slo/gather_evidence.ts';
import type { LedgerQuery, LedgerResult } from '../../traces/store.ts';
import { evaluateMeasure, type Moment } from './measure.ts';
import { processSights } from './process_sights.ts';

/** Queries looked at in the window, and as many before it. */
const QUERIES_LIMIT = 1000;

export interface StoredTelemetry {
  readonly ledgers: (query: LedgerQuery) => Promise<LedgerResult>;
  readonly moment: Moment;
  readonly timeScale: number;
  readonly traceUrl: (traceId: string) => string;
}

/** @throws VitrineError when the trace store cannot answer now */
export function gatherFromStores(
  rule: AlertRule,
  alert: AlertInstance,
  subject: Subject,
  { ledgers, moment, timeScale, traceUrl }: StoredTelemetry,
): Promise<EvidenceInput> {
  return gatherEvidence(rule, alert, subject, {
    atMs: moment.timeMs,
    timeScale,
    records: async ({ startMs, endMs, model }) => {
      const { queries } = await ledgers({
        startMinUs: Math.floor(startMs * 1000),
        startMaxUs: Math.floor(endMs * 1000) - 1,
        limit: QUERIES_LIMIT,
        ...(model === undefined ? {} : { model }),
      });
      return { records: queries };
    },
    evaluate: async (measure, atMs) => evaluateMeasure(measure, { ...moment, timeMs: atMs }),
    processes: async (job, windows) => processSights(job, moment, windows),
    traceUrl,
  });
}
