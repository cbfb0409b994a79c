/**
 * What to run for a rate of queries: plain arithmetic over the costs of scaling_costs.ts. Pure, so that the page and
 * the command say the same.
 */
import { COSTS } from './scaling_costs.ts';

export interface PlanInput {
  /** Queries a second at the busiest time. */
  readonly ratePerS: number;
  /** Models, each version counted. */
  readonly models: number;
  /** Undefined: as many as are needed. */
  readonly workers: number | undefined;
  /** How long a query holds an inference thread, its share of the batch, in milliseconds. */
  readonly computeMs: number;
  /** Inference threads of a worker. */
  readonly threads: number;
  /** Queries in a batch, on average. */
  readonly batchQueries: number;
  /** Share of traces that are kept, 0 to 1. */
  readonly keep: number;
  readonly tracesDays: number;
  readonly metricsDays: number;
}

/** One part of the installation. */
export interface PlanPart {
  readonly part: string;
  /** What to run. */
  readonly run: string;
  /** The arithmetic. */
  readonly because: string;
}

export interface Plan {
  readonly input: PlanInput;
  readonly parts: readonly PlanPart[];
  /** What is wrong with the wish, or close to a limit. */
  readonly warnings: readonly string[];
}

/** Above it queries begin to wait for each other: an M/M/1 queue at 60 % holds 1.5 queries on average. */
const BUSY_AT_MOST = 0.6;
/** One machine with the embedded console, by processor time of everything on it. */
const ONE_MACHINE_CORES = 4;
/** The embedded console holds a day of traces in so much (VITRINE_CONSOLE_RETENTION_BYTES), or is not proposed. */
const CONSOLE_DAY_BYTES = 10e9;
/** Its default. */
const CONSOLE_RETENTION_BYTES = 1024 ** 3;
/** Every gateway looks at every worker each second, and knows at most as many as DNS may list (1,024). */
export const CELL_WORKERS = 64;
export const CELL_GATEWAYS = 16;
/** Label sets of one metric in one process; beyond it they become `other`. */
export const SERIES_PER_METRIC = 2000;
/** Label sets of the widest metrics for each model and version: outcomes, and stages with the remainder. */
export const OUTCOMES_PER_MODEL = 7;
export const STAGES_PER_MODEL = 18;
const SCRAPE_INTERVAL_S = 15;
const DECISION_WAIT_S = 10;
/** Of one Collector: a pod of two cores. */
const COLLECTOR_CORES = 2;
const COLLECTOR_MEMORY_BYTES = 4e9;
/** Of one Jaeger on its own disk. */
const JAEGER_BADGER_SPANS_PER_S = 15_000;
const JAEGER_BADGER_BYTES = 500e9;
/** Of one Prometheus: memory of 32 GB. */
const PROMETHEUS_SERIES = 5_000_000;
const DAY_S = 86_400;

function thousands(value: number): string {
  const rounded = value >= 100 ? Math.round(value) : Number(value.toPrecision(2));
  return rounded.toLocaleString('en-US', { maximumSignificantDigits: 15 });
}

