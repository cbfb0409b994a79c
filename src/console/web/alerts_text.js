/** What the page says of alerts and objectives, as text and order. */
import { countText, roughly } from './text.js';

/** @typedef {{name: string, state: string, severity: string, pendingSinceMs: number, firingSinceMs?: number, resolvedAtMs?: number, labels: Readonly<Record<string, string>>}} AlertTimes */

const RANK = { firing: 0, pending: 1, resolved: 2 };
const SEVERITY_RANK = { page: 0, ticket: 1, info: 2 };
const LABELS_LEFT_OUT = new Set(['alertname', 'severity', 'system']);

/** @param {Readonly<Record<string, number>>} ranks @param {string} key */
const rankOf = (ranks, key) => ranks[key] ?? 9;

/**
 * Firing first, of those the severest and then the newest; what ended last before what ended earlier.
 * @template {AlertTimes} A
 * @param {readonly A[]} alerts
 * @returns {A[]}
 */
export function sortAlerts(alerts) {
  /** @param {A} alert */
  const sinceMs = (alert) => alert.resolvedAtMs ?? alert.firingSinceMs ?? alert.pendingSinceMs;
  return [...alerts].sort(
    (a, b) =>
      rankOf(RANK, a.state) - rankOf(RANK, b.state) ||
      (a.state === 'resolved' ? 0 : rankOf(SEVERITY_RANK, a.severity) - rankOf(SEVERITY_RANK, b.severity)) ||
      sinceMs(b) - sinceMs(a),
  );
}

/** How long an alert has lasted. @param {AlertTimes} alert @param {number} nowMs */
export function alertTimes(alert, nowMs) {
  const sinceMs = alert.firingSinceMs ?? alert.pendingSinceMs;
  if (alert.state === 'resolved') {
    const endMs = alert.resolvedAtMs ?? nowMs;
    return `ended ${roughly(nowMs - endMs)} ago, after ${roughly(endMs - sinceMs)}`;
  }
  return alert.state === 'firing'
    ? `fires for ${roughly(nowMs - sinceMs)}`
    : `pending for ${roughly(nowMs - sinceMs)}`;
}

/**
 * Evidence without its line that names the slowest trace by its address: the page has links.
 * @param {string} text
 */
export function evidenceText(text) {
  return text
    .split('\n')
    .filter((line) => !line.startsWith('Slowest: '))
    .join('\n');
}

/** The labels that tell where. @param {AlertTimes} alert @returns {[string, string][]} */
export function placeLabels(alert) {
  return Object.entries(alert.labels).filter(([label]) => !LABELS_LEFT_OUT.has(label));
}

/**
 * A matcher for exactly this alert, as the console reads it.
 * @param {AlertTimes} alert
 */
export function matcherText(alert) {
  return [['name', alert.name], ...placeLabels(alert)]
    .map(([label, value]) => `${label}=${/^[^\s,"=]+$/.test(value ?? '') ? value : JSON.stringify(value)}`)
    .join(', ');
}

/** A share as a percentage that shows what matters near 1: `99.95 %`. @param {number} ratio */
export function percentText(ratio) {
  const percent = ratio * 100;
  const digits = percent > 99 && percent < 100 ? 3 : 1;
  return `${Number(percent.toFixed(digits))} %`.replace('-', '−');
}

/** What is left of a budget, or how much more than all of it is gone. @param {number | null | undefined} left */
export function budgetText(left) {
  if (left === null || left === undefined || !Number.isFinite(left)) return 'No queries yet';
  return left > 0
    ? `${percentText(left)} of the budget left`
    : `${Number((1 - left).toPrecision(3))}× the budget used`;
}

/** A window as rules name it: `5 min`, `6 h`, `3 days`. @param {number} seconds */
export function windowText(seconds) {
  if (seconds % 86_400 === 0) return countText(seconds / 86_400, 'day');
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  return seconds % 60 === 0 ? `${seconds / 60} min` : `${Number(seconds.toFixed(3))} s`;
}

/**
 * The corners of the budget's line, from side to side of a box of that size; full budget is at the top, and below 0 at
 * the bottom.
 * @param {readonly {readonly atMs: number, readonly budgetLeft: number}[]} history
 * @param {{readonly width: number, readonly height: number}} box
 */
export function budgetLine(history, { width, height }) {
  const startMs = history[0]?.atMs ?? 0;
  const lastsMs = Math.max(1, (history.at(-1)?.atMs ?? 0) - startMs);
  return history
    .map(({ atMs, budgetLeft }) => {
      const x = ((atMs - startMs) / lastsMs) * width;
      const y = (1 - Math.min(1, Math.max(0, budgetLeft))) * height;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}
