import { expect, test } from 'vitest';
import {
  alertTimes,
  budgetLine,
  budgetText,
  evidenceText,
  matcherText,
  percentText,
  sortAlerts,
  windowText,
} from './alerts_text.js';

const NOW_MS = Date.UTC(2026, 0, 2, 3);
const alert = (name: string, state: string, minutesAgo: number, severity = 'page') => ({
  name,
  state,
  severity,
  labels: { alertname: name, severity, system: 'vitrine', worker: 'worker-1', note: 'a, "b"' },
  pendingSinceMs: NOW_MS - (minutesAgo + 1) * 60_000,
  ...(state === 'pending' ? {} : { firingSinceMs: NOW_MS - minutesAgo * 60_000 }),
  ...(state === 'resolved' ? { resolvedAtMs: NOW_MS - 60_000 * Math.floor(minutesAgo / 2) } : {}),
});

test('what fires comes first, the severest and newest of it; then what is pending, then what ended last', () => {
  const alerts = [
    alert('ended early', 'resolved', 40),
    alert('ended late', 'resolved', 10),
    alert('pending', 'pending', 1),
    alert('ticket', 'firing', 1, 'ticket'),
    alert('old page', 'firing', 9),
    alert('new page', 'firing', 2),
  ];
  expect(sortAlerts(alerts).map(({ name }) => name)).toEqual([
    'new page',
    'old page',
    'ticket',
    'pending',
    'ended late',
    'ended early',
  ]);
});

test('times say how long', () => {
  expect(alertTimes(alert('a', 'firing', 5), NOW_MS)).toBe('fires for 5 min');
  expect(alertTimes(alert('a', 'resolved', 10), NOW_MS)).toBe('ended 5 min ago, after 5 min');
});

test('a matcher of one alert quotes what the console would read otherwise', () => {
  expect(matcherText(alert('Slow', 'firing', 1))).toBe('name=Slow, worker=worker-1, note="a, \\"b\\""');
});

test('evidence leaves out what the page has as links', () => {
  expect(evidenceText('compute takes 2 s.\nWhere: a.\nSlowest: 2 s, http://c/trace/1')).toBe(
    'compute takes 2 s.\nWhere: a.',
  );
});

test('figures', () => {
  expect([0.9995, 0.5, 1, -0.25].map(percentText)).toEqual(['99.95 %', '50 %', '100 %', '−25 %']);
  expect([0.69, 0.9998, 0, -0.25, -29.969, undefined].map(budgetText)).toEqual([
    '69 % of the budget left',
    '99.98 % of the budget left',
    '1× the budget used',
    '1.25× the budget used',
    '31× the budget used',
    'No queries yet',
  ]);
  expect([300, 21_600, 86_400, 259_200, 2.5].map(windowText)).toEqual([
    '5 min',
    '6 h',
    '1 day',
    '3 days',
    '2.5 s',
  ]);
});

test('the line of the budget stays in its box', () => {
  const box = { width: 100, height: 50 };
  const history = [
    { atMs: 20_000, budgetLeft: 1 },
    { atMs: 25_000, budgetLeft: 0.5 },
    { atMs: 30_000, budgetLeft: -3 },
  ];
  expect(budgetLine(history, box)).toBe('0.0,0.0 50.0,25.0 100.0,50.0');
  expect(budgetLine([], box)).toBe('');
});