/** `1.2 GB`, `340 MB`. */
function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 10 ? Math.round(value) : Number(value.toPrecision(2))} ${units[unit]}`;
}

function cores(value: number): string {
  const rounded = Number(value.toPrecision(2));
  return `${thousands(rounded)} ${rounded === 1 ? 'core' : 'cores'}`;
}

function count(value: number, one: string, many = `${one}s`): string {
  return `${thousands(value)} ${value === 1 ? one : many}`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}

interface Serving {
  readonly gateways: number;
  readonly workers: number;
  /** Fewest that suffice. */
  readonly workersNeeded: number;
  /** Share of their time that inference threads, or main ones where those come first, are in use. */
  readonly workerBusy: number;
  readonly cells: number;
  readonly gatewayCores: number;
  readonly workerCores: number;
}

/** @param least of gateways, and of workers that nobody counted: two where any may restart */
function serving({ ratePerS, workers, computeMs, threads }: PlanInput, least: number): Serving {
  const gatewayCores = (ratePerS * COSTS.gatewayCpuUs.value) / 1e6;
  // A worker is bounded by its inference threads, and by its one main thread.
  const perWorker = Math.min((threads * 1000) / computeMs, 1e6 / COSTS.workerCpuUs.value);
  const workersNeeded = Math.max(least, Math.ceil(ratePerS / (BUSY_AT_MOST * perWorker)));
  const chosen = workers ?? workersNeeded;
  const gateways = Math.max(least, Math.ceil(gatewayCores / BUSY_AT_MOST));
  return {
    gateways,
    workers: chosen,
    workersNeeded,
    workerBusy: ratePerS / (perWorker * chosen),
    cells: Math.max(Math.ceil(chosen / CELL_WORKERS), Math.ceil(gateways / CELL_GATEWAYS)),
    gatewayCores,
    workerCores: ratePerS * (COSTS.workerCpuUs.value / 1e6 + computeMs / 1000),
  };
}

interface TelemetryLoad {
  readonly spansPerQuery: number;
  readonly bytesPerQuery: number;
  /** Exported. */
  readonly spansPerS: number;
  readonly bytesPerS: number;
  readonly series: number;
  readonly seriesOfGateway: number;
  readonly seriesOfWorker: number;
  readonly samplesPerS: number;
}

function telemetryLoad(input: PlanInput, { gateways, workers, cells }: Serving): TelemetryLoad {
  const { ratePerS, models, keep, batchQueries } = input;
  const spansPerQuery = COSTS.spansPerQuery.value + 1 / batchQueries;
  const bytesPerQuery =
    COSTS.spansPerQuery.value * COSTS.querySpanBytes.value + COSTS.batchSpanBytes.value / batchQueries;
  const seriesOfGateway =
    COSTS.gatewaySeries.value +
    COSTS.gatewaySeriesPerModel.value * models +
    COSTS.gatewaySeriesPerWorker.value * Math.ceil(workers / cells);
  const seriesOfWorker = COSTS.workerSeries.value + COSTS.workerSeriesPerModel.value * models;
  const series = gateways * seriesOfGateway + workers * seriesOfWorker;
  return {
    spansPerQuery,
    bytesPerQuery,
    spansPerS: ratePerS * keep * spansPerQuery,
    bytesPerS: ratePerS * keep * bytesPerQuery,
    series,
    seriesOfGateway,
    seriesOfWorker,
    samplesPerS: series / SCRAPE_INTERVAL_S,
  };
}

function servingParts(input: PlanInput, of: Serving, oneMachine: boolean): PlanPart[] {
  const { ratePerS, computeMs, threads } = input;
  const { gateways } = of;
  const spare = oneMachine ? '' : '; never fewer than two, so that any may restart';
  const parts: PlanPart[] = [
    {
      part: 'gateways',
      run: count(gateways, 'process', 'processes'),
      because: `${thousands(ratePerS)}/s x ${COSTS.gatewayCpuUs.value} us = ${cores(of.gatewayCores)}, at most ${percent(BUSY_AT_MOST)} of one each${spare}`,
    },
    {
      part: 'workers',
      run: `${count(of.workers, 'process', 'processes')} with ${count(threads, 'inference thread')}`,
      because: `${thousands(ratePerS)}/s x ${computeMs} ms on the inference threads, and x ${COSTS.workerCpuUs.value} us on the main ones: ${cores(of.workerCores)} in all, threads ${percent(of.workerBusy)} busy`,
    },
  ];
  if (of.cells > 1) {
    const each = { gateways: Math.ceil(gateways / of.cells), workers: Math.ceil(of.workers / of.cells) };
    parts.push({
      part: 'cells',
      run: `${of.cells}, each of ${count(each.gateways, 'gateway')} and ${count(each.workers, 'worker')}`,
      because: `every gateway of a cell looks at each of its workers once a second, and has ${COSTS.gatewaySeriesPerWorker.value} series of each: at most ${CELL_GATEWAYS} gateways and ${CELL_WORKERS} workers; a balancer spreads queries over cells`,
    });
  }
  return parts;
}

function embeddedParts(input: PlanInput, load: TelemetryLoad): PlanPart[] {
  const kept = input.ratePerS * input.keep;
  const dayBytes = load.bytesPerS * DAY_S;
  const room =
    dayBytes <= CONSOLE_RETENTION_BYTES
      ? 'its default of 1 GiB holds them for a day and longer'
      : `a day of them takes ${bytesText(dayBytes)}: raise VITRINE_CONSOLE_RETENTION_BYTES`;
  return [
    {
      part: 'traces',
      run: 'the embedded console',
      because: `${thousands(load.spansPerS)} spans/s, ${cores((kept * COSTS.consoleCpuUs.value) / 1e6)}; ${room}`,
    },
    {
      part: 'metrics',
      run: 'the embedded console',
      because: `${thousands(load.series)} series; objectives and alerts are evaluated from them`,
    },
  ];
}

/** Collectors for so many spans a second: one, or two tiers where one does not suffice. */
function collectors(spansPerS: number): { readonly run: string; readonly because: string } {
  const sampleCores = (spansPerS * COSTS.collectorSampleCpuUs.value) / 1e6;
  const memory = spansPerS * DECISION_WAIT_S * COSTS.collectorSpanBytes.value;
  const behind = Math.max(
    Math.ceil(sampleCores / (BUSY_AT_MOST * COLLECTOR_CORES)),
    Math.ceil(memory / (BUSY_AT_MOST * COLLECTOR_MEMORY_BYTES)),
  );
  const because = `${thousands(spansPerS)} spans/s x ${COSTS.collectorSampleCpuUs.value} us = ${cores(sampleCores)}; ${DECISION_WAIT_S} s of them wait in ${bytesText(memory)}`;
  if (behind <= 1) return { run: 'one, of two cores and 4 GB', because };
  const forwardCores = (spansPerS * COSTS.collectorForwardCpuUs.value) / 1e6;
  const front = Math.max(2, Math.ceil(forwardCores / (BUSY_AT_MOST * COLLECTOR_CORES)));
  return {
    run: `two tiers, of two cores and 4 GB each: ${front} balance by trace id, ${behind} sample`,
    because: `${because}; in front x ${COSTS.collectorForwardCpuUs.value} us = ${cores(forwardCores)}`,
  };
}

function traceParts(input: PlanInput, load: TelemetryLoad): PlanPart[] {
  const { spansPerS, bytesPerS, spansPerQuery } = load;
  const { ratePerS, keep } = input;
  const perDayBytes = spansPerS * DAY_S * COSTS.jaegerSpanBytes.value;
  const stored = perDayBytes * input.tracesDays;
  const onBadger = spansPerS <= JAEGER_BADGER_SPANS_PER_S && stored <= JAEGER_BADGER_BYTES;
  const jaegerCores = (spansPerS * COSTS.jaegerCpuUs.value) / 1e6;
  const parts: PlanPart[] = [
    {
      part: 'OTLP',
      run: `${bytesText(bytesPerS)}/s, ${bytesText(bytesPerS * COSTS.gzipRatio.value)}/s with gzip`,
      because: `${thousands(ratePerS)}/s x ${percent(keep)} kept x ${thousands(load.bytesPerQuery)} B in ${Number(spansPerQuery.toPrecision(3))} spans`,
    },
    { part: 'Collector', ...collectors(spansPerS) },
  ];
  if (keep < 1) {
    const every = collectors(ratePerS * spansPerQuery);
    parts.push({
      part: '  or instead',
      run: every.run,
      because: `mode all, and the Collector samples: ${every.because}; it keeps every batch's span, ${thousands(ratePerS / input.batchQueries)}/s more to store`,
    });
  }
  parts.push({
    part: 'Jaeger',
    run: onBadger ? 'one, on Badger' : 'collectors and queries before OpenSearch or ClickHouse',
    because: `${thousands(spansPerS)} spans/s x ${COSTS.jaegerCpuUs.value} us = ${cores(jaegerCores)}; ${bytesText(perDayBytes)} a day, ${bytesText(stored)} in ${count(input.tracesDays, 'day')}${onBadger ? '' : ', by the figure of Badger and before replication'}`,
  });
  return parts;
}

