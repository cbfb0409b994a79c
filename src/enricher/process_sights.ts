/** What Prometheus tells of each process, for evidence about processes. */
import { SERVICE_WORKER } from '../contract/attributes.ts';
import type { ProcessSight } from '../slo/evidence_input.ts';
import type { Measure } from '../slo/expression.ts';
import { measurePromql, quoted } from '../slo/promql.ts';
import { counter, having, increase } from '../slo/shapes.ts';
import type { Prometheus, RangeSamples } from './prometheus.ts';

/** Points of one range; Prometheus refuses more than 11,000. */
const POINTS_LIMIT = 240;

interface Windows {
  readonly atMs: number;
  readonly windowS: number;
  readonly baselineS: number;
  /** Prometheus looks no closer. */
  readonly scrapeIntervalS: number;
}

/** The first time of the last run of points below 1; undefined when the newest is 1. */
function zeroSinceMs(points: RangeSamples['points']): number | undefined {
  const newest = points.at(-1);
  if (newest === undefined || newest[1] > 0) return undefined;
  return points[points.findLastIndex(([, value]) => value > 0) + 1]?.[0];
}

/** @throws SourceError */
export async function processSights(
  prometheus: Prometheus,
  job: string,
  { atMs, windowS, baselineS, scrapeIntervalS }: Windows,
): Promise<ProcessSight[]> {
  const rangeS = windowS + baselineS;
  const range = {
    startMs: atMs - rangeS * 1000,
    endMs: atMs,
    stepS: Math.max(scrapeIntervalS, Math.ceil(rangeS / POINTS_LIMIT)),
  };
  const ofJob = `{job=${quoted(job)}}`;
  const byLabel = async (measure: Measure, label: string): Promise<Map<string, number>> => {
    const samples = await prometheus.query(measurePromql(measure), atMs);
    return new Map(samples.map(({ labels, value }) => [labels[label] ?? '', value]));
  };
  const isWorker = job === SERVICE_WORKER;
  const unanswered = counter('inference_attempts_total', having({ outcome: ['lost', 'deadline'] }));
  const [up, listed, ready, restarts, left] = await Promise.all([
    prometheus.queryRange(`up${ofJob}`, range),
    prometheus.query(`up${ofJob}`, atMs),
    isWorker ? prometheus.queryRange('min by (worker) (vitrine_gateway_worker_ready)', range) : [],
    byLabel(
      {
        kind: 'resets',
        metric: 'process_uptime_seconds',
        where: having({ job: [job] }),
        windowS,
        by: ['instance'],
      },
      'instance',
    ),
    isWorker ? byLabel(increase(unanswered, windowS, ['worker']), 'worker') : new Map<string, number>(),
  ]);
  const upBy = new Map(up.map(({ labels, points }) => [labels.instance, points]));
  const readyBy = new Map(ready.map(({ labels, points }) => [labels.worker, points]));
  // What is no longer listed was taken away.
  return listed.map(({ labels: { instance = '' } }) => ({
    job,
    instance,
    silentSinceMs: zeroSinceMs(upBy.get(instance) ?? []),
    restarts: restarts.get(instance) ?? 0,
    unreadySinceMs: zeroSinceMs(readyBy.get(instance) ?? []),
    unanswered: Math.round(left.get(instance) ?? 0),
  }));
}
