/** What proves the alerts of the catalogue: for each that it fires, stays silent next to its edge, and clears. */
import { PROCESS_SCENARIOS } from './process_scenarios.ts';
import { QUERY_SCENARIOS } from './query_scenarios.ts';
import type { Scenario } from './scenario.ts';
import { TELEMETRY_SCENARIOS } from './telemetry_scenarios.ts';

export const ALERT_SCENARIOS: readonly Scenario[] = [
  ...QUERY_SCENARIOS,
  ...PROCESS_SCENARIOS,
  ...TELEMETRY_SCENARIOS,
];
