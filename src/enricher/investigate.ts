/**
 * Evidence for one alert out of Prometheus and a trace store. Each may be away: conditions and exemplars come from
 * the one, ledgers of queries from the other, and what one gives is told without the other.
 */
import { OUTCOME_VERDICT, OUTCOMES } from '../contract/outcomes.ts';
import type { QueryRecord } from '../contract/query_record.ts';
import type { AlertRule } from '../slo/alert.ts';
import { allRules, ruleId } from '../slo/all_rules.ts';
import { explain } from '../slo/evidence.ts';
import { subjectOf } from '../slo/evidence_subject.ts';
import { type EvidenceSources, type ExamplesQuery, gatherEvidence } from '../slo/gather_evidence.ts';
import type { Objective } from '../slo/objective.ts';
import { measurePromql, quoted } from '../slo/promql.ts';
import { BASE_INTERVALS, scaledRule } from '../slo/time_scale.ts';
import type { Investigate } from './evidence_desk.ts';
import { type JsonSource, SourceError } from './json_source.ts';
import { processSights } from './process_sights.ts';
import { createPrometheus, type Prometheus, type StoredExemplar } from './prometheus.ts';
import { createTraceSource, type TraceSource } from './trace_source.ts';

export interface InvestigateDeps {
  /** Undefined: none is configured. */
  readonly prometheus: JsonSource | undefined;
  readonly traces: JsonSource | undefined;
  readonly objectives: readonly Objective[];
  /** Unix milliseconds. */
  readonly nowMs: () => number;
}

export interface InvestigateOptions {
  readonly timeScale: number;
  /** Where links to traces lead, for people; no slash at the end. */
  readonly tracesUrl: string;
}

const EXAMPLES_LIMIT = 10;
const FAILED = OUTCOMES.filter((outcome) => OUTCOME_VERDICT[outcome] === 'bad').join('|');
const SERVICE_DURATION = 'inference_service_duration_seconds_bucket';

function exemplarSelector({ model, version, subject }: ExamplesQuery): string {
  const matchers = [
    ...(model === undefined ? [] : [`model=${quoted(model)}`]),
    ...(version === undefined ? [] : [`version=${quoted(version)}`]),
    ...(subject === 'errors' ? [`outcome=~${quoted(FAILED)}`] : []),
  ];
  return `${SERVICE_DURATION}{${matchers.join(',')}}`;
}

/** As far as the exemplar alone tells: how long it took, and of what. */
function recordOfExemplar({ traceId, value, atMs, labels }: StoredExemplar): QueryRecord {
  return {
    traceId,
    startUs: atMs * 1000,
    totalMs: value * 1000,
    unattributedMs: 0,
    stagesMs: {},
    model: labels.model ?? '',
    version: labels.version ?? '',
    outcome: labels.outcome ?? '',
    errorCode: '',
    worker: '',
  };
}

/** Remembers why a source gave nothing; what others give is used without it. */
class Tolerance {
  readonly reasons = new Set<string>();
  /** @param otherwise what stands in for an answer */
  async or<T>(otherwise: T, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      this.reasons.add(error.message);
      return otherwise;
    }
  }
}

async function examplesOf(
  prometheus: Prometheus,
  traces: TraceSource | undefined,
  tolerance: Tolerance,
  query: ExamplesQuery,
): Promise<readonly QueryRecord[]> {
  const exemplars = await tolerance.or([], () =>
    prometheus.exemplars(exemplarSelector(query), { ...query, limit: EXAMPLES_LIMIT }),
  );
  const records = await Promise.all(
    exemplars.map(async (exemplar) => {
      const alone = recordOfExemplar(exemplar);
      if (traces === undefined) return alone;
      // A trace that is not there was not kept, and a link to it would lead nowhere.
      return tolerance.or<QueryRecord | undefined>(alone, () =>
        traces.record(exemplar.traceId, exemplar.spanId),
      );
    }),
  );
  return records.filter((record) => record !== undefined);
}

/** What finds the evidence of one alert. */
export function createInvestigate(deps: InvestigateDeps, options: InvestigateOptions): Investigate {
  const rules = new Map<string, AlertRule>(
    allRules(deps.objectives).map((rule) => [ruleId(rule), scaledRule(rule, options.timeScale)]),
  );
  const scrapeIntervalS = Math.max(1, BASE_INTERVALS.scrapeIntervalS / options.timeScale);

  const sourcesOf = (atMs: number, signal: AbortSignal, tolerance: Tolerance): EvidenceSources => {
    const prometheus = deps.prometheus && createPrometheus(deps.prometheus, signal);
    const traces = deps.traces && createTraceSource(deps.traces, signal);
    return {
      atMs,
      timeScale: options.timeScale,
      async records(query) {
        if (traces === undefined) return { records: [], missing: 'no trace store is configured' };
        try {
          return { records: await traces.records(query) };
        } catch (error) {
          if (!(error instanceof SourceError)) throw error;
          tolerance.reasons.add(error.message);
          return { records: [], missing: error.message };
        }
      },
      async evaluate(measure, at) {
        const samples = await tolerance.or(
          [],
          async () => prometheus?.query(measurePromql(measure), at) ?? [],
        );
        return new Map(
          samples.map((sample) => [JSON.stringify(Object.entries(sample.labels).sort()), sample]),
        );
      },
      // Without an answer nothing can be said of processes: not that all of them are well.
      async processes(job, windows) {
        if (prometheus === undefined) throw new SourceError('no Prometheus is configured');
        return processSights(prometheus, job, { ...windows, atMs, scrapeIntervalS });
      },
      ...(prometheus === undefined
        ? {}
        : { examples: (query: ExamplesQuery) => examplesOf(prometheus, traces, tolerance, query) }),
      traceUrl: (traceId) => `${options.tracesUrl}/trace/${traceId}`,
    };
  };

  return ({ labels, startsAtMs }, signal) => {
    const { alertname = '', slo } = labels;
    const rule = rules.get(slo === undefined ? alertname : `${alertname}/${slo}`);
    const subject = rule && subjectOf(rule);
    if (rule === undefined || subject === undefined) return undefined;
    const investigate = async () => {
      const tolerance = new Tolerance();
      const alert = { labels, pendingSinceMs: startsAtMs - rule.forS * 1000 };
      const input = await gatherEvidence(rule, alert, subject, sourcesOf(deps.nowMs(), signal, tolerance));
      const isEmpty =
        input.now.length +
          input.baseline.length +
          (input.examples?.length ?? 0) +
          input.circumstances.length ===
        0;
      // Nothing answered: there is nothing to tell, and the reason belongs into the log rather than into the alert.
      if (isEmpty && subject.subject !== 'processes' && tolerance.reasons.size > 0) {
        throw new SourceError([...tolerance.reasons].join('; '));
      }
      return explain(input);
    };
    return investigate();
  };
}
