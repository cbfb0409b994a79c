/** The committed dashboards: names, ways between them, alerts, places, colours, words for nothing. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type DashboardJson,
  expressionsOf,
  type PanelJson,
  panelsOf,
  readDashboards,
} from '../../test/fixtures/dashboard_files.ts';
import { readPromql } from '../../test/fixtures/promql_reading.ts';
import { STAGES, UNATTRIBUTED } from '../contract/stages.ts';
import type { AlertRule, DashboardUid } from '../slo/alert.ts';
import { ALERT_CATALOG } from '../slo/alert_catalog.ts';
import { allRules } from '../slo/all_rules.ts';
import { compileObjectiveRules } from '../slo/compile_prometheus.ts';
import { DEFAULT_LINKS } from '../slo/generated_alerts.ts';
import { objectiveAlerts } from '../slo/objective_alerts.ts';
import { readObjectives } from '../slo/objectives.ts';
import { readingsOf } from '../slo/sample_needs.ts';
import { CATALOG, type CatalogEntry, type MetricName } from '../telemetry/catalog.ts';
import { alertThreshold } from './alert_threshold.ts';
import { generatedDashboards } from './generated_dashboards.ts';
import { COLUMNS, panelId } from './layout.ts';
import * as palette from './palette.ts';
import type { ScrapeMetric } from './promql.ts';

const dashboards = readDashboards();
const text = readFileSync(new URL('../../slo.yaml', import.meta.url), 'utf8');
const { objectives } = readObjectives(text, { path: 'slo.yaml', models: undefined });
const rules = allRules(objectives);

function dashboardOf(uid: string): DashboardJson {
  const found = dashboards.find((dashboard) => dashboard.uid === uid);
  if (found === undefined) throw new Error(`no dashboard ${uid}`);
  return found;
}

/** Of each metric, as its series are called: the labels that they may have. */
const LABELS = new Map<string, ReadonlySet<string>>();
const ALWAYS = ['job', 'instance'];
for (const [name, { type, attributes }] of Object.entries(CATALOG) as [MetricName, CatalogEntry][]) {
  const labels = new Set([...attributes, ...ALWAYS]);
  if (type !== 'histogram') LABELS.set(name, labels);
  else {
    for (const suffix of ['_count', '_sum']) LABELS.set(`${name}${suffix}`, labels);
    LABELS.set(`${name}_bucket`, new Set([...labels, 'le']));
  }
}
const SCRAPED = ['up', 'scrape_duration_seconds', 'scrape_samples_post_metric_relabeling'] as const;
for (const name of SCRAPED satisfies readonly ScrapeMetric[]) LABELS.set(name, new Set(ALWAYS));
for (const group of compileObjectiveRules(objectives, { timeScale: 1, links: DEFAULT_LINKS })) {
  for (const rule of group.rules) {
    if ('record' in rule) LABELS.set(rule.record, new Set(['slo', 'service', 'model', 'version']));
  }
}
LABELS.set(
  'ALERTS',
  new Set(['alertname', 'alertstate', 'severity', 'system', 'slo', 'model', 'version', ...ALWAYS]),
);

/** Names in an expression that nothing exports, records or knows. */
function unknownNames(expr: string): string[] {
  const { selectors, grouping } = readPromql(expr);
  const known = selectors.flatMap(({ name }) => [...(LABELS.get(name) ?? [])]);
  return [
    ...selectors.flatMap(({ name, matchers }) => {
      const labels = LABELS.get(name);
      if (labels === undefined) return [name];
      return matchers.filter(({ label }) => !labels.has(label)).map(({ label }) => `${name}{${label}}`);
    }),
    ...grouping.filter((label) => !known.includes(label)),
  ];
}

