/**
 * The alert catalogue: every alert that does not derive from an objective, once. Rules for Prometheus, the
 * evaluator's plan and the table of alerts are made from it. A new alert is an entry here, a page in
 * docs/runbooks and scenarios in alert_scenarios.ts; a test asks for all three.
 */
import type { AlertRule } from './alert.ts';
import { PROCESS_ALERTS } from './process_alerts.ts';
import { QUERY_ALERTS } from './query_alerts.ts';
import { TELEMETRY_ALERTS } from './telemetry_alerts.ts';

export const ALERT_CATALOG: readonly AlertRule[] = [...QUERY_ALERTS, ...PROCESS_ALERTS, ...TELEMETRY_ALERTS];
