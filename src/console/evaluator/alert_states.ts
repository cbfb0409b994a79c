/**
 * The state of every alert of one rule, by the rule of slo/alert.ts (Prometheus's own):
 *
 *   inactive → pending, active since t; pending → firing at once when it has been active for `forS`.
 *   pending without its element → inactive, without a word.
 *   firing without its element → stays firing for `keepFiringForS`, then resolved.
 *
 * Pure: what was, and what holds now, in; what is, and what changed, out. The number is not part of identity.
 */
import type { AlertRule } from '../../slo/alert.ts';
import type { Vector } from './vector.ts';

export interface ActiveAlert {
  /** Key of its labels; equal labels have equal keys. */
  readonly key: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly activeSinceMs: number;
  /** Undefined while pending. */
  readonly firingSinceMs: number | undefined;
  /** First evaluation without its element, while it keeps firing. */
  readonly goneSinceMs: number | undefined;
}

export interface AlertChange {
  readonly kind: 'pending' | 'firing' | 'resolved';
  readonly alert: ActiveAlert;
}

export interface AlertStep {
  readonly alerts: ReadonlyMap<string, ActiveAlert>;
  readonly changes: readonly AlertChange[];
}

/**
 * One evaluation.
 * @param before alerts of this rule as the last evaluation left them
 * @param elements for which the rule's expression holds at timeMs
 */
export function stepAlerts(
  rule: Pick<AlertRule, 'forS' | 'keepFiringForS'>,
  before: ReadonlyMap<string, ActiveAlert>,
  elements: Vector,
  timeMs: number,
): AlertStep {
  const alerts = new Map<string, ActiveAlert>();
  const changes: AlertChange[] = [];
  for (const [key, { labels, value }] of elements) {
    const known = before.get(key);
    let alert: ActiveAlert =
      known === undefined
        ? { key, labels, value, activeSinceMs: timeMs, firingSinceMs: undefined, goneSinceMs: undefined }
        : { ...known, value, goneSinceMs: undefined };
    if (known === undefined && rule.forS > 0) changes.push({ kind: 'pending', alert });
    if (alert.firingSinceMs === undefined && timeMs - alert.activeSinceMs >= rule.forS * 1000) {
      alert = { ...alert, firingSinceMs: timeMs };
      changes.push({ kind: 'firing', alert });
    }
    alerts.set(key, alert);
  }
  for (const [key, alert] of before) {
    if (elements.has(key) || alert.firingSinceMs === undefined) continue;
    const goneSinceMs = alert.goneSinceMs ?? timeMs;
    if (timeMs - goneSinceMs < rule.keepFiringForS * 1000) alerts.set(key, { ...alert, goneSinceMs });
    else changes.push({ kind: 'resolved', alert: { ...alert, goneSinceMs } });
  }
  return { alerts, changes };
}
