/**
 * PromQL over the metric catalogue, for dashboards: a metric or a label that the catalogue does not have is no
 * type, and every selector follows the dashboard's variables `job` and `instance`. What slo/promql.ts writes is
 * what rules evaluate, over windows that are fixed; here windows follow the time that is looked at.
 */
import type { CATALOG, CounterName, GaugeName, HistogramName } from '../telemetry/catalog.ts';

/** An expression and the names in it that its panel's description tells. */
export interface Expr {
  readonly text: string;
  /** Metrics as they are scraped or recorded; a histogram by its family. */
  readonly metrics: readonly string[];
}

type CatalogName = CounterName | GaugeName | HistogramName;
type LabelOf<N extends CatalogName> = (typeof CATALOG)[N]['attributes'][number] | 'job' | 'instance';

/** Equal to a text (a variable with one value, too), to one of several, to none of several, or as a pattern says. */
type Match =
  | string
  | readonly string[]
  | { readonly not: readonly string[] }
  | { readonly pattern: string }
  | { readonly all: readonly Match[] };
type Where<L extends string> = { readonly [K in L]?: Match };

interface Sum<L extends string> {
  readonly by?: readonly L[];
  readonly where?: Where<L>;
}

/** The window of rates: at least four scrapes, and no gap between two points of a graph. */
const RATE_WINDOW = '$__rate_interval';
/** Processes of other systems carry the names that OpenTelemetry gives to runtimes and hardware, too. */
const OURS = 'job=~"vitrine-.+"';
const FOLLOW_VARIABLES = ['job=~"$job"', 'instance=~"$instance"'];

function matcher(label: string, match: Match): string[] {
  if (typeof match === 'string') return [`${label}="${match}"`];
  if ('all' in match) return match.all.flatMap((each) => matcher(label, each));
  if ('pattern' in match) return [`${label}=~"${match.pattern}"`];
  const [op, values] = 'not' in match ? (['!~', match.not] as const) : (['=~', match] as const);
  return [`${label}${op}"${values.join('|')}"`];
}

function matchersOf(where: Where<string> | undefined): string[] {
  return Object.entries(where ?? {}).flatMap(([label, match]) =>
    match === undefined ? [] : matcher(label, match),
  );
}

function selector(name: string, where: Where<string> | undefined, suffix = ''): string {
  const shared = /^(vitrine|inference)_/.test(name) ? [] : [OURS];
  return `${name}${suffix}{${[...FOLLOW_VARIABLES, ...shared, ...matchersOf(where)].join(',')}}`;
}

function aggregated(fn: string, by: readonly string[] | undefined, inner: string): string {
  return by === undefined || by.length === 0 ? `${fn}(${inner})` : `${fn} by (${by.join(', ')}) (${inner})`;
}

function counted(name: string, suffix: string, { by, where }: Sum<string>, window: string | undefined): Expr {
  const ranged = `${selector(name, where, suffix)}[${window ?? RATE_WINDOW}]`;
  return {
    text: aggregated('sum', by, window === undefined ? `rate(${ranged})` : `increase(${ranged})`),
    metrics: [name],
  };
}

/** How often a second a counter counted, summed. */
export function perSecond<N extends CounterName>(name: N, of: Sum<LabelOf<N>> = {}): Expr {
  return counted(name, '', of, undefined);
}

/** By how much a counter grew within a window (`5m`, or `$__range`: all that is shown), summed. */
export function grownBy<N extends CounterName>(name: N, window: string, of: Sum<LabelOf<N>> = {}): Expr {
  return counted(name, '', of, window);
}

/** Observations of a histogram a second. */
export function observedPerSecond<N extends HistogramName>(name: N, of: Sum<LabelOf<N>> = {}): Expr {
  return counted(name, '_count', of, undefined);
}

/** What a histogram's observations sum to in a second. */
export function summedPerSecond<N extends HistogramName>(name: N, of: Sum<LabelOf<N>> = {}): Expr {
  return counted(name, '_sum', of, undefined);
}

