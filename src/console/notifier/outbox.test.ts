import { expect, test } from 'vitest';
import type { AlertInstance } from '../../contract/alerts.ts';
import { openNotifierDatabase } from './notifier_database.ts';
import { Outbox } from './outbox.ts';

function alert(fingerprint: string, firingSinceMs: number): AlertInstance {
  return {
    fingerprint,
    name: 'Slow',
    severity: 'page',
    state: 'firing',
    labels: { alertname: 'Slow' },
    annotations: {},
    value: 1,
    pendingSinceMs: firingSinceMs,
    firingSinceMs,
    resolvedAtMs: undefined,
    evidence: undefined,
    acknowledged: undefined,
    silencedBy: undefined,
    inhibitedBy: undefined,
  };
}

test('beyond the limit the oldest of those that are over go first, told before untold, and untold ones count', () => {
  using store = openNotifierDatabase(':memory:', () => {}, 0);
  const outbox = new Outbox(store, 5);
  outbox.fire(alert('open', 1), 1);
  for (const [fingerprint, atMs] of [
    ['told', 3],
    ['untold', 2],
  ] as const) {
    outbox.fire(alert(fingerprint, atMs), atMs);
    outbox.resolve(alert(fingerprint, atMs), atMs);
  }
  outbox.delivered(
    outbox.all().filter(({ fingerprint }) => fingerprint === 'told'),
    4,
  );
  outbox.fire(alert('new', 5), 5);
  const kept = (): string[] => [...new Set(outbox.all().map(({ fingerprint }) => fingerprint))].sort();
  expect(kept()).toEqual(['new', 'open', 'untold']);
  expect(outbox.dropped).toBe(0);
  outbox.fire(alert('newer', 6), 6);
  outbox.fire(alert('newest', 7), 7);
  expect(kept()).toEqual(['new', 'newer', 'newest', 'open']);
  expect(outbox.dropped).toBe(2);
});

test('what a full disk refuses is written when there is room again', () => {
  const notices: string[] = [];
  using store = openNotifierDatabase(':memory:', (notice) => notices.push(notice), 0);
  const outbox = new Outbox(store);
  store.database.exec('PRAGMA max_page_count = 1');
  for (let at = 0; at < 300; at += 1) outbox.fire(alert(`a${at}`, at), at);
  expect(outbox.save()).toBe(false);
  expect(outbox.save()).toBe(false);
  expect(notices).toHaveLength(1);
  expect(new Outbox(store).size).toBe(0);
  store.database.exec('PRAGMA max_page_count = 100000');
  expect(outbox.save()).toBe(true);
  expect(new Outbox(store).size).toBe(300);
  expect(notices.at(-1)).toContain('can write again');
});