describe('expressions', () => {
  test.each(dashboards.map((dashboard) => [dashboard.uid, dashboard] as const))(
    '%s names only what the catalogue, the rules or the scraper have',
    (_, dashboard) => {
      const found = expressionsOf(dashboard);
      expect(found.length).toBeGreaterThan(10);
      for (const { where, expr } of found) {
        expect(readPromql(expr).faults, where).toEqual([]);
        expect(readPromql(expr).selectors.length, where).toBeGreaterThan(0);
        expect(unknownNames(expr), where).toEqual([]);
      }
    },
  );

  test('a metric, a label, a bucket and a recorded name that do not exist are found', () => {
    expect(unknownNames('sum(rate(inference_nothing_total[5m]))')).toEqual(['inference_nothing_total']);
    expect(unknownNames('inference_queue_requests{version="1"}')).toEqual([
      'inference_queue_requests{version}',
    ]);
    expect(unknownNames('sum by (worker) (inference_queue_requests)')).toEqual(['worker']);
    expect(unknownNames('inference_batch_rows')).toEqual(['inference_batch_rows']);
    expect(unknownNames('slo:sli_error:ratio_rate7m')).toEqual(['slo:sli_error:ratio_rate7m']);
    expect(unknownNames('max by (model) (inference_queue_requests{model="a"})')).toEqual([]);
  });

  test('points that lead to traces are asked of histograms that carry exemplars', () => {
    const asked = dashboards.flatMap(expressionsOf).filter(({ exemplar }) => exemplar);
    expect(asked.length).toBeGreaterThan(5);
    for (const { where, expr } of asked) {
      for (const { name } of readPromql(expr).selectors) {
        const entry: CatalogEntry | undefined = CATALOG[name.replace(/_bucket$/, '') as MetricName];
        expect(entry?.exemplars, where).toBe(true);
      }
    }
    const durations = ['vitrine-overview', 'vitrine-model'].map((uid) =>
      panelsOf(dashboardOf(uid)).find(({ title }) => title === 'Duration'),
    );
    for (const panel of durations) expect(panel?.targets?.some(({ exemplar }) => exemplar)).toBe(true);
  });

  test('what is shown as it stands is asked as of now, and says so when there is nothing', () => {
    for (const dashboard of dashboards) {
      for (const { title, type, targets = [], fieldConfig } of panelsOf(dashboard)) {
        if (type !== 'stat' && type !== 'table') continue;
        expect(
          targets.every(({ instant, range }) => instant === true && range !== true),
          title,
        ).toBe(true);
        expect(fieldConfig?.defaults.noValue, title).toMatch(/^(no|nothing|rules not) /);
      }
    }
  });
});

describe('panels', () => {
  const panels = dashboards.flatMap((dashboard) =>
    panelsOf(dashboard).map((panel) => [`${dashboard.uid}: ${panel.title}`, panel] as const),
  );

  test.each(panels)('%s says what it shows, what bad looks like, and its metrics', (_, panel) => {
    const description = panel.description ?? '';
    expect(description).toMatch(/^[A-Z][^\n]{20,}\n\n\*\*Bad:\*\* .{4,}\n\n\*\*Metric:\*\* `/);
    for (const { expr } of panel.targets ?? []) {
      for (const { name } of readPromql(expr).selectors) {
        const family = name in CATALOG ? name : name.replace(/_(bucket|count|sum)$/, '');
        expect(description).toContain(`\`${family}\``);
      }
    }
  });

  test('stand side by side, fill their lines, and keep their numbers', () => {
    for (const { uid, panels: top } of dashboards) {
      const all = top.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
      expect(new Set(all.map(({ id }) => id)).size, uid).toBe(all.length);
      for (const { id, title, type } of all)
        expect(id).toBe(panelId(type === 'row' ? `row ${title}` : title));
      for (const group of [top, ...top.flatMap((panel) => (panel.panels ? [panel.panels] : []))]) {
        checkPlaces(group);
      }
    }
    // As published: links that people keep name them.
    expect(panelId('Duration')).toBe(830190);
  });

  function checkPlaces(group: readonly PanelJson[]): void {
    const cells = new Set<string>();
    const lines = new Map<number, number>();
    for (const { title, gridPos } of group) {
      const { x, y, w, h } = gridPos;
      lines.set(y, (lines.get(y) ?? 0) + w);
      for (let column = x; column < x + w; column += 1) {
        for (let line = y; line < y + h; line += 1) {
          expect(column, title).toBeLessThan(COLUMNS);
          expect(cells.has(`${column} ${line}`), title).toBe(false);
          cells.add(`${column} ${line}`);
        }
      }
    }
    expect([...lines.values()].every((width) => width === COLUMNS)).toBe(true);
  }

  test('the overview is one screen, and what is optional is collapsed', () => {
    const bottom = Math.max(
      ...dashboardOf('vitrine-overview')
        .panels.filter(({ type }) => type !== 'row')
        .map(({ gridPos }) => gridPos.y + gridPos.h),
    );
    // 1080 pixels less Grafana's own head, at 38 a line.
    expect(bottom).toBeLessThanOrEqual(22);
    const collapsed = dashboards.flatMap(({ panels: top }) =>
      top.filter((panel) => panel.collapsed === true).map(({ title }) => title),
    );
    expect(collapsed).toContain('GPU, where there is one');
    expect(collapsed).toContain('Embedded console, where it runs');
  });

  test("the stages are stacked in the ledger's order, each in its colour", () => {
    const panel = panelsOf(dashboardOf('vitrine-model')).find(({ title }) =>
      title.startsWith('Where the time goes'),
    );
    const order = panel?.transformations?.find(({ id }) => id === 'organize')?.options.indexByName ?? {};
    const shown = Object.entries(order)
      .sort(([, a], [, b]) => a - b)
      .map(([name]) => name);
    expect(shown).toEqual(['Time', ...STAGES, UNATTRIBUTED, 'total']);
    const coloured = panel?.fieldConfig?.overrides.map(({ matcher }) => matcher.options) ?? [];
    expect(coloured).toEqual(expect.arrayContaining([...STAGES, UNATTRIBUTED]));
  });
});