/** A quantile of a histogram, by labels beside `le`. */
export function quantile<N extends HistogramName>(
  share: number,
  name: N,
  { by = [], where }: Sum<LabelOf<N>> = {},
): Expr {
  const buckets = `rate(${selector(name, where, '_bucket')}[${RATE_WINDOW}])`;
  return {
    text: `histogram_quantile(${share}, ${aggregated('sum', ['le', ...by], buckets)})`,
    metrics: [name],
  };
}

/** Observations per bucket, for a heatmap. */
export function bucketGrowth<N extends HistogramName>(name: N, where?: Where<LabelOf<N>>): Expr {
  const buckets = `increase(${selector(name, where, '_bucket')}[${RATE_WINDOW}])`;
  return { text: aggregated('sum', ['le'], buckets), metrics: [name] };
}

/** 1 where the histogram has a series, by labels. */
export function presence<N extends HistogramName>(name: N, { by, where }: Sum<LabelOf<N>>): Expr {
  return { text: aggregated('group', by, selector(name, where, '_count')), metrics: [name] };
}

/** Mean of all observations since the processes began, by labels; for what happens seldom. */
export function meanSoFar<N extends HistogramName>(name: N, { by, where }: Sum<LabelOf<N>>): Expr {
  const sum = aggregated('sum', by, selector(name, where, '_sum'));
  return { text: `${sum} / ${aggregated('sum', by, selector(name, where, '_count'))}`, metrics: [name] };
}

/** With a label of its own. */
export function labelled(expr: Expr, label: string, value: string): Expr {
  return { text: `label_replace(${expr.text}, "${label}", "${value}", "", "")`, metrics: expr.metrics };
}

type Aggregate = 'sum' | 'max' | 'min' | 'avg' | 'count';

/** A gauge as it stands, aggregated. */
export function level<N extends GaugeName>(take: Aggregate, name: N, of: Sum<LabelOf<N>> = {}): Expr {
  return { text: aggregated(take, of.by, selector(name, of.where)), metrics: [name] };
}

/** A gauge as each process has it. */
export function each<N extends GaugeName>(name: N, where?: Where<LabelOf<N>>): Expr {
  return { text: selector(name, where), metrics: [name] };
}

/** How often a gauge fell within a window: of an uptime, the restarts. */
export function resets(name: 'process_uptime_seconds', window: string, by: readonly string[]): Expr {
  return { text: aggregated('sum', by, `resets(${selector(name, {})}[${window}])`), metrics: [name] };
}

/** What Prometheus itself tells of every target. https://prometheus.io/docs/concepts/jobs_instances/ */
export type ScrapeMetric = 'up' | 'scrape_duration_seconds' | 'scrape_samples_post_metric_relabeling';

export function scraped(name: ScrapeMetric): Expr {
  return { text: selector(name, {}), metrics: [name] };
}

/** What slo/compile_prometheus.ts records; a test compares the names. Made of all processes, so no variable selects in it. */
export type RecordedName = `slo:${string}:${string}`;
type RecordedLabel = 'slo' | 'service' | 'model' | 'version';

export function recorded(name: RecordedName, where: Where<RecordedLabel> = {}): Expr {
  const matchers = matchersOf(where);
  return { text: matchers.length === 0 ? name : `${name}{${matchers.join(',')}}`, metrics: [name] };
}

/** Prometheus's own series of alerts, those of this system. Names the labels that every rule has. */
export function alerts(where: Where<'alertname' | 'alertstate' | 'severity' | 'slo' | 'model'>): Expr {
  return { text: `ALERTS{${['system="vitrine"', ...matchersOf(where)].join(',')}}`, metrics: ['ALERTS'] };
}

/** PromQL around expressions: promql`${bad} / ${all}`. */
export function promql(parts: TemplateStringsArray, ...inner: readonly (Expr | number)[]): Expr {
  const text = parts.reduce((sum, part, index) => {
    const next = inner[index];
    if (next === undefined) return sum + part;
    return `${sum}${part}${typeof next === 'number' ? next : next.text}`;
  }, '');
  const metrics = inner.flatMap((each) => (typeof each === 'number' ? [] : each.metrics));
  return { text, metrics: [...new Set(metrics)] };
}
