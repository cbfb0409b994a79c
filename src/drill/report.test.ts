import { expect, test } from 'vitest';
import { type DrillReport, drillsPage, formatStep, formatVerdict } from './report.ts';

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

test('the page has a row for each alert, and the evidence as it arrived', () => {
  const page = drillsPage([REPORT], () => 'every batch fails');
  expect(page).toContain('| `errors` | VitrineErrorSurge | 0.8 s | 1.8 s | never | passed |');
  expect(page).toContain('at a time scale of 60');
  expect(page).toContain('Here every batch fails.\n\n');
  expect(page).toContain('```text\nall fail\nWhere: worker-1\n```');
});
