/** Tables: one row per value of a label, one column per query. */
import * as common from '@grafana/grafana-foundation-sdk/common';
import type { DynamicConfigValue } from '@grafana/grafana-foundation-sdk/dashboard';
import * as tablePanel from '@grafana/grafana-foundation-sdk/table';
import { begin, type Link, type SizedPanel, type Steps, target, thresholds, type Unit } from './panel.ts';
import type { Expr } from './promql.ts';

export interface Column {
  readonly title: string;
  readonly expr: Expr;
  readonly unit: Unit;
  readonly decimals?: number;
  /** Colours the cell. */
  readonly steps?: Steps;
  readonly width?: number;
  /** What its cells say when there is no number; as the table unless told. */
  readonly none?: string;
}

export interface TableSpec {
  readonly title: string;
  readonly shows: string;
  readonly bad: string;
  readonly alerts?: readonly string[];
  /** The label of the rows, and what its column is called. */
  readonly row: { readonly label: string; readonly title: string; readonly links: readonly Link[] };
  readonly columns: readonly Column[];
  /** Title of the column, largest first unless told otherwise. */
  readonly sortBy: { readonly title: string; readonly ascending?: boolean };
  /** What a cell says when there is no number. */
  readonly none: string;
  readonly width: number;
  readonly height?: number;
}

function refId(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

/** Grafana's name of a query's column, once several are joined. */
function valueColumn(index: number, count: number): string {
  return count === 1 ? 'Value' : `Value #${refId(index)}`;
}

function columnProperties({ unit, decimals, steps, width, none }: Column): DynamicConfigValue[] {
  return [
    { id: 'unit', value: unit },
    ...(decimals === undefined ? [] : [{ id: 'decimals', value: decimals }]),
    ...(none === undefined ? [] : [{ id: 'noValue', value: none }]),
    ...(width === undefined ? [] : [{ id: 'custom.width', value: width }]),
    ...(steps === undefined
      ? []
      : [
          { id: 'thresholds', value: thresholds(steps).build() },
          { id: 'color', value: { mode: 'thresholds' } },
          { id: 'custom.cellOptions', value: { type: common.TableCellDisplayMode.ColorText } },
        ]),
  ];
}

/** Each query has to keep `row.label` alone, and gives one column. */
export function table({ row, columns, sortBy, none, width, height = 8, ...told }: TableSpec): SizedPanel {
  const queries = columns.map(({ title, expr }) => ({ expr, legend: title }));
  const panel = begin(new tablePanel.PanelBuilder(), { ...told, queries, width })
    .unit('short')
    .noValue(none)
    .cellHeight(common.TableCellHeight.Sm)
    .showHeader(true)
    .sortBy([
      new common.TableSortByFieldStateBuilder().displayName(sortBy.title).desc(sortBy.ascending !== true),
    ]);
  const times = columns.map((_, index) => (columns.length === 1 ? 'Time' : `Time ${index + 1}`));
  const order = [row.label, ...columns.map((_, index) => valueColumn(index, columns.length))];
  panel
    .withTransformation({ id: 'joinByField', options: { byField: row.label, mode: 'outer' } })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(['Time', ...times].map((name) => [name, true])),
        indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
        renameByName: Object.fromEntries(
          order.map((name, index) => [
            name,
            [row.title, ...columns.map(({ title }) => title)][index] ?? name,
          ]),
        ),
      },
    });
  panel.overrideByName(row.title, [
    { id: 'links', value: row.links.map(({ title, url }) => ({ title, url })) },
  ]);
  for (const column of columns) panel.overrideByName(column.title, columnProperties(column));
  for (const [index, query] of queries.entries()) {
    panel.withTarget(target(query, 'table').refId(refId(index)));
  }
  return { panel: panel.build(), width, height };
}
