/**
 * Panels as every dashboard of ours has them: a description that says what bad looks like and names its metrics, a
 * unit, a legend, colours with a meaning, and an answer in words where there is nothing to show.
 *
 * The foundation SDK's builders know Grafana's types; what they leave open or preset otherwise is decided here.
 */
import * as common from '@grafana/grafana-foundation-sdk/common';
import {
  type DashboardLink,
  DashboardLinkBuilder,
  type DynamicConfigValue,
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import * as heatmapPanel from '@grafana/grafana-foundation-sdk/heatmap';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import * as statPanel from '@grafana/grafana-foundation-sdk/stat';
import * as timelinePanel from '@grafana/grafana-foundation-sdk/statetimeline';
import * as seriesPanel from '@grafana/grafana-foundation-sdk/timeseries';
import { describe } from './description.ts';
import { BAD, GOOD, NEUTRAL } from './palette.ts';
import type { Expr } from './promql.ts';
import { variable } from './variables.ts';

/** The dashboards' data source variables. */
export const PROMETHEUS = { type: 'prometheus', uid: variable('prometheus_datasource') } as const;

/** Grafana's ids of units that are used here. https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts */
export type Unit =
  | 'short'
  | 'none'
  | 's'
  | 'percentunit'
  | 'bytes'
  | 'reqps'
  | 'ops'
  | 'cps'
  | 'watt'
  | 'joule'
  | 'celsius'
  | 'dtdurations';

/** A panel and the place that it wants: of 24 columns, and of rows of 30 pixels. */
export interface SizedPanel {
  readonly panel: Panel;
  readonly width: number;
  readonly height: number;
}

export interface Query {
  readonly expr: Expr;
  /** A name, or a pattern such as `{{instance}}`. */
  readonly legend: string;
  /** Points that lead to traces; of a histogram that carries exemplars. */
  readonly exemplars?: boolean;
}

export interface Link {
  readonly title: string;
  readonly url: string;
}

export interface PanelSpec {
  /** Unique on its dashboard. */
  readonly title: string;
  /** A sentence or two. */
  readonly shows: string;
  /** How trouble looks here. */
  readonly bad: string;
  /** Names of the alerts whose number stands here. */
  readonly alerts?: readonly string[];
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly width: number;
  readonly height?: number;
  readonly links?: readonly Link[];
}

/** Below the first value: its colour; from each value on: its colour. */
export type Steps = readonly [string, ...(readonly (readonly [value: number, color: string])[])];

export function thresholds([base, ...steps]: Steps): ThresholdsConfigBuilder {
  const list: Threshold[] = [
    { value: null, color: base },
    ...steps.map(([value, color]) => ({ value, color })),
  ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(list);
}

/** A query whose number counts now, with or without the time before it. */
export function target(
  { expr, legend, exemplars = false }: Query,
  kind: 'range' | 'instant' | 'table' | 'heatmap',
): DataqueryBuilder {
  const query = new DataqueryBuilder().datasource(PROMETHEUS).expr(expr.text).legendFormat(legend);
  switch (kind) {
    case 'range':
      return query.range().format(PromQueryFormat.TimeSeries).exemplar(exemplars);
    case 'instant':
      return query.instant().format(PromQueryFormat.TimeSeries).exemplar(false);
    case 'table':
      return query.instant().format(PromQueryFormat.Table).exemplar(false);
    case 'heatmap':
      return query.range().format(PromQueryFormat.Heatmap).exemplar(exemplars);
  }
}

function dataLinks(links: readonly Link[]): DashboardLinkBuilder[] {
  return links.map(({ title, url }) => new DashboardLinkBuilder(title).url(url));
}

/** In sight, not in the menu of controls, where the SDK puts every link. */
export function inSight({ placement: _, ...link }: DashboardLink): DashboardLink {
  return link;
}

interface Describable {
  title(title: string): this;
  description(text: string): this;
  datasource(ref: { readonly type: string; readonly uid: string }): this;
  dataLinks(links: DashboardLinkBuilder[]): this;
}

/** What every kind of panel has. */
export function begin<B extends Describable>(builder: B, spec: Omit<PanelSpec, 'unit'>): B {
  const { title, queries, links = [] } = spec;
  const begun = builder
    .title(title)
    .description(
      describe(
        spec,
        queries.map(({ expr }) => expr),
      ),
    )
    .datasource(PROMETHEUS);
  return links.length === 0 ? begun : begun.dataLinks(dataLinks(links));
}

function legend(queries: readonly Query[], calcs: readonly string[]): common.VizLegendOptionsBuilder {
  return new common.VizLegendOptionsBuilder()
    .showLegend(queries.length > 1 || queries.some((query) => query.legend.includes('{{')))
    .displayMode(calcs.length === 0 ? common.LegendDisplayMode.List : common.LegendDisplayMode.Table)
    .placement(common.LegendPlacement.Bottom)
    .calcs([...calcs]);
}

export interface SeriesSpec extends PanelSpec {
  /** By legend. */
  readonly colors?: Readonly<Record<string, string>>;
  /** By a pattern that legends match. */
  readonly colorsByPattern?: Readonly<Record<string, string>>;
  readonly stacked?: boolean;
  /** Numbers below 0, too. */
  readonly signed?: boolean;
  /** The axis reaches at least from 0 to this. */
  readonly reach?: number;
  /** The axis ends there: a share ends at 1. */
  readonly most?: number;
  /** A line for each value. */
  readonly limits?: readonly number[];
  /** Legends of dashed lines: objectives, limits, totals. */
  readonly dashed?: readonly string[];
  /** A pattern that legends of dashed lines match. */
  readonly dashedPattern?: string;
  readonly logarithmic?: boolean;
  /** A column of the legend for each: `mean`, `max`, `lastNotNull`. */
  readonly calcs?: readonly string[];
  /** Grafana reads another time than the dashboard's: `30d`. */
  readonly timeFrom?: string;
  /** Legends in the order in which they are stacked; those that are missing do no harm. */
  readonly order?: readonly string[];
  /** Bars instead of lines, for what happens now and then. */
  readonly bars?: boolean;
}

function dashedProperties(): DynamicConfigValue[] {
  return [
    { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 8] } },
    { id: 'custom.fillOpacity', value: 0 },
    { id: 'custom.stacking', value: { mode: 'none', group: 'A' } },
  ];
}

