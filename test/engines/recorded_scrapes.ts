/**
 * A day of scrapes of a small installation, made from a seed: busy and quiet times, trouble of every kind that an
 * alert looks for, restarts (counters begin at 0 again), gaps, a target that vanishes, and series that begin late.
 */
import { CATALOG, type CounterName, type GaugeName } from '../../src/telemetry/catalog.ts';

export interface RecordedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Unix milliseconds. */
  readonly timeMs: number;
  readonly value: number;
}

export interface RecordingOptions {
  readonly seed: number;
  readonly startMs: number;
  readonly hours: number;
  readonly scrapeIntervalS: number;
}

const HOUR_S = 3600;
/** Trouble comes and goes in blocks of this length. */
const BLOCK_S = 1200;

/** mulberry32, public domain. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Labels = Readonly<Record<string, string>>;
/** One process: what it shows at a scrape. */
interface Process {
  readonly job: string;
  readonly instance: string;
  /** Ends and begins anew: all its counters are at 0. */
  restart(): void;
  advance(seconds: number, atS: number): void;
  show(): { readonly name: string; readonly labels: Labels; readonly value: number }[];
}

class Counters {
  readonly values = new Map<string, { name: string; labels: Labels; value: number }>();

  add(name: string, labels: Labels, amount: number): void {
    const key = JSON.stringify([name, labels]);
    const known = this.values.get(key) ?? { name, labels, value: 0 };
    known.value += amount;
    this.values.set(key, known);
  }
}

/** Whether a kind of trouble is on at a time; the same for the whole block. */
function createTroubles(seed: number): (kind: string, atS: number, share: number) => boolean {
  return (kind, atS, share) => {
    let hash = seed ^ Math.floor(atS / BLOCK_S);
    for (const char of kind) hash = Math.imul(hash ^ char.charCodeAt(0), 2_654_435_761) >>> 0;
    return createRandom(hash)() < share;
  };
}

function createProcess(
  job: string,
  instance: string,
  random: () => number,
  trouble: ReturnType<typeof createTroubles>,
): Process {
  let counters = new Counters();
  let gauges = new Map<string, { name: string; labels: Labels; value: number }>();
  let uptimeS = 0;
  let memory = 0;
  const on = (kind: string, atS: number, share = 0.15): boolean => trouble(`${instance} ${kind}`, atS, share);
  const count = (name: CounterName, labels: Labels, amount: number): void =>
    counters.add(name, labels, amount);
  const gauge = (name: GaugeName, labels: Labels, value: number): void => {
    gauges.set(JSON.stringify([name, labels]), { name, labels, value });
  };
  const noise = (scale: number): number => scale * (0.5 + random());

  const observe = (model: string, seconds: number): void => {
    const labels = { model, version: '1', outcome: 'ok' };
    for (const edge of CATALOG.inference_service_duration_seconds.buckets) {
      counters.add(
        'inference_service_duration_seconds_bucket',
        { ...labels, le: String(edge) },
        seconds <= edge ? 1 : 0,
      );
    }
    counters.add('inference_service_duration_seconds_bucket', { ...labels, le: '+Inf' }, 1);
    counters.add('inference_service_duration_seconds_count', labels, 1);
    counters.add('inference_service_duration_seconds_sum', labels, seconds);
  };

  const serve = (model: string, seconds: number, atS: number): void => {
    const hour = (atS / HOUR_S) % 24;
    const queries = Math.round(seconds * (hour < 4 ? 0.2 : 3) * noise(1));
    const slow = on(`${model} slow`, atS, 0.2);
    const later = atS > 24 * HOUR_S ? 4 : 1;
    for (let query = 0; query < queries; query += 1) {
      observe(model, -Math.log(1 - random()) * (slow ? 0.3 : 0.012) * later);
    }
    count('inference_requests_total', { model, version: '1', outcome: 'ok' }, queries);
    const part = (kind: string, usual: number): number =>
      Math.round(queries * (on(`${model} ${kind}`, atS) ? noise(0.1) : usual));
    count('inference_requests_total', { model, version: '1', outcome: 'error' }, part('error', 0.0004));
    count('inference_requests_total', { model, version: '1', outcome: 'rejected' }, part('refuse', 0));
    count('inference_requests_total', { model, version: '1', outcome: 'client_error' }, part('client', 0.01));
  };

  const advanceGateway = (seconds: number, atS: number): void => {
    serve('langid', seconds, atS);
    serve('digits', seconds, atS);
    if (atS > 20 * HOUR_S) serve('fresh', seconds, atS);
    count('vitrine_ledger_violations_total', {}, on('ledger', atS) ? noise(seconds / 8) : 0);
    const away = on('workers', atS) ? (on('all workers', atS, 0.5) ? 2 : 1) : 0;
    gauge('vitrine_gateway_workers', { state: 'ready' }, 2 - away);
    gauge('vitrine_gateway_workers', { state: 'not_ready' }, away);
  };

  const advanceWorker = (seconds: number, atS: number): void => {
    for (const model of ['langid', 'digits']) {
      const waiting = on(`${model} queue`, atS) ? 5 + ((atS % BLOCK_S) / BLOCK_S) ** 3 * 400 : noise(3);
      gauge('inference_queue_requests', { model }, Math.round(waiting));
    }
    count(
      'inference_executor_busy_seconds_total',
      { thread: '0' },
      seconds * (on('busy', atS) ? 0.97 : noise(0.4)),
    );
    gauge('inference_repository_models', { model: 'langid', version: '1', state: 'READY' }, 1);
    gauge(
      'inference_repository_models',
      { model: 'broken', version: '2', state: 'UNAVAILABLE' },
      on('load', atS) ? 1 : 0,
    );
    const gpu = { hw_id: 'GPU-0', hw_model: 'a "quoted"\nname' };
    gauge('hw_gpu_utilization_ratio', gpu, on('gpu', atS) ? 0.96 + random() * 0.04 : noise(0.5));
    gauge(
      'hw_gpu_memory_usage_bytes',
      gpu,
      on('gpu memory', atS) ? 6e9 + ((atS % BLOCK_S) / BLOCK_S) * 3e9 : 4e9 + noise(1e8),
    );
    gauge('hw_gpu_memory_limit_bytes', gpu, 1e10);
  };

  return {
    job,
    instance,
    restart() {
      counters = new Counters();
      gauges = new Map();
      uptimeS = 0;
      memory = 0;
    },
    advance(seconds, atS) {
      uptimeS += seconds;
      memory = on('memory', atS) ? memory + seconds * 2e5 : memory * 0.99;
      gauge('process_uptime_seconds', {}, uptimeS);
      gauge('process_memory_usage_bytes', {}, 2.4e8 + memory + noise(1e6));
      gauge('process_memory_limit_bytes', {}, 5e8);
      gauge('nodejs_eventloop_delay_max_seconds', {}, on('stall', atS) ? noise(0.4) : noise(0.02));
      count('vitrine_telemetry_export_failures_total', {}, on('export', atS) ? Math.round(random()) : 0);
      count('vitrine_telemetry_records_total', { outcome: 'exported' }, noise(seconds * 3));
      count('vitrine_telemetry_records_total', { outcome: 'shed' }, on('shed', atS) ? noise(seconds / 5) : 0);
      count(
        'vitrine_telemetry_spans_total',
        { outcome: 'dropped' },
        on('drop', atS) ? Math.round(random()) : 0,
      );
      if (job === 'vitrine-gateway') advanceGateway(seconds, atS);
      if (job === 'vitrine-worker') advanceWorker(seconds, atS);
      if (job === 'vitrine-console')
        count('vitrine_console_spans_total', { outcome: 'failed' }, on('store', atS) ? 1 : 0);
    },
    show: () => [...gauges.values(), ...counters.values.values()],
  };
}

