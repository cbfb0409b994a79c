/** Every dashboard as the file that Grafana reads. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Objective } from '../slo/objective.ts';
import { lintFile } from './lint_exclusions.ts';
import { model } from './model.ts';
import { objectives } from './objectives.ts';
import { overview } from './overview.ts';
import { telemetry } from './telemetry.ts';
import { workers } from './workers.ts';

function allDashboards(all: readonly Objective[]): Dashboard[] {
  return [overview(all), model(all), workers(), objectives(all), telemetry()];
}

/** Text by path below the output folder, equal on every machine; named by uid. */
export function generatedDashboards(all: readonly Objective[]): Record<string, string> {
  const dashboards = allDashboards(all);
  return {
    ...Object.fromEntries(
      dashboards.map((dashboard) => [`${dashboard.uid}.json`, `${JSON.stringify(dashboard, null, 2)}\n`]),
    ),
    '.lint': lintFile(dashboards),
  };
}
