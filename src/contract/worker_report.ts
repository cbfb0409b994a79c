/**
 * The worker's report: what a worker tells the gateway of the time it spent on one attempt, in the answer's
 * header `x-vitrine-report`. Only durations cross the process boundary, so clock skew never enters.
 *
 * Form: `1;t=<total us>;s=<us>,<us>,...;v=<version>;w=<instance>;d=<loop delay us>;b=<batch rows>`: one
 * duration per stage in the order of WORKER_STAGES, empty where a stage did not happen. Microseconds with
 * up to three decimals.
 */
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
  return ms < 0 ? '' : String(Math.round(ms * 1e6) / 1e3);
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

function parseUs(text: string): number {
  if (text === '') return -1;
  const value = Number(text);
  return Number.isFinite(value) && value >= 0 ? value / 1e3 : Number.NaN;
}

/** The report, or undefined for anything that is not one (then the attempt counts as `unreported`). */
export function parseWorkerReport(header: string | undefined): WorkerReport | undefined {
  if (header === undefined || header.length > REPORT_LIMIT_CHARS) return undefined;
  const parts = header.split(';');
  if (parts[0] !== FORMAT_VERSION || parts.length !== 7) return undefined;
  const field = (index: number, key: string): string | undefined => {
    const part = parts[index];
    return part?.startsWith(`${key}=`) ? part.slice(2) : undefined;
  };
  const totalMs = parseUs(field(1, 't') ?? 'x');
  const stagesMs = (field(2, 's') ?? 'x').split(',').map(parseUs);
  const eventLoopDelayMs = parseUs(field(5, 'd') ?? 'x');
  const batchRows = Number(field(6, 'b') ?? 'x');
  const version = field(3, 'v');
  const worker = field(4, 'w');
  if (version === undefined || worker === undefined || !Number.isSafeInteger(batchRows)) return undefined;
  if (stagesMs.length !== WORKER_STAGES.length || stagesMs.some(Number.isNaN)) return undefined;
  if (!(totalMs >= 0) || !(eventLoopDelayMs >= 0)) return undefined;
  return { totalMs, stagesMs, version, worker, eventLoopDelayMs, batchRows };
}