/** In the order of time; of one series never two at the same time. */
export function* recordScrapes(options: RecordingOptions): IterableIterator<RecordedSample> {
  const { seed, startMs, hours, scrapeIntervalS } = options;
  const random = createRandom(seed);
  const trouble = createTroubles(seed);
  const processes = (
    [
      ['vitrine-gateway', 'gateway-0'],
      ['vitrine-worker', 'worker-1'],
      ['vitrine-worker', 'worker-2'],
      ['vitrine-console', 'console-0'],
    ] as const
  ).map(([job, instance]) => createProcess(job, instance, random, trouble));
  for (let atS = 0; atS < hours * HOUR_S; atS += scrapeIntervalS) {
    for (const process of processes) {
      const { job, instance } = process;
      process.advance(scrapeIntervalS, atS);
      if (trouble(`${instance} restarts`, atS, 0.06) && random() < 0.08) process.restart();
      // Nobody scrapes for twelve minutes; one target is gone for two hours.
      if (atS >= 15 * HOUR_S && atS < 15.2 * HOUR_S) continue;
      if (instance === 'worker-2' && atS >= 10 * HOUR_S && atS < 12 * HOUR_S) continue;
      // Scrapes are a little late, and sometimes fail.
      const timeMs = startMs + Math.round((atS + 7 + random() * 3) * 1000);
      const target = { job, instance };
      const failed = trouble(`${instance} hangs`, atS, 0.05) || random() < 0.003;
      yield { name: 'up', labels: target, timeMs, value: failed ? 0 : 1 };
      if (failed) continue;
      for (const { name, labels, value } of process.show()) {
        yield { name, labels: { ...labels, ...target }, timeMs, value };
      }
    }
  }
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

/** One line of OpenMetrics with its timestamp. */
export function openMetricsLine({ name, labels, timeMs, value }: RecordedSample): string {
  const text = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}{${text.join(',')}} ${value} ${(timeMs / 1000).toFixed(3)}\n`;
}
