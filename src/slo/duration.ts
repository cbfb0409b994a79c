/** Durations as Prometheus writes them: `5m`, `1h`, `1d`, `90s`, `2500ms`. */

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
];

/**
 * In the largest unit that divides it, to the millisecond: 300 is `5m`, 90 is `90s`, 0.25 is `250ms`.
 * @param seconds from 0; 0 is `0s`
 */
export function durationText(seconds: number): string {
  const ms = Math.round(seconds * 1000);
  if (ms === 0) return '0s';
  for (const [unit, unitMs] of UNITS) if (ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  return `${ms}ms`;
}

const SHORTHAND_S: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 };

/**
 * OpenSLO's shorthand for a duration, a whole number and a unit: `30d`, `4w`, `720h`.
 * @returns seconds, or undefined when the text is none; months, quarters and years have no fixed length
 */
export function parseDurationShorthand(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const seconds = Number(digits) * (SHORTHAND_S[unit] ?? 0);
  return seconds > 0 ? seconds : undefined;
}