/** Numbers over time. */
export function series(spec: SeriesSpec): SizedPanel {
  const { stacked = false, bars = false, colors = {}, limits = [], dashed = [], order = [] } = spec;
  const panel = begin(new seriesPanel.PanelBuilder(), spec)
    .unit(spec.unit)
    .legend(legend(spec.queries, spec.calcs ?? []))
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    )
    .drawStyle(bars ? common.GraphDrawStyle.Bars : common.GraphDrawStyle.Line)
    .lineWidth(stacked ? 1 : 2)
    .fillOpacity(stacked ? 60 : bars ? 80 : 0)
    .lineInterpolation(common.LineInterpolation.Linear)
    .showPoints(common.VisibilityMode.Auto)
    // A gap is a gap: no line where nothing was measured.
    .spanNulls(false)
    .insertNulls(false);
  if (spec.signed !== true) panel.min(0);
  if (stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group('A'));
  if (spec.reach !== undefined) panel.axisSoftMax(spec.reach);
  if (spec.most !== undefined) panel.max(spec.most);
  if (spec.logarithmic) {
    panel.scaleDistribution(
      new common.ScaleDistributionConfigBuilder().type(common.ScaleDistribution.Log).log(10),
    );
  }
  if (spec.timeFrom !== undefined) panel.timeFrom(spec.timeFrom).hideTimeOverride(false);
  panel.thresholds(thresholds(['transparent', ...limits.map((value) => [value, BAD] as const)]));
  panel.thresholdsStyle(
    new common.GraphThresholdsStyleConfigBuilder().mode(
      limits.length === 0 ? common.GraphThresholdsStyleMode.Off : common.GraphThresholdsStyleMode.Dashed,
    ),
  );
  panel.colorScheme(new FieldColorBuilder().mode(FieldColorModeId.PaletteClassicByName));
  for (const [name, color] of Object.entries(colors)) {
    panel.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }]);
  }
  for (const [pattern, color] of Object.entries(spec.colorsByPattern ?? {})) {
    panel.overrideByRegexp(pattern, [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }]);
  }
  for (const name of dashed) panel.overrideByName(name, dashedProperties());
  if (spec.dashedPattern !== undefined) panel.overrideByRegexp(spec.dashedPattern, dashedProperties());
  if (order.length > 0) {
    // Grafana stacks in the order of fields; Prometheus answers in that of labels.
    panel
      .withTransformation({ id: 'joinByField', options: { byField: 'Time', mode: 'outer' } })
      .withTransformation({
        id: 'organize',
        options: {
          indexByName: Object.fromEntries(['Time', ...order].map((name, index) => [name, index])),
          excludeByName: {},
          renameByName: {},
        },
      });
  }
  for (const query of spec.queries) panel.withTarget(target(query, 'range'));
  return { panel: panel.build(), width: spec.width, height: spec.height ?? 8 };
}

