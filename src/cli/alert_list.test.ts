import { expect, test } from 'vitest';
import type { AlertInstance } from '../contract/alerts.ts';
import { alertList } from './alert_list.ts';

const NOW_MS = Date.UTC(2026, 0, 2, 3);
const ALERT: AlertInstance = {
  fingerprint: '0123456789abcdef',
  name: 'VitrineWorkerDown',
  severity: 'page',
  state: 'firing',
  labels: { alertname: 'VitrineWorkerDown', severity: 'page', system: 'vitrine', worker: 'worker-2' },
  annotations: {
    summary: 'worker-2 is down',
    description: 'It has not answered.',
    runbook_url: 'docs/worker-down',
  },
  value: 0,
  pendingSinceMs: NOW_MS - 300_000,
  firingSinceMs: NOW_MS - 240_000,
  resolvedAtMs: undefined,
  evidence: undefined,
  acknowledged: undefined,
  silencedBy: undefined,
  inhibitedBy: undefined,
};

test('firing alerts first, with what holds them back, then silences', () => {
  const pending = { ...ALERT, name: 'Later', state: 'pending', firingSinceMs: undefined } as const;
  const silence = {
    id: 'aabbccdd',
    matcher: { worker: 'worker-2' },
    reason: 'new disk',
    by: 'ops',
    startsAtMs: NOW_MS,
    endsAtMs: NOW_MS + 7_200_000,
  };
  expect(alertList([pending, { ...ALERT, silencedBy: 'aabbccdd' }], [silence], NOW_MS)).toBe(
    `FIRING  page  VitrineWorkerDown  for 4 min  [0123456789abcdef]
  worker-2 is down
  It has not answered.
  worker=worker-2
  silenced by aabbccdd
  docs/worker-down

PENDING  page  Later  holds for 5 min, not long enough yet  [0123456789abcdef]
  worker-2 is down
  It has not answered.
  worker=worker-2
  docs/worker-down

SILENCE  aabbccdd  worker=worker-2  ends in 2 h  by ops: new disk`,
  );
});

test('the alert that always fires is nothing to list, and no text commands the terminal', () => {
  expect(alertList([{ ...ALERT, name: 'VitrineWatchdog' }], [], NOW_MS)).toBe('Nothing fires.');
  const hostile = { ...ALERT, annotations: { summary: 'a\u001b[2Jb' } };
  expect(alertList([hostile], [], NOW_MS)).not.toContain('\u001b');
});
