/**
 * What every dashboard has around its panels: data sources and processes to choose, marks for alerts, restarts and
 * loaded models, links to the others. Classic JSON, which file provisioning of every Grafana from 9 on reads.
 */
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  type RowPanel,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import type { DashboardUid } from '../slo/alert.ts';
import { layOut, type Section } from './layout.ts';
import { TAG, type TraceSearch, tracesLink } from './links.ts';
import { BAD, NEUTRAL, WARN } from './palette.ts';
import { inSight, type Link, PROMETHEUS } from './panel.ts';
import { alerts, type Expr, promql } from './promql.ts';

/** A variable that takes its values from Prometheus. */
export interface QueryVariable {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** `label_values(...)` */
  readonly query: string;
  /** Several at once, or all; undefined: one at a time. */
  readonly all?: string;
}

export interface DashboardSpec {
  readonly uid: DashboardUid;
  readonly title: string;
  readonly description: string;
  /** Such as `now-1h`. */
  readonly from: string;
  readonly variables?: readonly QueryVariable[];
  /** Of which alerts it marks; further conditions on labels. */
  readonly alertsOf?: Parameters<typeof alerts>[0];
  /** Of which loads it marks. */
  readonly model?: string;
  readonly traces?: TraceSearch;
  readonly sections: readonly Section[];
}

const REFRESH = '30s';
/** Grafana reads annotations in steps of at least this. */
const ANNOTATION_STEP = '60s';

const PROCESS_VARIABLES: readonly QueryVariable[] = [
  {
    name: 'job',
    label: 'Job',
    description: 'Kind of process: gateway, worker, console.',
    query: 'label_values(up{job=~"vitrine-.+"}, job)',
    all: '.+',
  },
  {
    name: 'instance',
    label: 'Instance',
    description: 'Process, by its stable index. Panels of other processes are empty while one is chosen.',
    query: 'label_values(up{job=~"vitrine-.+", job=~"$job"}, instance)',
    all: '.+',
  },
];

function queryVariable({ name, label, description, query, all }: QueryVariable): QueryVariableBuilder {
  const variable = new QueryVariableBuilder(name)
    .label(label)
    .description(description)
    .datasource(PROMETHEUS)
    .query(query)
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc);
  if (all === undefined) return variable;
  return variable
    .multi(true)
    .includeAll(true)
    .allValue(all)
    .current({ selected: true, text: ['All'], value: ['$__all'] });
}

function datasourceVariable(type: 'prometheus' | 'jaeger', label: string): DatasourceVariableBuilder {
  return new DatasourceVariableBuilder(`${type}_datasource`).label(`${label} data source`).type(type);
}

function annotation(
  name: string,
  color: string,
  expr: Expr,
  texts: { readonly title: string; readonly text: string; readonly tags: string },
): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(PROMETHEUS)
    .enable(true)
    .hide(false)
    .iconColor(color)
    .expr(expr.text)
    .step(ANNOTATION_STEP)
    .titleFormat(texts.title)
    .textFormat(texts.text)
    .tagKeys(texts.tags);
}

const SELECTED = '{job=~"$job",instance=~"$instance",job=~"vitrine-.+"}';
/** Unix milliseconds at which each process began; steady up to the moment of the scrape, hence the rounding. */
const STARTED: Expr = {
  text: `1000 * round(timestamp(process_uptime_seconds${SELECTED}) - process_uptime_seconds${SELECTED}, 5)`,
  metrics: ['process_uptime_seconds'],
};

/** Loads of processes that go on, and those that a process began with: of those the series is new. */
function loaded(model: string | undefined): Expr {
  const which = model === undefined ? '' : `,model="${model}"`;
  const counter = `inference_repository_loads_total{job=~"$job",instance=~"$instance"${which}}`;
  const by = 'by (model, version, outcome)';
  return {
    text: `sum ${by} (increase(${counter}[$__rate_interval])) > 0 or count ${by} (${counter} unless ${counter} offset 1m)`,
    metrics: ['inference_repository_loads_total'],
  };
}

function annotations({ alertsOf = {}, model }: DashboardSpec): AnnotationQueryBuilder[] {
  return [
    new AnnotationQueryBuilder()
      .name('Annotations & Alerts')
      .builtIn(1)
      .type('dashboard')
      .datasource({ type: 'grafana', uid: '-- Grafana --' })
      .enable(true)
      .hide(true)
      .iconColor(NEUTRAL),
    annotation('Pages', BAD, promql`${alerts({ alertstate: 'firing', severity: 'page', ...alertsOf })}`, {
      title: '{{alertname}}',
      text: '{{model}} {{slo}} {{instance}}',
      tags: 'severity',
    }),
    annotation(
      'Tickets',
      WARN,
      promql`${alerts({ alertstate: 'firing', severity: 'ticket', ...alertsOf })}`,
      { title: '{{alertname}}', text: '{{model}} {{slo}} {{instance}}', tags: 'severity' },
    ),
    annotation('Starts', NEUTRAL, STARTED, {
      title: '{{instance}} started',
      text: '{{job}}',
      tags: 'job',
    }).useValueForTime(true),
    annotation('Model loads', NEUTRAL, loaded(model), {
      title: '{{model}} {{version}} loaded: {{outcome}}',
      text: '',
      tags: 'model',
    }),
  ];
}

function links(spec: DashboardSpec): DashboardLinkBuilder[] {
  const traces: Link = tracesLink('Traces in Jaeger', spec.traces);
  return [
    new DashboardLinkBuilder('Vitrine')
      .type(DashboardLinkType.Dashboards)
      .tags([TAG])
      .icon('external link')
      .tooltip('The other dashboards, with time and variables kept')
      .includeVars(true)
      .keepTime(true),
    new DashboardLinkBuilder(traces.title)
      .type(DashboardLinkType.Link)
      .url(traces.url)
      .icon('bolt')
      .tooltip('Queries of the time that is looked at')
      .targetBlank(true),
  ];
}

function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

/** What the SDK's builders leave out, or set as Grafana's newest editor has it. */
function finish(panel: Panel | RowPanel): Panel | RowPanel {
  if ('panels' in panel) return { ...panel, panels: panel.panels.map((each) => finish(each) as Panel) };
  const { targets = [], fieldConfig, ...rest } = panel;
  const { links: dataLinks, ...defaults } = fieldConfig?.defaults ?? {};
  return {
    ...rest,
    targets: targets.map((query, index) => ({ refId: refId(index), ...query })),
    fieldConfig: {
      defaults: { ...defaults, ...(dataLinks === undefined ? {} : { links: dataLinks.map(inSight) }) },
      overrides: fieldConfig?.overrides ?? [],
    },
  };
}

/** The whole dashboard as Grafana reads it from a file. */
export function dashboard(spec: DashboardSpec): Dashboard {
  const builder = new DashboardBuilder(spec.title)
    .uid(spec.uid)
    .description(spec.description)
    .tags([TAG])
    .readonly()
    .timezone('browser')
    .refresh(REFRESH)
    .time({ from: spec.from, to: 'now' })
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([
      datasourceVariable('prometheus', 'Prometheus'),
      datasourceVariable('jaeger', 'Jaeger'),
      ...[...(spec.variables ?? []), ...PROCESS_VARIABLES].map(queryVariable),
    ])
    .annotations(annotations(spec))
    .links(links(spec));
  const { annotations: marks, links: ways = [], ...built } = builder.build();
  return {
    ...built,
    id: null,
    annotations: { list: (marks.list ?? []).map(({ placement: _, ...mark }) => mark) },
    links: ways.map(inSight),
    panels: layOut(spec.sections).map(finish),
  };
}