function metricsParts(input: PlanInput, load: TelemetryLoad, { gateways, workers }: Serving): PlanPart[] {
  const memory = load.series * COSTS.prometheusSeriesBytes.value;
  const disk = load.samplesPerS * DAY_S * input.metricsDays * COSTS.prometheusSampleBytes.value;
  const shards = Math.ceil(load.series / PROMETHEUS_SERIES);
  const cpu = (load.samplesPerS * COSTS.prometheusSampleCpuUs.value) / 1e6;
  return [
    {
      part: 'series',
      run: thousands(load.series),
      because: `${gateways} x ${thousands(load.seriesOfGateway)} of gateways and ${workers} x ${thousands(load.seriesOfWorker)} of workers`,
    },
    {
      part: 'Prometheus',
      run:
        shards === 1
          ? 'a pair that scrape the same'
          : `${shards} pairs, each for some cells, that write to remote storage`,
      because: `${thousands(load.samplesPerS)} samples/s x ${COSTS.prometheusSampleCpuUs.value} us = ${cores(cpu)}; ${bytesText(memory)} of memory, ${bytesText(disk)} of disk for ${count(input.metricsDays, 'day')}`,
    },
  ];
}

function warningsOf(input: PlanInput, of: Serving, load: TelemetryLoad): string[] {
  const { models, keep } = input;
  const warnings: string[] = [];
  const given = count(of.workers, 'worker');
  if (of.workerBusy >= 1) warnings.push(`${given} cannot do it: ${of.workersNeeded} are needed`);
  else if (of.workerBusy > BUSY_AT_MOST) {
    warnings.push(`${given} would be ${percent(of.workerBusy)} busy: ${of.workersNeeded} leave room`);
  }
  const widest = Math.floor(SERIES_PER_METRIC / STAGES_PER_MODEL);
  if (models > widest) {
    warnings.push(
      `a process has at most ${thousands(SERIES_PER_METRIC)} label sets of one metric, enough for ${widest} models at a gateway; further ones become "other". Split the models over cells`,
    );
  }
  if (keep === 1 && load.spansPerS > JAEGER_BADGER_SPANS_PER_S) {
    warnings.push(
      `every trace is kept: with VITRINE_TELEMETRY_MODE=retroactive and --keep 0.02 it is ${thousands(load.spansPerS * 0.02)} spans/s, and what is slow or failed stays`,
    );
  }
  return warnings;
}

