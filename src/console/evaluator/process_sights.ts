/** What the evaluator's samples tell of each process, for evidence about processes. */
import type { ProcessSight } from '../../slo/evidence_input.ts';
import type { Measure } from '../../slo/expression.ts';
import { counter, having, increase } from '../../slo/shapes.ts';
import { evaluateMeasure, type Moment } from './measure.ts';
import type { SampleSeries } from './sample_series.ts';

const UNANSWERED = having({ outcome: ['lost', 'deadline'] });

/** The first time of the last run of samples below 1; undefined when the newest is 1, or there is none. */
function zeroSinceMs(series: SampleSeries, fromMs: number, moment: Moment): number | undefined {
  const { source, timeMs, lookbackMs } = moment;
  const newest = series.at(timeMs, lookbackMs, source.nowMs);
  if (newest === undefined || newest > 0) return undefined;
  const { times, values } = series.window(fromMs, timeMs, source.nowMs);
  return times[values.lastIndexOf(1) + 1] ?? fromMs;
}

/** @param windowS within which restarts and lost attempts count @param baselineS before it */
export function processSights(
  job: string,
  moment: Moment,
  { windowS, baselineS }: { readonly windowS: number; readonly baselineS: number },
): ProcessSight[] {
  const { source, timeMs, lookbackMs } = moment;
  const fromMs = timeMs - (windowS + baselineS) * 1000;
  const only = (measure: Measure): number => [...evaluateMeasure(measure, moment).values()][0]?.value ?? 0;
  return source.select('up', having({ job: [job] })).flatMap((series) => {
    const { instance = '' } = series.labels;
    // No longer listed: it was taken away.
    if (series.at(timeMs, lookbackMs, source.nowMs) === undefined) return [];
    const where = having({ job: [job], instance: [instance] });
    const unready = source
      .select('vitrine_gateway_worker_ready', having({ worker: [instance] }))
      .flatMap((each) => zeroSinceMs(each, fromMs, moment) ?? []);
    const lost = counter('inference_attempts_total', [...UNANSWERED, ...having({ worker: [instance] })]);
    return [
      {
        job,
        instance,
        silentSinceMs: zeroSinceMs(series, fromMs, moment),
        restarts: only({ kind: 'resets', metric: 'process_uptime_seconds', where, windowS, by: [] }),
        unreadySinceMs: unready.length === 0 ? undefined : Math.min(...unready),
        unanswered: Math.round(only(increase(lost, windowS, []))),
      },
    ];
  });
}
