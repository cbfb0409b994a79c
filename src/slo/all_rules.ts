/** Every alert of an installation: the catalogue and what follows from its objectives. */
import type { AlertRule } from './alert.ts';
import { ALERT_CATALOG } from './alert_catalog.ts';
import type { Objective } from './objective.ts';
import { objectiveAlerts } from './objective_alerts.ts';

export function allRules(objectives: readonly Objective[]): AlertRule[] {
  return [...ALERT_CATALOG, ...objectives.flatMap(objectiveAlerts)];
}

/** `<name>`, or `<name>/<slo>` for a rule of an objective; unique among all rules. */
export function ruleId(rule: AlertRule): string {
  return rule.labels.slo === undefined ? rule.name : `${rule.name}/${rule.labels.slo}`;
}

/** The labels of each of its alerts, besides those of the element. */
export function ruleLabels(rule: AlertRule): Record<string, string> {
  return { alertname: rule.name, ...rule.labels, severity: rule.severity };
}
