/** The gateway's metrics of queries, bound once per model, version and outcome; fed from closed records only. */
import { OUTCOMES, type Outcome } from '../contract/outcomes.ts';
import { STAGES, UNATTRIBUTED } from '../contract/stages.ts';
import { ATTEMPT_OUTCOMES, type AttemptOutcome } from './attempt_outcomes.ts';
import { type Ledger, STAGE_INDEX } from './ledger.ts';
import type { CounterSeries, ExemplarSource, GaugeSeries, HistogramSeries, Metrics } from './metrics.ts';

export interface FinishedQuery {
  readonly model: string;
  readonly version: string;
  readonly outcome: Outcome;
  /** The error's code for an answer of 400 or above. */
  readonly reason: string | undefined;
  readonly ledger: Ledger;
  readonly totalMs: number;
  readonly unattributedMs: number;
  /** Of a record that was accepted for export. */
  readonly exemplar: ExemplarSource | undefined;
}

interface OutcomeSeries {
  readonly requests: CounterSeries;
  readonly duration: HistogramSeries;
  readonly service: HistogramSeries;
}

interface ModelSeries {
  readonly begun: CounterSeries;
  readonly inFlight: GaugeSeries;
  readonly stages: (HistogramSeries | undefined)[];
  readonly unattributed: HistogramSeries;
  readonly unattributedSeconds: CounterSeries;
  readonly versions: Map<string, Partial<Record<Outcome, OutcomeSeries>>>;
}

export interface GatewayMetrics {
  begun(model: string): void;
  finished(query: FinishedQuery): void;
  attempt(worker: string, outcome: AttemptOutcome): void;
  violation(kind: 'network' | 'unattributed'): void;
  /** Creates a model's series at 0, so that rates exist before its first query. */
  announce(model: string, version: string): void;
}

const RECEIVE = STAGE_INDEX.receive;
const RESPOND = STAGE_INDEX.respond;

export function createGatewayMetrics(metrics: Metrics): GatewayMetrics {
  const begun = metrics.counter('inference_requests_begun_total');
  const requests = metrics.counter('inference_requests_total');
  const refusals = metrics.counter('inference_refusals_total');
  const duration = metrics.histogram('inference_request_duration_seconds');
  const service = metrics.histogram('inference_service_duration_seconds');
  const stages = metrics.histogram('inference_stage_duration_seconds');
  const unattributedSeconds = metrics.counter('inference_unattributed_seconds_total');
  const inFlight = metrics.gauge('inference_in_flight_requests');
  const attempts = metrics.counter('inference_attempts_total');
  const violations = metrics.counter('vitrine_ledger_violations_total');
  const violationSeries = {
    network: violations.series({ kind: 'network' }),
    unattributed: violations.series({ kind: 'unattributed' }),
  };
  const models = new Map<string, ModelSeries>();
  /** By worker; as many as there are workers. */
  const attemptSeries = new Map<string, Record<AttemptOutcome, CounterSeries>>();

  const ofModel = (model: string): ModelSeries => {
    let series = models.get(model);
    if (series === undefined) {
      series = {
        begun: begun.series({ model }),
        inFlight: inFlight.series({ model }),
        stages: [],
        unattributed: stages.series({ model, stage: UNATTRIBUTED }),
        unattributedSeconds: unattributedSeconds.series({ model }),
        versions: new Map(),
      };
      models.set(model, series);
    }
    return series;
  };

  const ofOutcome = (model: string, of: ModelSeries, version: string, outcome: Outcome): OutcomeSeries => {
    let outcomes = of.versions.get(version);
    if (outcomes === undefined) {
      outcomes = {};
      of.versions.set(version, outcomes);
    }
    let series = outcomes[outcome];
    if (series === undefined) {
      const labels = { model, version, outcome };
      series = {
        requests: requests.series(labels),
        duration: duration.series(labels),
        service: service.series(labels),
      };
      outcomes[outcome] = series;
    }
    return series;
  };

  return {
    begun(model) {
      const series = ofModel(model);
      series.begun.add(1);
      series.inFlight.add(1);
    },
    finished({ model, version, outcome, reason, ledger, totalMs, unattributedMs, exemplar }) {
      const of = ofModel(model);
      const series = ofOutcome(model, of, version, outcome);
      of.inFlight.add(-1);
      series.requests.add(1);
      series.duration.observe(totalMs / 1000, exemplar);
      const serviceMs = totalMs - ledger.ms(RECEIVE) - ledger.ms(RESPOND);
      series.service.observe(Math.max(0, serviceMs) / 1000, exemplar);
      for (let index = 0; index < STAGES.length; index += 1) {
        if (!ledger.has(index)) continue;
        let stage = of.stages[index];
        if (stage === undefined) {
          stage = stages.series({ model, stage: STAGES[index] as string });
          of.stages[index] = stage;
        }
        // Below zero only by the clock's grain (network); a sum that shrinks would read as a counter reset.
        stage.observe(Math.max(0, ledger.stagesMs[index] as number) / 1000, exemplar);
      }
      of.unattributed.observe(Math.max(0, unattributedMs) / 1000, exemplar);
      of.unattributedSeconds.add(Math.abs(unattributedMs) / 1000);
      if (reason !== undefined) refusals.series({ model, reason }).add(1);
    },
    attempt(worker, outcome) {
      let outcomes = attemptSeries.get(worker);
      if (outcomes === undefined) {
        // All at 0 at once: a series that begins with a loss would hide it, since a first value is no increase.
        outcomes = Object.fromEntries(
          ATTEMPT_OUTCOMES.map((each) => [each, attempts.series({ worker, outcome: each })]),
        ) as Record<AttemptOutcome, CounterSeries>;
        attemptSeries.set(worker, outcomes);
      }
      outcomes[outcome].add(1);
    },
    violation(kind) {
      violationSeries[kind].add(1);
    },
    announce(model, version) {
      const of = ofModel(model);
      for (const outcome of OUTCOMES) ofOutcome(model, of, version, outcome);
    },
  };
}
