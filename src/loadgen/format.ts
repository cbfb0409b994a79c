/** A report and a progress line as text for a terminal, at most 100 columns wide and without colours. */
import type { LatencySummary } from './latency_histogram.ts';
import type { LoadProgress, LoadReport } from './report.ts';
import type { SeriesPoint } from './series.ts';

const BAR_COLUMNS = 24;
const SPARK_COLUMNS = 60;
const SPARKS = '▁▂▃▄▅▆▇█';
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const SAMPLE_COLUMNS = 56;

/** The whole report; ends with a line break. */
export function formatReport(report: LoadReport): string {
  const blocks = [
    heading(report),
    totals(report),
    outcomes(report),
    latencies(report),
    stages(report),
    throughput(report.series),
    generator(report),
  ];
  return `${blocks
    .filter((block) => block.length > 0)
    .map((block) => block.join('\n'))
    .join('\n\n')}\n`;
}

/** One line, to be written over by the next. */
export function formatProgress(progress: LoadProgress): string {
  const { phase, elapsedS, done, sent, inFlight, waiting, ratePerS, p50Ms, p99Ms, errors, notSent } =
    progress;
  const parts = [
    `${elapsedS.toFixed(1).padStart(6)} s`,
    phase === 'measuring' ? `${Math.floor(done * 100)} %`.padStart(9) : phase.padStart(9),
    `${count(sent)} sent`,
    `${inFlight} in flight${waiting > 0 ? ` + ${count(waiting)} waiting` : ''}`,
    `${count(Math.round(ratePerS))}/s`,
    `p50 ${ms(p50Ms)}`,
    `p99 ${ms(p99Ms)} ms`,
    `${count(errors)} errors`,
  ];
  if (notSent > 0) parts.push(`${count(notSent)} not sent`);
  return parts.join('  ');
}

function heading({ plan, aborted, sendingS, warmup }: LoadReport): string[] {
  const { loop } = plan;
  const kind =
    loop.kind === 'closed'
      ? `closed loop, ${count(loop.concurrency)} at a time`
      : `open loop, ${loop.ratePerS}/s${loop.rampPerS2 === 0 ? '' : ` rising by ${loop.rampPerS2}/s each second`} ${loop.arrivals} (seed ${plan.seed}) over ${loop.connections} connections`;
  const warm = warmup.sent > 0 ? ` after ${count(warmup.sent)} of warm-up` : '';
  const samples = plan.samples === 1 ? 'one sample' : `${count(plan.samples)} samples`;
  const version = plan.version === '' ? '' : ` version ${plan.version}`;
  return [
    `${plan.model}${version} at ${plan.origin}${aborted ? ' (stopped early)' : ''}`,
    `${kind}, ${sendingS.toFixed(1)} s${warm}, ${samples} of ${count(plan.meanBodyBytes)} B`,
  ];
}

function totals(report: LoadReport): string[] {
  const line = (name: string, value: number, more: string): string =>
    `  ${name.padEnd(10)}${count(value).padStart(12)}  ${more}`.trimEnd();
  const rows = [
    line('sent', report.sent, perS(report.sentPerS)),
    line('ok', report.ok, perS(report.okPerS)),
    line('failed', report.failed, ''),
  ];
  if (report.notSent > 0) {
    const { loop } = report.plan;
    const bound = loop.kind === 'open' ? `more than ${count(loop.maxOutstanding)} were outstanding` : '';
    rows.push(line('not sent', report.notSent, report.aborted ? 'the run was stopped' : bound));
  }
  return rows;
}

function outcomes(report: LoadReport): string[] {
  if (report.failed === 0) return [];
  const rows = report.outcomes.map(({ outcome, status, code, count: times, sample }) => {
    const what = status === 0 ? code : String(status);
    return `    ${outcome.padEnd(13)}${what.padEnd(18)}${count(times).padStart(10)}  ${cut(sample ?? '')}`.trimEnd();
  });
  return ['  outcomes', ...rows];
}

