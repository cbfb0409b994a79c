import { describe, expect, test } from 'vitest';
import { WORKER_STAGES } from './stages.ts';
import { formatWorkerReport, parseWorkerReport, type WorkerReport } from './worker_report.ts';

const stagesMs = WORKER_STAGES.map((_, index) => (index === 2 ? -1 : (index * 1_234_567) / 1e6));
const report: WorkerReport = {
  totalMs: 12.345678,
  stagesMs,
  version: '3',
  worker: 'worker-1',
  eventLoopDelayMs: 0.5,
  batchRows: 7,
};
const text = formatWorkerReport(report);

describe('a report', () => {
  test('is read as it was written, to the nanosecond', () => {
    expect(parseWorkerReport(text)).toEqual(report);
  });

  test('loses what a header could misread', () => {
    const odd = formatWorkerReport({ ...report, version: '1;v=2', worker: 'a\r\nb' });
    expect(parseWorkerReport(odd)).toEqual({ ...report, version: '1v2', worker: 'ab' });
  });

  test.each([
    ['nothing', undefined],
    ['an empty text', ''],
    ['another version', text.replace(/^2/, '1')],
    ['a field that is missing', text.replace(';w=worker-1', '')],
    ['fields in another order', text.replace(';v=3;w=worker-1', ';w=worker-1;v=3')],
    ['a stage too few', text.replace(',', '')],
    ['a stage too many', text.replace(';v=', ',1;v=')],
    ['a duration that is none', text.replace('t=12345678', 't=12.5')],
    ['a negative duration', text.replace('t=12345678', 't=-5')],
    ['no total', text.replace('t=12345678', 't=')],
    ['a duration beyond any', text.replace('t=12345678', `t=${'9'.repeat(30)}`)],
    ['rows that are no number', text.replace('b=7', 'b=x')],
    ['no rows', text.replace('b=7', 'b=')],
    ['a text beyond the limit', `${text}${' '.repeat(2000)}`],
  ])('is not seen in %s', (_, header) => {
    expect(parseWorkerReport(header)).toBeUndefined();
  });
});