export function planFor(input: PlanInput): Plan {
  const { ratePerS, keep } = input;
  const alone = serving(input, 1);
  const aloneLoad = telemetryLoad(input, alone);
  const consoleCores = (ratePerS * keep * COSTS.consoleCpuUs.value) / 1e6;
  const total = alone.gatewayCores + alone.workerCores + consoleCores;
  const oneMachine =
    total <= ONE_MACHINE_CORES * BUSY_AT_MOST && aloneLoad.bytesPerS * DAY_S <= CONSOLE_DAY_BYTES;
  if (oneMachine) {
    const machine: PlanPart = {
      part: 'machines',
      run: `one, of ${Math.max(2, Math.ceil(total / BUSY_AT_MOST) + 1)} cores: npm start`,
      because: `${cores(total)} in all, at most ${percent(BUSY_AT_MOST)} of them busy, and one for the machine`,
    };
    const parts = [machine, ...servingParts(input, alone, true), ...embeddedParts(input, aloneLoad)];
    return { input, parts, warnings: warningsOf(input, alone, aloneLoad) };
  }
  const of = serving(input, 2);
  const load = telemetryLoad(input, of);
  const queryCores = of.gatewayCores + of.workerCores;
  const machines: PlanPart = {
    part: 'machines',
    run: `${count(Math.ceil(queryCores / BUSY_AT_MOST), 'core')} of a cluster: deploy/kubernetes`,
    because: `${cores(queryCores)} for queries, at most ${percent(BUSY_AT_MOST)} of them busy`,
  };
  return {
    input,
    parts: [
      machines,
      ...servingParts(input, of, false),
      ...traceParts(input, load),
      ...metricsParts(input, load, of),
    ],
    warnings: warningsOf(input, of, load),
  };
}

/** One line on what was asked. */
export function planTitle({ ratePerS, models, computeMs, keep }: PlanInput): string {
  return `${thousands(ratePerS)} queries/s of ${count(models, 'model')}, each ${computeMs} ms on an inference thread, ${percent(keep)} of traces kept`;
}