describe('ways', () => {
  test('lead to dashboards that exist, keep time and data sources, and fill variables that they have', () => {
    let followed = 0;
    for (const dashboard of dashboards) {
      const urls = JSON.stringify(dashboard).matchAll(/"url":"(\/d\/[^"]*)"/g);
      for (const [, url = ''] of urls) {
        const [, uid = '', query = ''] = /^\/d\/([a-z-]+)\?(.*)$/.exec(url) ?? [];
        const names = dashboardOf(uid).templating.list.map(({ name }) => name);
        expect(query).toContain('$'.concat('{__url_time_range}&'));
        for (const [, name = ''] of query.matchAll(/var-([a-z_]+)=/g)) expect(names).toContain(name);
        for (const [, name = ''] of query.matchAll(/\$\{([a-z_]+):queryparam\}/g)) {
          expect(names).toContain(name);
          if (!name.startsWith('__')) followed += 1;
        }
      }
    }
    expect(followed).toBeGreaterThan(20);
  });

  test('between all dashboards keep time and variables', () => {
    for (const { uid, tags, links } of dashboards) {
      const [others] = links;
      expect(others, uid).toMatchObject({ type: 'dashboards', includeVars: true, keepTime: true });
      expect(tags).toEqual(others?.tags);
      expect(links.every((link) => link.placement === undefined)).toBe(true);
    }
  });

  test('to traces name the service, the operation and the time', () => {
    const [link] = dashboardOf('vitrine-model').links.filter(({ type }) => type === 'link');
    const [, panes = ''] = /^\/explore\?schemaVersion=1&panes=(.*)$/.exec(link?.url ?? '') ?? [];
    expect(JSON.parse(decodeURIComponent(panes))).toEqual({
      traces: {
        datasource: '$'.concat('{jaeger_datasource}'),
        queries: [
          {
            refId: 'A',
            datasource: { type: 'jaeger', uid: '$'.concat('{jaeger_datasource}') },
            queryType: 'search',
            service: 'vitrine-gateway',
            operation: 'infer $'.concat('{model:percentencode}'),
            limit: 50,
          },
        ],
        range: { from: '$'.concat('{__from}'), to: '$'.concat('{__to}') },
      },
    });
  });
});

/** Panels of a dashboard whose description names the alert. */
function panelsThatName(alert: string, dashboard: DashboardJson): PanelJson[] {
  return panelsOf(dashboard).filter(({ description = '' }) =>
    (/\*\*Alert:\*\* (.*)$/.exec(description)?.[1] ?? '').includes(`\`${alert}\``),
  );
}

