/**
 * The worker's report: what a worker tells the gateway of the time it spent on one attempt, in the answer's
 * header `x-vitrine-report`. Only durations cross the process boundary, so clock skew never enters.
 *
 * Form: `2;t=<total>;s=<stage>,<stage>,...;v=<version>;w=<instance>;d=<loop delay>;b=<batch rows>`: one
 * duration per stage in the order of WORKER_STAGES, empty where a stage did not happen. Whole nanoseconds.
 */
import { HeaderText } from './header_text.ts';
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

const START = '2;t=';
/** Of `;s=`, and each field like it. */
const FIELD_CHARS = 3;
/** Longer than any report we write; what is longer is not ours. */
const REPORT_LIMIT_CHARS = 1024;
const UNSAFE = /[^A-Za-z0-9._:-]/g;

const text = new HeaderText();

function addNs(ms: number): void {
  if (ms >= 0) text.whole(Math.round(ms * 1e6));
}

/** The last name that was made safe: a process has one, and every answer carries it. */
let named = { raw: '', safe: '' };

function safe(name: string): string {
  if (named.raw !== name) named = { raw: name, safe: name.replace(UNSAFE, '') };
  return named.safe;
}

/** The header's value. Version and worker lose characters that a header field could misread. */
export function formatWorkerReport(report: WorkerReport): string {
  text.begin();
  text.text(START);
  addNs(report.totalMs);
  for (let index = 0; index < WORKER_STAGES.length; index += 1) {
    text.text(index === 0 ? ';s=' : ',');
    addNs(report.stagesMs[index] ?? -1);
  }
  text.text(';v=');
  text.text(report.version.replace(UNSAFE, ''));
  text.text(';w=');
  text.text(safe(report.worker));
  text.text(';d=');
  addNs(report.eventLoopDelayMs);
  text.text(';b=');
  text.whole(report.batchRows);
  return text.toString();
}

const DIGIT_0 = 0x30;
/** Digits of the longest duration that is read: about 31 years. */
const NS_LIMIT_DIGITS = 18;

/** Nanoseconds as digits between two places → milliseconds; -1 for none, NaN for what is no duration. */
function parseNs(text: string, start: number, end: number): number {
  if (start === end) return -1;
  if (end - start > NS_LIMIT_DIGITS) return Number.NaN;
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = text.charCodeAt(at) - DIGIT_0;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value / 1e6;
}

/**
 * The report, or undefined for anything that is not one (then the attempt counts as `unreported`). Walks the
 * text once: it is read for every query.
 */
export function parseWorkerReport(header: string | undefined): WorkerReport | undefined {
  if (header === undefined || header.length > REPORT_LIMIT_CHARS) return undefined;
  if (!header.startsWith(START)) return undefined;
  const totalEnd = header.indexOf(';s=', START.length);
  const stagesEnd = header.indexOf(';v=', totalEnd);
  const versionEnd = header.indexOf(';w=', stagesEnd);
  const workerEnd = header.indexOf(';d=', versionEnd);
  const delayEnd = header.indexOf(';b=', workerEnd);
  // A field that is missing is found nowhere, or before the one that it follows.
  if (totalEnd < 0 || stagesEnd < totalEnd || versionEnd < stagesEnd) return undefined;
  if (workerEnd < versionEnd || delayEnd < workerEnd) return undefined;
  const totalMs = parseNs(header, START.length, totalEnd);
  const stagesMs = parseStages(header, totalEnd + FIELD_CHARS, stagesEnd);
  const eventLoopDelayMs = parseNs(header, workerEnd + FIELD_CHARS, delayEnd);
  const batchRows = Number(header.slice(delayEnd + FIELD_CHARS) || 'x');
  if (stagesMs === undefined) return undefined;
  if (!(totalMs >= 0) || !(eventLoopDelayMs >= 0) || !Number.isSafeInteger(batchRows)) return undefined;
  return {
    totalMs,
    stagesMs,
    version: header.slice(stagesEnd + FIELD_CHARS, versionEnd),
    worker: header.slice(versionEnd + FIELD_CHARS, workerEnd),
    eventLoopDelayMs,
    batchRows,
  };
}

function parseStages(header: string, start: number, end: number): number[] | undefined {
  const stagesMs: number[] = [];
  for (let from = start; from <= end; ) {
    const comma = header.indexOf(',', from);
    const to = comma < 0 || comma > end ? end : comma;
    const ms = parseNs(header, from, to);
    if (Number.isNaN(ms)) return undefined;
    stagesMs.push(ms);
    from = to + 1;
  }
  return stagesMs.length === WORKER_STAGES.length ? stagesMs : undefined;
}