function latencies(report: LoadReport): string[] {
  const { latency, latencyOfAll, plan } = report;
  if (latencyOfAll.response.count === 0) return [];
  const rows = ['  latency in ms'.padEnd(22) + columns(['mean', 'p50', 'p90', 'p95', 'p99', 'p99.9', 'max'])];
  const row = (name: string, summary: LatencySummary): void => {
    const { meanMs, p50Ms, p90Ms, p95Ms, p99Ms, p999Ms, maxMs } = summary;
    rows.push(
      `    ${name}`.padEnd(22) + columns([meanMs, p50Ms, p90Ms, p95Ms, p99Ms, p999Ms, maxMs].map(ms)),
    );
  };
  const isOpen = plan.loop.kind === 'open';
  if (latency.response.count > 0) {
    if (isOpen) row('response', latency.response);
    row('service', latency.service);
  }
  if (report.failed > 0) row('with failures', isOpen ? latencyOfAll.response : latencyOfAll.service);
  rows.push(
    isOpen
      ? '    response counts from the intended send (what a user waits), service from the actual one'
      : '    a closed loop waits for answers and so hides stalls; give a rate to see what users would',
  );
  return rows;
}

function stages({ ledger, outsideMeanMs }: LoadReport): string[] {
  if (ledger.stages.length === 0) return [];
  const rows = [`  ${'where the time went'.padEnd(22)}${columns(['mean ms', 'p50', 'p99', 'share'])}`];
  for (const { stage, meanMs, p50Ms, p99Ms, share } of ledger.stages) {
    rows.push(
      `    ${stage.padEnd(20)}${columns([ms(meanMs), ms(p50Ms), ms(p99Ms), percent(share)])}  ${bar(share)}`.trimEnd(),
    );
  }
  if (ledger.unattributedShare !== null) {
    rows.push(`    ${'unattributed'.padEnd(20)}${columns(['', '', '', percent(ledger.unattributedShare)])}`);
  }
  if (ledger.total !== null) {
    const { meanMs, p50Ms, p99Ms } = ledger.total;
    rows.push(`    ${'total'.padEnd(20)}${columns([ms(meanMs), ms(p50Ms), ms(p99Ms)])}`);
  }
  if (outsideMeanMs !== null) {
    rows.push(`    ${'outside the service'.padEnd(20)}${columns([ms(outsideMeanMs)])}`);
  }
  const unread = ledger.answersWithout + ledger.malformedEntries;
  if (unread > 0) {
    rows.push(
      `    ${count(ledger.answersWithout)} answers told no stages, ${count(ledger.malformedEntries)} entries could not be read`,
    );
  }
  return rows;
}

function throughput(series: readonly SeriesPoint[]): string[] {
  if (series.length < 3) return [];
  // The last second is rarely a whole one and would read as a drop.
  const whole = series.slice(0, -1);
  const step = Math.ceil(whole.length / SPARK_COLUMNS);
  const rates: number[] = [];
  for (let at = 0; at < whole.length; at += step) {
    const group = whole.slice(at, at + step);
    rates.push(group.reduce((sum, point) => sum + point.ok, 0) / group.length);
  }
  const most = Math.max(...rates);
  const line = rates
    .map((rate) => SPARKS[most === 0 ? 0 : Math.min(7, Math.floor((rate / most) * 8))])
    .join('');
  return [`  ok per second  ${line}  ${count(Math.round(Math.min(...rates)))} to ${count(Math.round(most))}`];
}

function generator({ generator: made }: LoadReport): string[] {
  const busy = `${made.cpuCores.toFixed(2)} cores, loop ${percent(made.loopUtilization)} busy`;
  const late = `${ms(made.loopDelayP99Ms)} ms late at p99, ${ms(made.loopDelayMaxMs)} ms at most`;
  const rows = [`  generator      ${busy}, ${late}`];
  if (made.limited) {
    rows.push("  The generator itself was the limit: these are its figures more than the service's.");
    for (const reason of made.reasons) rows.push(`    ${reason}`);
  }
  return rows;
}

function bar(share: number): string {
  const eighths = Math.round(Math.min(Math.max(share, 0), 1) * BAR_COLUMNS * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
}

function columns(values: readonly string[]): string {
  return values.map((value) => value.padStart(10)).join('');
}

/** Milliseconds with three significant digits where it matters: 0.031, 1.24, 31.0, 1,240. */
function ms(value: number): string {
  const size = Math.abs(value);
  return size >= 1000
    ? count(Math.round(value))
    : value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

function perS(rate: number): string {
  return `${rate >= 100 ? count(Math.round(rate)) : rate.toFixed(1)}/s`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function cut(text: string): string {
  return text.length > SAMPLE_COLUMNS ? `${text.slice(0, SAMPLE_COLUMNS - 3)}...` : text;
}
