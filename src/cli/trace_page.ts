/** A trace as a page of text: its spans over time, and the ledger of each query. Pure. */
import type { Trace, TraceSpan } from '../client/trace.ts';
import { ATTR, SERVICE_GATEWAY, SERVICE_WORKER } from '../contract/attributes.ts';
import { UNATTRIBUTED } from '../contract/stages.ts';
import { bar, columns, formatMs, plain } from './terminal.ts';
import { numberOf, queriesOf, type SpanRow, spanRows, type TracedQuery, textOf } from './trace_tree.ts';

export interface PageOptions {
  /** Cells of a line; between 40 and 200 of them are used. */
  readonly width: number;
  readonly color: boolean;
}

const WIDTH_MIN = 40;
const WIDTH_MAX = 200;
/** Spans and ledgers beyond these are counted, not shown. */
const ROWS_LIMIT = 400;
const LEDGERS_LIMIT = 4;
const DURATION_CELLS = 8;
const LEDGER_BAR_CELLS = 30;
/** What a ledger's line takes beside its bar. */
const LEDGER_TEXT_CELLS = 41;

const STYLES = { blue: 34, green: 32, magenta: 35, red: 31, dim: 2, bold: 1 } as const;
type Style = keyof typeof STYLES;
type Paint = (style: Style, text: string) => string;

/** Characters that take two cells of a terminal. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u;
const NO_CELL = /\p{Mn}|\p{Me}|\u200d|\ufe0f/u;

/** Cells that a text takes on a terminal. */
export function cellsOf(text: string): number {
  let cells = 0;
  for (const char of text) cells += NO_CELL.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return cells;
}

/** Exactly so many cells: padded with blanks, or cut with an ellipsis. */
export function inCells(text: string, cells: number): string {
  const own = cellsOf(text);
  if (own <= cells) return text + ' '.repeat(cells - own);
  let kept = '';
  let used = 0;
  for (const char of text) {
    const next = cellsOf(char);
    if (used + next > cells - 1) break;
    kept += char;
    used += next;
  }
  return `${kept}…${' '.repeat(Math.max(0, cells - 1 - used))}`;
}

function styleOf({ status, service }: TraceSpan): Style {
  if (status === 'error') return 'red';
  if (service === SERVICE_GATEWAY) return 'blue';
  return service === SERVICE_WORKER ? 'green' : 'magenta';
}

function nameOf(row: SpanRow): string {
  const { span, branches } = row;
  const lead = branches.map((follows, level) =>
    level === branches.length - 1 ? (follows ? '├ ' : '└ ') : follows ? '│ ' : '  ',
  );
  const name = plain(span.name).replaceAll(/\s/g, ' ');
  return `${lead.join('')}${span.status === 'error' ? '! ' : ''}${name === '' ? '(no name)' : name}`;
}

function processOf({ service, instance }: TraceSpan): string {
  return plain(instance === '' ? service : instance).replaceAll(/\s/g, ' ');
}

function waterfall(trace: Trace, width: number, paint: Paint): string[] {
  const all = spanRows(trace);
  const rows = all.slice(0, ROWS_LIMIT);
  const names = rows.map(nameOf);
  const processes = rows.map(({ span }) => processOf(span));
  const longest = (texts: readonly string[]): number =>
    texts.reduce((most, text) => Math.max(most, cellsOf(text)), 0);
  const nameCells = Math.min(longest(names), Math.max(12, Math.floor(width * 0.3)));
  const processCells = Math.min(longest(processes), Math.max(6, Math.floor(width * 0.16)));
  const barCells = Math.max(8, width - nameCells - processCells - DURATION_CELLS - 6);
  const rangeMs = trace.durationMs > 0 ? trace.durationMs : 1;

  const lines = rows.map(({ span }, index) => {
    const share = Math.min(1, span.durationMs / rangeMs);
    const start = Math.min(barCells - 1, Math.floor((span.offsetMs / rangeMs) * barCells));
    const drawn = bar(share, barCells).slice(0, barCells - start) || '▏';
    return [
      inCells(names[index] ?? '', nameCells),
      paint('dim', inCells(processes[index] ?? '', processCells)),
      `${' '.repeat(start)}${paint(styleOf(span), drawn)}${' '.repeat(barCells - start - drawn.length)}`,
      formatMs(span.durationMs).padStart(DURATION_CELLS),
    ].join('  ');
  });
  const middle = formatMs(rangeMs / 2);
  const half = Math.floor(barCells / 2);
  const axis = `${'0'.padEnd(half)}${middle}`.slice(0, barCells).padEnd(barCells);
  const head = [
    inCells('SPAN', nameCells),
    inCells('PROCESS', processCells),
    axis,
    'ms'.padStart(DURATION_CELLS),
  ];
  lines.unshift(paint('dim', head.join('  ')));
  if (all.length > rows.length) lines.push(`... ${all.length - rows.length} more spans; --json has them all`);
  return lines.map((line) => line.trimEnd());
}

/** A number that lines up with others on its decimal point. */
function exactMs(ms: number): string {
  return ms.toFixed(3).padStart(10);
}

