/** Files that are made from code and committed: each with what makes it. Deterministic on every machine. */
import { readFileSync } from 'node:fs';
import { configurationDocs } from '../config/docs.ts';
import { DEFAULT_LINKS, generatedAlerts } from '../slo/generated_alerts.ts';
import { formatObjectiveProblem, readObjectives } from '../slo/objectives.ts';
import { renderTelemetryDocs } from '../telemetry/docs.ts';

/** Rules, their tests and alertmanager.yml below alerts/, from slo.yaml. */
function alertFiles(): Record<string, () => string> {
  const text = readFileSync(new URL('../../slo.yaml', import.meta.url), 'utf8');
  const { objectives, problems } = readObjectives(text, { path: 'slo.yaml', models: undefined });
  if (problems.length > 0) throw new Error(problems.map(formatObjectiveProblem).join('\n'));
  return Object.fromEntries(
    Object.entries(generatedAlerts(objectives, { timeScale: 1, links: DEFAULT_LINKS })).map(
      ([path, content]) => [`alerts/${path}`, () => content],
    ),
  );
}

/** By path from the top of the repository. */
export const GENERATED_FILES: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configurationDocs,
  'docs/telemetry.md': renderTelemetryDocs,
  ...alertFiles(),
};
