/**
 * A cause silences its symptoms: while an alert fires whose rule inhibits others, those with equal labels are not
 * notified. As in Alertmanager, a cause does so also while it is itself silenced or inhibited.
 */
import type { AlertInstance } from '../../contract/alerts.ts';
import type { AlertRule } from '../../slo/alert.ts';

/** @returns for each alert that is held back, the fingerprint of its cause; of several the one that fired first */
export function findInhibited(
  firing: readonly AlertInstance[],
  inhibitsOf: (fingerprint: string) => AlertRule['inhibits'],
): ReadonlyMap<string, string> {
  const held = new Map<string, string>();
  const causes = firing
    .map((cause) => ({ cause, inhibits: inhibitsOf(cause.fingerprint) }))
    .filter(({ inhibits }) => inhibits.length > 0)
    .sort((a, b) => (a.cause.firingSinceMs ?? 0) - (b.cause.firingSinceMs ?? 0));
  for (const symptom of firing) {
    const found = causes.find(
      ({ cause, inhibits }) =>
        cause.fingerprint !== symptom.fingerprint &&
        inhibits.some(
          ({ silences, equal }) =>
            silences.includes(symptom.name) &&
            equal.every((label) => cause.labels[label] === symptom.labels[label]),
        ),
    );
    if (found !== undefined) held.set(symptom.fingerprint, found.cause.fingerprint);
  }
  return held;
}
