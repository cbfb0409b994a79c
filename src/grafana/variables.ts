/** What Grafana replaces in expressions and links. https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/ */

type Format = 'percentencode' | 'queryparam';

/** `${name}`, or `${name:format}`. */
export function variable(name: string, format?: Format): string {
  return `\${${name}${format === undefined ? '' : `:${format}`}}`;
}

/** In a link of a table's cell: its value, for an address. */
export const CELL = variable('__value.raw', 'percentencode');

/** In a link of a series: the value of its label, for an address. */
export function seriesLabel(label: string): string {
  return variable(`__field.labels.${label}`, 'percentencode');
}
