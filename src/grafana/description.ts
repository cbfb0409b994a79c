/** What a panel says of itself behind its `i`: what it shows, what bad looks like, its metrics and its alerts. */
import type { Expr } from './promql.ts';

interface Told {
  readonly shows: string;
  readonly bad: string;
  readonly alerts?: readonly string[];
}

function code(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

/** Markdown. Metrics come from the expressions, so none can be forgotten. */
export function describe({ shows, bad, alerts = [] }: Told, exprs: readonly Expr[]): string {
  const metrics = [...new Set(exprs.flatMap((expr) => expr.metrics))];
  return [
    shows,
    `**Bad:** ${bad}`,
    `**Metric:** ${code(metrics)}`,
    ...(alerts.length === 0 ? [] : [`**Alert:** ${code(alerts)}`]),
  ].join('\n\n');
}
