/**
 * /metrics: one serializer for the catalogue's metrics and for those of the SDK and of libraries.
 * OpenMetrics 1.0 with exemplars when the scraper accepts it (as Prometheus does), the classic text format
 * otherwise. https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import type { Exemplar } from './metrics.ts';
import { CounterSeries, GaugeSeries, type HistogramSeries, type Metrics } from './metrics.ts';

export interface Sample {
  /** Appended to the family's name: `_total`, `_bucket`, `_sum`, `_count`, or nothing. */
  readonly suffix: string;
  readonly labels: readonly (readonly [string, string])[];
  readonly value: number;
  readonly exemplar?: Exemplar | undefined;
}

export interface MetricFamily {
  /** Without `_total`. */
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram' | 'info';
  readonly help: string;
  readonly samples: readonly Sample[];
}

export type ExpositionFormat = 'openmetrics' | 'classic';

export const CONTENT_TYPE: Readonly<Record<ExpositionFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  classic: 'text/plain; version=0.0.4; charset=utf-8',
};

/** The format that an `Accept` header asks for: OpenMetrics when it is named with a weight above zero. */
export function negotiate(accept: string | undefined): ExpositionFormat {
  if (accept === undefined || accept.length > 1024) return 'classic';
  let openMetrics = 0;
  let classic = 0;
  for (const part of accept.split(',')) {
    const [type, ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const weightText = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const weight = weightText === undefined ? 1 : Number(weightText);
    if (!(weight > 0)) continue;
    if (type === 'application/openmetrics-text') openMetrics = Math.max(openMetrics, weight);
    else if (type === 'text/plain') classic = Math.max(classic, weight);
  }
  return openMetrics > 0 && openMetrics >= classic ? 'openmetrics' : 'classic';
}

function escapeLabel(value: string): string {
  return /[\\"\n]/.test(value)
    ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : value;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function labelText(labels: readonly (readonly [string, string])[]): string {
  if (labels.length === 0) return '';
  let text = '';
  for (const [name, value] of labels) text += `${text === '' ? '{' : ','}${name}="${escapeLabel(value)}"`;
  return `${text}}`;
}

function bucketSamples(series: HistogramSeries, labels: readonly (readonly [string, string])[]): Sample[] {
  const samples: Sample[] = [];
  let cumulative = 0;
  for (let index = 0; index <= series.edges.length; index += 1) {
    cumulative += series.counts[index] as number;
    const edge = index === series.edges.length ? '+Inf' : openMetricsEdge(series.edges[index] as number);
    samples.push({
      suffix: '_bucket',
      labels: [...labels, ['le', edge]],
      value: cumulative,
      exemplar: series.exemplarAt(index),
    });
  }
  samples.push(
    { suffix: '_sum', labels, value: series.sum },
    { suffix: '_count', labels, value: series.count },
  );
  return samples;
}

/** As Prometheus 3 stores it: a whole edge reads `1.0`. */
export function openMetricsEdge(edge: number): string {
  return Number.isInteger(edge) ? `${edge}.0` : String(edge);
}

/** The catalogue's metrics as families, in the order of the catalogue. */
export function catalogFamilies(metrics: Metrics): MetricFamily[] {
  return metrics.read().map((instrument) => {
    const { attributes, type, description } = instrument.entry;
    const samples: Sample[] = [];
    for (const series of instrument.all()) {
      const labels = attributes.map((attribute, index) => [attribute, series.labels[index] ?? ''] as const);
      if (series instanceof CounterSeries) samples.push({ suffix: '_total', labels, value: series.value });
      else if (series instanceof GaugeSeries) samples.push({ suffix: '', labels, value: series.value });
      else samples.push(...bucketSamples(series, labels));
    }
    const name = type === 'counter' ? instrument.name.replace(/_total$/, '') : instrument.name;
    return { name, type, help: description, samples };
  });
}

/** Text of all families. Families without samples are left out. */
export function renderFamilies(families: readonly MetricFamily[], format: ExpositionFormat): string {
  const lines: string[] = [];
  const openMetrics = format === 'openmetrics';
  for (const { name, type, help, samples } of families) {
    if (samples.length === 0) continue;
    // Classic text has no info type, and names a counter with its suffix.
    const shownName = openMetrics
      ? name
      : type === 'counter'
        ? `${name}_total`
        : type === 'info'
          ? `${name}_info`
          : name;
    lines.push(`# HELP ${shownName} ${openMetrics ? escapeLabel(help) : escapeHelp(help)}`);
    lines.push(`# TYPE ${shownName} ${openMetrics ? type : type === 'info' ? 'gauge' : type}`);
    for (const { suffix, labels, value, exemplar } of samples) {
      let line = `${name}${suffix}${labelText(labels)} ${number(value)}`;
      if (openMetrics && exemplar !== undefined) {
        line += ` # {trace_id="${exemplar.traceId}",span_id="${exemplar.spanId}"} ${number(exemplar.value)} ${exemplar.timestampS.toFixed(3)}`;
      }
      lines.push(line);
    }
  }
  if (openMetrics) lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}
