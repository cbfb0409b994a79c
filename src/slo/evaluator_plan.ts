/**
 * What the embedded evaluator works by: plain data that survives JSON. Made by compile_evaluator.ts; every
 * duration in it is already divided by the time scale.
 */
import type { MetricName } from '../telemetry/catalog.ts';
import type { AlertRule } from './alert.ts';
import type { AnnotationLinks } from './annotation.ts';
import type { ScrapedName, Selection } from './expression.ts';
import type { Objective } from './objective.ts';

export interface PlannedRule {
  /**
   * Stable from one plan to the next for the same rule, across restarts: `<name>` for a rule of the catalogue,
   * `<name>/<slo>` for one of an objective.
   */
  readonly id: string;
  readonly rule: AlertRule;
  /** Labels of every alert of the rule, besides those of the element: alertname, severity and the rule's own. */
  readonly labels: Readonly<Record<string, string>>;
  /** The same question for Prometheus; runbooks and the equivalence test use it. */
  readonly promql: string;
}

/**
 * What the sample store has to hold so that every rule and figure can be computed. Of a histogram: every
 * bucket, sum and count. A store that keeps more is fine. A metric stands here once for each selection and
 * reach; further back, coarser steps do.
 */
export interface SampleNeed {
  readonly metric: MetricName | ScrapedName;
  readonly where: Selection;
  /** How far back samples are read. */
  readonly reachS: number;
  /**
   * Longest distance between two kept samples within that reach: a fifth of the shortest window read there, at
   * least the scrape interval. A downsampled counter keeps the last sample of each step with its own
   * timestamp, and the last before each reset, so that no increase is lost.
   */
  readonly stepS: number;
}

/** One objective, with what `slo status` and the page show. */
export interface PlannedObjective {
  readonly objective: Objective;
  /** Windows for which the burn rate is shown, ascending: those of the alerts. */
  readonly windowsS: readonly number[];
  /**
   * The period, and the step of its sum: bad and total of the period are the sums of the increases over the
   * steps of this length, so that a busy hour weighs more than a quiet one.
   */
  readonly periodS: number;
  readonly periodStepS: number;
}

export interface EvaluatorPlan {
  /** Rises when a plan of this form could be misread by an older evaluator. */
  readonly planVersion: 1;
  readonly timeScale: number;
  readonly scrapeIntervalS: number;
  readonly evaluationIntervalS: number;
  /** How old a sample may be to count as the value now. */
  readonly lookbackS: number;
  /** Where links in annotations lead; for renderAnnotations. */
  readonly links: AnnotationLinks;
  readonly rules: readonly PlannedRule[];
  readonly objectives: readonly PlannedObjective[];
  readonly needs: readonly SampleNeed[];
}
