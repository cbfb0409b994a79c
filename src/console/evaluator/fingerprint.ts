import { createHash } from 'node:crypto';

/** The identity of an alert: 16 hex digits of a hash over its labels in the order of their names. */
export function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  const sorted = Object.keys(labels)
    .sort()
    .map((name) => [name, labels[name]]);
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16);
}
