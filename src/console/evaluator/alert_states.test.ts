import { expect, test } from 'vitest';
import { type ActiveAlert, stepAlerts } from './alert_states.ts';
import type { Vector } from './vector.ts';

const RULE = { forS: 60, keepFiringForS: 30 };

function of(...pairs: [string, number][]): Vector {
  return new Map(pairs.map(([model, value]) => [model, { labels: { model }, value }]));
}

/** Steps every 15 s; each entry is the value at that step, undefined for no element. */
function play(rule: typeof RULE, values: readonly (number | undefined)[]): string[] {
  let alerts: ReadonlyMap<string, ActiveAlert> = new Map();
  return values.map((value, index) => {
    const step = stepAlerts(rule, alerts, value === undefined ? of() : of(['a', value]), index * 15_000);
    alerts = step.alerts;
    const state = alerts.get('a');
    const now = state === undefined ? '-' : state.firingSinceMs === undefined ? 'pending' : 'firing';
    return [now, ...step.changes.map(({ kind }) => `(${kind})`)].join(' ');
  });
}

test('pending, firing once it has held long enough, kept firing for a while, resolved', () => {
  expect(play(RULE, [undefined, 1, 2, 3, 4, 5, undefined, undefined, undefined, undefined])).toEqual([
    '-',
    'pending (pending)',
    'pending',
    'pending',
    'pending',
    'firing (firing)',
    'firing',
    'firing',
    '- (resolved)',
    '-',
  ]);
});

test('what is gone before it fires was nothing, and begins anew', () => {
  expect(play(RULE, [1, 1, 1, undefined, 1, 1, 1, 1, 1])).toEqual([
    'pending (pending)',
    'pending',
    'pending',
    '-',
    'pending (pending)',
    'pending',
    'pending',
    'pending',
    'firing (firing)',
  ]);
});

test('what comes back while it is kept firing never stopped, and has its whole time again', () => {
  const rule = { forS: 0, keepFiringForS: 30 };
  expect(play(rule, [1, undefined, 1, undefined, undefined, undefined])).toEqual([
    'firing (firing)',
    'firing',
    'firing',
    'firing',
    'firing',
    '- (resolved)',
  ]);
});

test('without keep-firing it resolves at once, without a hold it fires at once', () => {
  expect(play({ forS: 0, keepFiringForS: 0 }, [1, undefined])).toEqual(['firing (firing)', '- (resolved)']);
});

test('identity is the labels: the number changes nothing', () => {
  const first = stepAlerts(RULE, new Map(), of(['a', 1], ['b', 1]), 0);
  const second = stepAlerts(RULE, first.alerts, of(['a', 99]), 60_000);
  expect(second.changes.map(({ kind, alert }) => [kind, alert.key])).toEqual([['firing', 'a']]);
  expect(second.alerts.get('a')).toMatchObject({ value: 99, activeSinceMs: 0, firingSinceMs: 60_000 });
  expect(second.alerts.has('b')).toBe(false);
});