export interface StatSpec extends PanelSpec {
  readonly steps: Steps;
  /** What it says when there is no number. */
  readonly none: string;
  readonly decimals?: number;
  /** By legend, where values of one panel mean different things. */
  readonly stepsOf?: Readonly<Record<string, Steps>>;
  /** Words for values. */
  readonly words?: Readonly<Record<string, string>>;
}

/**
 * How it stands now. Asked as of now, never the last number that there was: where there is none, it says so.
 */
export function stat(spec: StatSpec): SizedPanel {
  const { steps, none, decimals, stepsOf = {}, words = {}, queries } = spec;
  const panel = begin(new statPanel.PanelBuilder(), spec)
    .unit(spec.unit)
    .thresholds(thresholds(steps))
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.Thresholds))
    .noValue(none)
    .colorMode(common.BigValueColorMode.Value)
    .graphMode(common.BigValueGraphMode.None)
    .textMode(queries.length > 1 ? common.BigValueTextMode.ValueAndName : common.BigValueTextMode.Value)
    .justifyMode(common.BigValueJustifyMode.Auto)
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['last']).fields('').values(false));
  if (decimals !== undefined) panel.decimals(decimals);
  if (Object.keys(words).length > 0) {
    panel.mappings([
      {
        type: 'value' as never,
        options: Object.fromEntries(Object.entries(words).map(([value, text]) => [value, { text }])),
      },
    ]);
  }
  for (const [name, own] of Object.entries(stepsOf)) {
    panel.overrideByName(name, [{ id: 'thresholds', value: thresholds(own).build() }]);
  }
  for (const query of queries) panel.withTarget(target(query, 'instant'));
  return { panel: panel.build(), width: spec.width, height: spec.height ?? 4 };
}

/** Buckets over time. */
export function heatmap(spec: Omit<PanelSpec, 'queries'> & { readonly query: Query }): SizedPanel {
  const panel = begin(new heatmapPanel.PanelBuilder(), { ...spec, queries: [spec.query] })
    .unit(spec.unit)
    .calculate(false)
    .rowsFrame(new heatmapPanel.RowsHeatmapOptionsBuilder().layout(common.HeatmapCellLayout.Auto))
    .yAxis(new heatmapPanel.YAxisConfigBuilder().unit(spec.unit))
    .cellValues(new heatmapPanel.CellValuesBuilder().unit('short'))
    .filterValues(new heatmapPanel.FilterValueRangeBuilder().le(1e-9))
    .showValue(common.VisibilityMode.Never)
    .cellGap(1)
    .color(
      new heatmapPanel.HeatmapColorOptionsBuilder()
        .mode(heatmapPanel.HeatmapColorMode.Scheme)
        .scheme('Blues')
        .steps(64)
        .scale(heatmapPanel.HeatmapColorScale.Exponential)
        .exponent(0.5)
        .reverse(false)
        .fill(NEUTRAL),
    )
    .tooltip(new heatmapPanel.HeatmapTooltipBuilder().mode(common.TooltipDisplayMode.Single).yHistogram(true))
    .exemplarsColor(BAD)
    .showLegend()
    .withTarget(target(spec.query, 'heatmap'));
  return { panel: panel.build(), width: spec.width, height: spec.height ?? 8 };
}

/** States over time: `1` is good, `0` is bad, unless told otherwise. */
export function timeline(
  spec: PanelSpec & { readonly states: Readonly<Record<string, { text: string; color: string }>> },
): SizedPanel {
  const panel = begin(new timelinePanel.PanelBuilder(), spec)
    .unit(spec.unit)
    .thresholds(thresholds([GOOD]))
    .mappings([{ type: 'value' as never, options: { ...spec.states } }])
    .mergeValues(true)
    .showValue(common.VisibilityMode.Never)
    .rowHeight(0.8)
    .fillOpacity(80)
    .lineWidth(0)
    .legend(legend(spec.queries, []))
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Single)
        .sort(common.SortOrder.None),
    );
  for (const query of spec.queries) panel.withTarget(target(query, 'range'));
  return { panel: panel.build(), width: spec.width, height: spec.height ?? 8 };
}
