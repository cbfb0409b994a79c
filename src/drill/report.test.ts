import { expect, test } from 'vitest';
import { type DrillAlertTimes, type DrillReport, drillsPage, formatStep, formatVerdict } from './report.ts';

const REPORT: DrillReport = {
  drill: 'errors',
  model: 'langid',
  timeScale: 60,
  passed: true,
  missing: [],
  steps: [],
  faultAtMs: 1000,
  alerts: [
    {
      name: 'VitrineErrorSurge',
      fingerprint: '0123456789abcdef',
      labels: {},
      pendingAfterMs: 800,
      firingAfterMs: 1800,
      clearedAfterMs: null,
    },
  ],
  evidence: 'all fail\nWhere: worker-1',
};

test('seconds count from the fault, and further lines stand below the first', () => {
  expect(formatStep({ kind: 'load', atMs: 1000, detail: 'x' }, 9600)).toBe('   -8.6 s  load              x');
  expect(formatStep({ kind: 'evidence', atMs: 3000, detail: 'one\ntwo' }, 1000)).toBe(
    '   +2.0 s  evidence          one\n                             two',
  );
});

test('the verdict has what is missing', () => {
  expect(formatVerdict(REPORT)).toBe('errors: passed');
  expect(formatVerdict({ ...REPORT, passed: false, missing: ['no evidence'] })).toBe(
    'errors: FAILED\n  no evidence',
  );
});

test('the page has a row for each alert, the times of the drill in the first, and the evidence as it arrived', () => {
  const [alert] = REPORT.alerts;
  const page = drillsPage(
    [
      {
        ...REPORT,
        steps: [
          { kind: 'first_slow', atMs: 1250, detail: '560 ms' },
          { kind: 'evidence', atMs: 4000, detail: 'all fail' },
          { kind: 'checked', atMs: 5000, detail: 'all is well' },
          { kind: 'lifted', atMs: 6000, detail: 'gone' },
        ],
        alerts: [
          alert as DrillAlertTimes,
          { ...(alert as DrillAlertTimes), name: 'Other', clearedAfterMs: 90 },
        ],
      },
      { ...REPORT, drill: 'hang', evidence: null },
    ],
    { workers: 2, summaryOf: () => 'every batch fails' },
  );
  expect(page).toContain(
    '| [errors](#errors) | 0.3 s | VitrineErrorSurge | 0.8 s | 1.8 s | 3.0 s | 5.0 s | |',
  );
  expect(page).toContain('| | | Other | 0.8 s | 1.8 s | | | 0.1 s |');
  expect(page).toContain('| [hang](#hang) | | VitrineErrorSurge |');
  expect(page).toContain('2 workers, under load on `langid`');
  expect(page).toContain('at a time scale of 60');
  expect(page).toContain(
    'Here every batch fails.\n\nThe evidence, as it arrived:\n\n```text\nall fail\nWhere: worker-1\n```\n\n- all is well\n',
  );
});
