/** Files that are made from code and committed: each with what makes it. Deterministic on every machine. */
import { readFileSync } from 'node:fs';
import { configurationDocs } from '../config/docs.ts';
import { generatedDashboards } from '../grafana/generated_dashboards.ts';
import { DEFAULT_LINKS, generatedAlerts } from '../slo/generated_alerts.ts';
import type { Objective } from '../slo/objective.ts';
import { formatObjectiveProblem, readObjectives } from '../slo/objectives.ts';
import { renderTelemetryDocs } from '../telemetry/docs.ts';

function readSlo(): readonly Objective[] {
  const text = readFileSync(new URL('../../slo.yaml', import.meta.url), 'utf8');
  const { objectives, problems } = readObjectives(text, { path: 'slo.yaml', models: undefined });
  if (problems.length > 0) throw new Error(problems.map(formatObjectiveProblem).join('\n'));
  return objectives;
}

function below(folder: string, files: Readonly<Record<string, string>>): Record<string, () => string> {
  return Object.fromEntries(
    Object.entries(files).map(([path, content]) => [`${folder}/${path}`, () => content]),
  );
}

const OBJECTIVES = readSlo();

/** By path from the top of the repository. */
export const GENERATED_FILES: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configurationDocs,
  'docs/telemetry.md': renderTelemetryDocs,
  ...below('alerts', generatedAlerts(OBJECTIVES, { timeScale: 1, links: DEFAULT_LINKS })),
  ...below('dashboards', generatedDashboards(OBJECTIVES)),
};
