/**
 * The worker's report: what a worker tells the gateway of the time it spent on one attempt, in the answer's
 * header `x-vitrine-report`. Only durations cross the process boundary, so clock skew never enters.
 *
 * Form: `1;t=<total us>;s=<us>,<us>,...;v=<version>;w=<instance>;d=<loop delay us>;b=<batch rows>`: one
 * duration per stage in the order of WORKER_STAGES, empty where a stage did not happen. Microseconds with
 * up to three decimals.
 */
import { formatThousandths } from './decimal.ts';
import { WORKER_STAGES } from './stages.ts';

export interface WorkerReport {
  /** Headers parsed to headers written, in milliseconds. */
  readonly totalMs: number;
  /** By index of WORKER_STAGES, in milliseconds; -1 where the stage did not happen. */
  readonly stagesMs: readonly number[] | Float64Array;
  /** The model version that answered; empty when none did. */
  readonly version: string;
  /** The worker's service.instance.id. */
  readonly worker: string;
  /** The largest event-loop delay that the query met at the worker, in milliseconds. */
  readonly eventLoopDelayMs: number;
  /** Rows in the batch that it shared; 0 when it met none. */
  readonly batchRows: number;
}

const FORMAT_VERSION = '1';
/** Longer than any report we write; what is longer is not ours. */
const REPORT_LIMIT_CHARS = 1024;
const UNSAFE = /[^A-Za-z0-9._:-]/g;

function us(ms: number): string {
  return ms < 0 ? '' : formatThousandths(Math.round(ms * 1e6));
}

/** The header's value. Version and worker lose characters that a header field could misread. */
export function formatWorkerReport(report: WorkerReport): string {
  let stages = '';
  for (let index = 0; index < WORKER_STAGES.length; index += 1) {
    if (index > 0) stages += ',';
    stages += us(report.stagesMs[index] ?? -1);
  }
  return (
    `${FORMAT_VERSION};t=${us(report.totalMs)};s=${stages};v=${report.version.replace(UNSAFE, '')}` +
    `;w=${report.worker.replace(UNSAFE, '')};d=${us(report.eventLoopDelayMs)};b=${report.batchRows}`
  );
}

/** Microseconds as text → milliseconds; -1 for none, NaN for what is no duration. */
function parseUs(text: string): number {
  if (text === '') return -1;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value / 1e3 : Number.NaN;
}

/**
 * The report, or undefined for anything that is not one (then the attempt counts as `unreported`). Walks the
 * text once: it is read for every query.
 */
export function parseWorkerReport(header: string | undefined): WorkerReport | undefined {
  if (header === undefined || header.length > REPORT_LIMIT_CHARS) return undefined;
  let at = 0;
  /** The next field's value; undefined when the field is another one. `last` fields end where the text does. */
  const next = (key: string, last = false): string | undefined => {
    const end = last ? header.length : header.indexOf(';', at);
    if (end < 0 || !header.startsWith(key, at)) return undefined;
    const value = header.slice(at + key.length, end);
    at = end + 1;
    return value;
  };
  if (next(FORMAT_VERSION) !== '') return undefined;
  const totalMs = parseUs(next('t=') ?? 'x');
  const stagesMs = parseStages(next('s=') ?? 'x');
  const version = next('v=');
  const worker = next('w=');
  const eventLoopDelayMs = parseUs(next('d=') ?? 'x');
  const batchRows = Number(next('b=', true) ?? 'x');
  if (stagesMs === undefined || version === undefined || worker === undefined) return undefined;
  if (!(totalMs >= 0) || !(eventLoopDelayMs >= 0) || !Number.isSafeInteger(batchRows)) return undefined;
  return { totalMs, stagesMs, version, worker, eventLoopDelayMs, batchRows };
}

function parseStages(text: string): number[] | undefined {
  const stagesMs: number[] = [];
  for (let start = 0; start <= text.length; ) {
    const comma = text.indexOf(',', start);
    const end = comma < 0 ? text.length : comma;
    const ms = parseUs(text.slice(start, end));
    if (Number.isNaN(ms)) return undefined;
    stagesMs.push(ms);
    start = end + 1;
  }
  return stagesMs.length === WORKER_STAGES.length ? stagesMs : undefined;
}
