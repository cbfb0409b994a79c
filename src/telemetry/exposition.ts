/**
 * /metrics: one serializer for the catalogue's metrics and for those of the SDK and of libraries.
 * OpenMetrics 1.0 with exemplars when the scraper accepts it (as Prometheus does), the classic text format
 * otherwise. https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
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

/** Without braces. */
function labelText(labels: readonly (readonly [string, string])[]): string {
  let text = '';
  for (const [name, value] of labels) text += `${text === '' ? '' : ','}${name}="${escapeLabel(value)}"`;
  return text;
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

/** As Prometheus 3 stores it: a whole edge reads `1.0`. */
export function openMetricsEdge(edge: number): string {
  return Number.isInteger(edge) ? `${edge}.0` : String(edge);
}

/** A family that is read when it is written, one series at a time. */
export interface SeriesFamily extends Omit<MetricFamily, 'samples'> {
  /** Lines of one series after another; can be asked for once. */
  readonly series: (openMetrics: boolean) => Iterable<readonly string[]>;
}

type AnyInstrument = ReturnType<Metrics['read']>[number];

function* seriesLines(
  instrument: AnyInstrument,
  name: string,
  openMetrics: boolean,
): Generator<readonly string[]> {
  const { attributes } = instrument.entry;
  for (const series of instrument.all()) {
    const labels = labelText(
      attributes.map((attribute, index) => [attribute, series.labels[index] ?? ''] as const),
    );
    if (series instanceof CounterSeries) yield [`${name}_total${braced(labels)} ${number(series.value)}`];
    else if (series instanceof GaugeSeries) yield [`${name}${braced(labels)} ${number(series.value)}`];
    else yield histogramLines(series, name, labels, openMetrics);
  }
}

/** Most of a scrape: what its lines share is written once. */
function histogramLines(
  series: HistogramSeries,
  name: string,
  labels: string,
  openMetrics: boolean,
): string[] {
  const { edges, counts } = series;
  const begin = `${name}_bucket{${labels}${labels === '' ? '' : ','}le="`;
  const lines: string[] = [];
  let cumulative = 0;
  for (let index = 0; index <= edges.length; index += 1) {
    cumulative += counts[index] as number;
    const edge = index === edges.length ? '+Inf' : openMetricsEdge(edges[index] as number);
    const exemplar = openMetrics ? series.exemplarAt(index) : undefined;
    lines.push(`${begin}${edge}"} ${cumulative}${exemplar === undefined ? '' : exemplarText(exemplar)}`);
  }
  lines.push(`${name}_sum${braced(labels)} ${number(series.sum)}`);
  lines.push(`${name}_count${braced(labels)} ${series.count}`);
  return lines;
}

/** The catalogue's metrics as families, in the order of the catalogue. */
export function catalogFamilies(metrics: Metrics): SeriesFamily[] {
  return metrics.read().map((instrument) => {
    const { type, description } = instrument.entry;
    const name = type === 'counter' ? instrument.name.replace(/_total$/, '') : instrument.name;
    const series = (openMetrics: boolean) => seriesLines(instrument, name, openMetrics);
    return { name, type, help: description, series };
  });
}

/** Lines of one family, those of one series at a time; none of a family without samples. */
function* familyLines(
  { name, type, help, series }: SeriesFamily,
  openMetrics: boolean,
): Generator<readonly string[]> {
  // Classic text has no info type, and names a counter with its suffix.
  const shownName = openMetrics
    ? name
    : type === 'counter'
      ? `${name}_total`
      : type === 'info'
        ? `${name}_info`
        : name;
  let head: readonly string[] = [
    `# HELP ${shownName} ${openMetrics ? escapeLabel(help) : escapeHelp(help)}`,
    `# TYPE ${shownName} ${openMetrics ? type : type === 'info' ? 'gauge' : type}`,
  ];
  for (const lines of series(openMetrics)) {
    if (lines.length === 0) continue;
    yield head.length === 0 ? lines : [...head, ...lines];
    head = [];
  }
}

function exemplarText({ traceId, spanId, value, timestampS }: Exemplar): string {
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${number(value)} ${timestampS.toFixed(3)}`;
}

/** What was collected elsewhere, to be written with the catalogue's families. */
export function asSeries({ samples, ...family }: MetricFamily): SeriesFamily {
  const lineOf = ({ suffix, labels, value, exemplar }: Sample, openMetrics: boolean): string => {
    const line = `${family.name}${suffix}${braced(labelText(labels))} ${number(value)}`;
    return openMetrics && exemplar !== undefined ? line + exemplarText(exemplar) : line;
  };
  return { ...family, series: (openMetrics) => [samples.map((sample) => lineOf(sample, openMetrics))] };
}

/** Text of all families. Families without samples are left out. */
export function renderFamilies(families: readonly SeriesFamily[], format: ExpositionFormat): string {
  const openMetrics = format === 'openmetrics';
  const lines: string[] = [];
  for (const family of families) for (const some of familyLines(family, openMetrics)) lines.push(...some);
  return text(lines, openMetrics);
}

/** No query waits longer than this for a scrape to be written. */
const TURN_MS = 1;

/** The same, with turns of the event loop in between: a service of many models has a megabyte to write. */
export async function renderInTurns(
  families: readonly SeriesFamily[],
  format: ExpositionFormat,
): Promise<string> {
  const openMetrics = format === 'openmetrics';
  const lines: string[] = [];
  let startMs = performance.now();
  for (const family of families) {
    for (const some of familyLines(family, openMetrics)) {
      lines.push(...some);
      if (performance.now() - startMs < TURN_MS) continue;
      await nextTurn();
      startMs = performance.now();
    }
  }
  return text(lines, openMetrics);
}

function text(lines: readonly string[], openMetrics: boolean): string {
  return `${lines.join('\n')}\n${openMetrics ? '# EOF\n' : ''}`;
}