describe('alerts', () => {
  test.each(rules.map((rule) => [`${rule.name} ${rule.labels.slo ?? ''}`, rule] as const))(
    '%s leads to a dashboard, a variable and a panel that are there',
    (_, { name, dashboard: { uid, variables } }) => {
      const target = dashboardOf(uid);
      const names = target.templating.list.map((variable) => variable.name);
      expect(names).toEqual(expect.arrayContaining(Object.keys(variables)));
      expect(panelsThatName(name, target)).not.toEqual([]);
    },
  );

  function metricsOf({ expression }: AlertRule): string[] {
    return [...new Set(readingsOf(expression).map(({ metric }) => metric))];
  }

  test.each(ALERT_CATALOG.map((rule) => [rule.name, rule] as const))(
    'the panels that name %s show what it reads',
    (_, rule) => {
      const shown = panelsThatName(rule.name, dashboardOf(rule.dashboard.uid)).map(
        ({ description = '' }) => description,
      );
      for (const metric of metricsOf(rule)) {
        expect(
          shown.some((description) => description.includes(`\`${metric}\``)),
          metric,
        ).toBe(true);
      }
    },
  );

  test('the panels that name an alert of an objective show what is recorded for it', () => {
    for (const { name } of objectives.flatMap(objectiveAlerts)) {
      const panels = panelsThatName(name, dashboardOf('vitrine-objectives'));
      expect(panels.some(({ description = '' }) => description.includes('`slo:sli_error:'))).toBe(true);
    }
  });

  test('every alert that a panel names exists, and every dashboard that alerts may name', () => {
    const known = new Set(rules.map(({ name }) => name));
    for (const dashboard of dashboards) {
      for (const { description = '' } of panelsOf(dashboard)) {
        const [, named = ''] = /\*\*Alert:\*\* (.*)$/.exec(description) ?? [];
        for (const [, name = ''] of named.matchAll(/`([^`]+)`/g)) expect(known).toContain(name);
      }
    }
    const uids: Readonly<Record<DashboardUid, true>> = {
      'vitrine-overview': true,
      'vitrine-model': true,
      'vitrine-workers': true,
      'vitrine-objectives': true,
      'vitrine-telemetry': true,
    };
    expect(dashboards.map(({ uid }) => uid)).toEqual(Object.keys(uids).sort());
  });

  test('numbers of lines come from the catalogue', () => {
    expect(alertThreshold('VitrineEventLoopDelayed')).toBe(0.2);
    expect(() => alertThreshold('VitrineNothing')).toThrow('compares with no threshold');
    expect(() => alertThreshold('VitrineWatchdog')).toThrow('compares with no threshold');
  });
});

test('thresholds follow slo.yaml', () => {
  const other = readObjectives(text.replace('value: 0.05', 'value: 0.25').replaceAll('30d', '28d'), {
    path: 'slo.yaml',
    models: undefined,
  }).objectives;
  const [ours, theirs] = [objectives, other].map((all) => generatedDashboards(all)) as [
    Record<string, string>,
    Record<string, string>,
  ];
  const model = 'vitrine-model.json';
  expect(ours[model]).toContain('label_replace(0.05 * group(');
  expect(theirs[model]).toContain('label_replace(0.25 * group(');
  expect(theirs[model]).not.toContain('label_replace(0.05 * group(');
  // 2% of a period of 28 days in an hour.
  expect(ours['vitrine-objectives.json']).toContain('pages above 14.4x');
  expect(theirs['vitrine-objectives.json']).toContain('pages above 13.44x');
  expect(theirs['vitrine-overview.json']).toContain('"value": 13.44');
});

test('without an objective there are dashboards all the same', () => {
  const files = generatedDashboards([]);
  expect(Object.keys(files)).toHaveLength(6);
  expect(files['vitrine-model.json']).not.toContain('label_replace');
  expect(files['vitrine-objectives.json']).toContain('pages above 14.4x');
});

describe('colours', () => {
  const css = readFileSync(new URL('../console/web/palette.css', import.meta.url), 'utf8');

  /** Of the console's dark theme: oklch to sRGB, https://bottosson.github.io/posts/oklab/ */
  function consoleColor(name: string): string {
    const [, lch = ''] =
      new RegExp(`--${name}: light-dark\\(oklch\\([^)]*\\), oklch\\(([^)]*)\\)\\)`).exec(css) ?? [];
    const [lightness = 0, chroma = 0, hue = 0] = lch.split(' ').map((part) => Number(part.replace('%', '')));
    const [a, b] = [Math.cos, Math.sin].map((fn) => chroma * fn((hue / 180) * Math.PI)) as [number, number];
    const l = (lightness / 100 + 0.3963377774 * a + 0.2158037573 * b) ** 3;
    const m = (lightness / 100 - 0.1055613458 * a - 0.0638541728 * b) ** 3;
    const s = (lightness / 100 - 0.0894841775 * a - 1.291485548 * b) ** 3;
    const channels = [
      4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
      -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
      -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
    ].map((linear) => {
      const clamped = Math.min(1, Math.max(0, linear));
      const encoded = clamped <= 0.0031308 ? 12.92 * clamped : 1.055 * clamped ** (1 / 2.4) - 0.055;
      return Math.round(encoded * 255)
        .toString(16)
        .padStart(2, '0');
    });
    return `#${channels.join('')}`;
  }

  test.each([...STAGES, UNATTRIBUTED] as const)('%s looks as on the page of the console', (stage) => {
    expect(palette.STAGE_COLORS[stage]).toBe(consoleColor(`stage-${stage.replaceAll('_', '-')}`));
  });

  test('good, bad and doubtful look as on the page of the console', () => {
    expect([palette.GOOD, palette.BAD, palette.WARN, palette.NEUTRAL, palette.MUTED]).toEqual(
      ['good', 'bad', 'warn', 'accent', 'muted'].map(consoleColor),
    );
  });

  test('a name has one colour on all dashboards', () => {
    const seen = new Map<string, string>();
    for (const dashboard of dashboards) {
      for (const { title, fieldConfig } of panelsOf(dashboard)) {
        for (const { matcher, properties } of fieldConfig?.overrides ?? []) {
          const color = properties.find(({ id }) => id === 'color')?.value as
            | { fixedColor?: string }
            | undefined;
          if (matcher.id !== 'byName' || color?.fixedColor === undefined) continue;
          const before = seen.get(matcher.options);
          if (before !== undefined) {
            expect(color.fixedColor, `${title}: ${matcher.options}`).toBe(before);
          }
          seen.set(matcher.options, color.fixedColor);
        }
      }
    }
    expect(seen.size).toBeGreaterThan(30);
  });
});