function percent(part: number, whole: number): string {
  return whole > 0 ? `${((part / whole) * 100).toFixed(1)} %`.padStart(7) : '';
}

function ledgerLines({ span, isWhole, ledger }: TracedQuery, width: number, paint: Paint): string[] {
  if (ledger === undefined) return ['This query carries no stages.'];
  const { stages, unattributedMs, totalMs } = ledger;
  const barCells = Math.max(0, Math.min(LEDGER_BAR_CELLS, width - LEDGER_TEXT_CELLS));
  const rows: string[][] = [['STAGE', 'ms'.padStart(10), 'share'.padStart(7)]];
  const barOf = (ms: number): string => (barCells === 0 ? '' : bar(ms / totalMs, barCells));
  for (const { stage, ms, inWorker } of stages) {
    rows.push([
      `${inWorker ? '  ' : ''}${stage}`,
      exactMs(ms),
      percent(ms, totalMs),
      paint(inWorker ? 'green' : 'blue', barOf(ms)),
    ]);
  }
  rows.push([
    UNATTRIBUTED,
    exactMs(unattributedMs),
    percent(unattributedMs, totalMs),
    paint('dim', barOf(unattributedMs)),
  ]);
  rows.push(['total', exactMs(totalMs), percent(totalMs, totalMs)]);
  const lines = columns(rows).split('\n');
  lines[0] = paint('dim', lines[0] ?? '');
  const last = lines.length - 1;
  lines[last] = paint('bold', lines[last] ?? '');
  const tolerance = Math.max(totalMs * 0.01, 0.05);
  if (Math.abs(unattributedMs) > tolerance) {
    lines.push(paint('red', 'This ledger does not close: unattributed is more than 1 % and 50 us.'));
  }
  if (!isWhole) lines.push(`Only ${processOf(span)}'s part is here; the gateway's is not.`);
  return lines;
}

function headline({ span }: TracedQuery, paint: Paint): string {
  const version = textOf(span, ATTR.version);
  const status = textOf(span, ATTR.httpResponseStatusCode);
  const code = textOf(span, ATTR.errorCode);
  const outcome = textOf(span, ATTR.outcome);
  const model = `${textOf(span, ATTR.model)}${version === '' ? '' : ` version ${version}`}`;
  const how = [outcome, status, code].filter((part) => part !== '').join(' ');
  return `${paint('bold', plain(model))}  ${paint(outcome === 'ok' ? 'green' : 'red', plain(how))}  ${formatMs(span.durationMs)} ms`;
}

/** What is known beside the stages, a line each. */
function factLines({ span, isWhole, attempts, works }: TracedQuery): string[] {
  const rows: string[][] = [];
  for (const attempt of attempts) {
    const worker = textOf(attempt, ATTR.worker);
    rows.push([
      'attempt',
      plain(`${worker} ${textOf(attempt, ATTR.attemptOutcome)}`),
      `${formatMs(attempt.durationMs)} ms`,
    ]);
  }
  for (const work of works) {
    const batchRows = numberOf(work, ATTR.batchSize);
    if (batchRows === undefined) continue;
    const shareMs = numberOf(work, ATTR.computeShareMs);
    const [link] = work.links;
    rows.push([
      'batch',
      `${textOf(work, ATTR.rows)} of ${batchRows} rows${shareMs === undefined ? '' : `, ${formatMs(shareMs)} ms its share of compute`}`,
      link === undefined ? '' : `trace ${link.traceId}`,
    ]);
  }
  const delays = (isWhole ? [span, ...works] : works).flatMap((each) => {
    const delayMs = numberOf(each, ATTR.eventLoopDelayMs);
    return delayMs === undefined ? [] : [`${formatMs(delayMs)} ms at ${processOf(each)}`];
  });
  if (delays.length > 0) rows.push(['event-loop delay met', delays.join(', ')]);
  const kept = textOf(span, ATTR.keptBecause);
  if (kept !== '') rows.push(['kept because', plain(kept)]);
  const requestId = textOf(span, ATTR.requestId);
  if (requestId !== '') rows.push(['request id', plain(requestId)]);
  return rows.length === 0 ? [] : columns(rows).split('\n');
}

/** @param link where the same trace can be looked at */
export function tracePage(trace: Trace, link: string, options: PageOptions): string {
  const width = Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, options.width));
  const paint: Paint = (style, text) =>
    options.color && text !== '' ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
  const queries = queriesOf(trace);
  const started = new Date(trace.startTimeMs).toISOString();
  const lines = [
    `trace ${trace.traceId}  ${started}`,
    paint('dim', link),
    '',
    ...waterfall(trace, width, paint),
  ];
  for (const query of queries.slice(0, LEDGERS_LIMIT)) {
    lines.push('', headline(query, paint), ...ledgerLines(query, width, paint), ...factLines(query));
  }
  if (queries.length > LEDGERS_LIMIT) {
    lines.push(
      '',
      `... ${queries.length - LEDGERS_LIMIT} more queries share this trace; --json has them all`,
    );
  }
  return lines.join('\n');
}
