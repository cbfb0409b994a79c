/** Files that are made from code and committed: each with what makes it. Deterministic on every machine. */
import { configurationDocs } from '../config/docs.ts';
import { renderTelemetryDocs } from '../telemetry/docs.ts';

/** By path from the top of the repository. */
export const GENERATED_FILES: Readonly<Record<string, () => string>> = {
  'docs/configuration.md': configurationDocs,
  'docs/telemetry.md': renderTelemetryDocs,
};
