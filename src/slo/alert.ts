/**
 * One alert: what it asks, how long it has to last, what it says and where it leads. Compiled to Prometheus
 * and to the embedded evaluator alike.
 *
 * States, of each set of labels by itself, by the rule of Prometheus (rules/alerting.go), at each evaluation t:
 * - The expression has an element with these labels:
 *     inactive → pending, active since t; then at once, pending → firing when t - active since >= forS.
 *     firing stays firing, and a keep-firing that had begun is forgotten.
 * - It has none:
 *     pending → inactive, without a word.
 *     firing → stays firing while t - (first evaluation without it) < keepFiringForS; then resolved, ends at t.
 * `startsAt` of a firing alert is the evaluation at which it became firing. An evaluation that failed changes
 * nothing. After a restart, pending and firing alerts go on with the times they had.
 *
 * Identity is the set of labels: those of the element, the rule's, `alertname`, `severity`. The number is not
 * part of it, so it stands in annotations only.
 */
import type { AlertSeverity } from '../contract/alerts.ts';
import type { DrillName } from '../contract/drill_names.ts';
import type { MetricPlace } from '../telemetry/catalog.ts';
import type { Expression } from './expression.ts';

/**
 * How the number is written: `ratio` 0.061 as `6.1%`; `seconds` as `250ms`; `bytes` as `1.5GiB`; `factor` as
 * `14.4x`; `number` as `12` or `1.2k`. Equal in both engines: see annotation.ts.
 */
export type ValueUnit = 'ratio' | 'seconds' | 'bytes' | 'factor' | 'number';

/**
 * Text with placeholders, of which there are two: `{value}`, the number as the rule's unit writes it, and
 * `{label}` for each label that the alert carries, such as `{model}`.
 */
export type AnnotationTemplate = string;

/** Stable uids of the dashboards. */
export type DashboardUid =
  | 'vitrine-overview'
  | 'vitrine-model'
  | 'vitrine-workers'
  | 'vitrine-objectives'
  | 'vitrine-telemetry';

export interface DashboardLink {
  readonly uid: DashboardUid;
  /** The dashboard's variable → the alert's label that fills it. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * While the rule that carries it fires, it is the cause, and alerts of the named rules with equal values in
 * `equal` are not notified. Each label in `equal` is carried by every alert of both rules, because a label
 * that both lack would count as equal. A firing alert never inhibits itself.
 */
export interface Inhibition {
  readonly silences: readonly string[];
  readonly equal: readonly string[];
}

/** The drill that makes it fire, or why no drill can. */
export type DrillOf = { readonly drill: DrillName } | { readonly noDrill: string };

export interface AlertRule {
  /** `VitrineWorkerDown`; unique in all that is compiled together, with the labels below. */
  readonly name: string;
  /** page: someone acts now. ticket: someone acts in days. info: for whoever looks. */
  readonly severity: AlertSeverity;
  readonly expression: Expression;
  readonly forS: number;
  readonly keepFiringForS: number;
  /** Besides `severity`; constant, never the number. */
  readonly labels: Readonly<Record<string, string>>;
  /** One line. */
  readonly summary: AnnotationTemplate;
  /** What it means for queries, with the number. */
  readonly description: AnnotationTemplate;
  readonly valueUnit: ValueUnit;
  /** docs/runbooks/<runbook>.md */
  readonly runbook: string;
  readonly dashboard: DashboardLink;
  /** The processes whose metrics it reads; `scraper` for what the scraper itself sees. */
  readonly place: MetricPlace | 'scraper';
  readonly drill: DrillOf;
  readonly inhibits: readonly Inhibition[];
}
