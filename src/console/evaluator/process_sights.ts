/** What the evaluator's samples tell of each process, for evidence about processes. */
import { SERVICE_GATEWAY, SERVICE_WORKER } from '../../contract/attributes.ts';
import type { AlertRule } from '../../slo/alert.ts';
import type { ProcessSight } from '../../slo/evidence_input.ts';
import { counter, having, increase } from '../../slo/shapes.ts';
import { evaluateMeasure, type Moment } from './measure.ts';

/** Which processes a rule is about: those of the alert's job, or the workers where gateways tell of them. */
export function jobOf(rule: AlertRule, labels: Readonly<Record<string, string>>): string {
  const { job = SERVICE_WORKER } = labels;
  return rule.place === 'gateway' && job === SERVICE_GATEWAY ? SERVICE_WORKER : job;
}

const ANSWERED = having({ outcome: ['ok', 'error'] });
const UNANSWERED = having({ outcome: ['lost', 'deadline'] });

/** The newest growth of any of the counters in (fromMs, toMs]. */
function lastGrowthMs(worker: string, fromMs: number, { source, timeMs }: Moment): number | undefined {
  let newestMs: number | undefined;
  const where = [...ANSWERED, ...having({ worker: [worker] })];
  for (const series of source.select('inference_attempts_total', where)) {
    const { times, values } = series.window(fromMs, timeMs, source.nowMs);
    const index = values.findLastIndex((value, at) => at > 0 && value > (values[at - 1] as number));
    if (index > 0) newestMs = Math.max(newestMs ?? 0, times[index] as number);
  }
  return newestMs;
}

/** @param baselineS before the window */
export function processSights(
  job: string,
  moment: Moment,
  { windowS, baselineS }: { readonly windowS: number; readonly baselineS: number },
): ProcessSight[] {
  const { source, timeMs, lookbackMs } = moment;
  const past: Moment = { ...moment, timeMs: timeMs - windowS * 1000 };
  const fromMs = timeMs - (windowS + baselineS) * 1000;
  const attempts = (where: typeof ANSWERED, worker: string, overS: number, at: Moment): number => {
    const of = counter('inference_attempts_total', [...where, ...having({ worker: [worker] })]);
    const [total] = [...evaluateMeasure(increase(of, overS, []), at).values()];
    return total?.value ?? 0;
  };
  return source.select('up', having({ job: [job] })).flatMap((series) => {
    const { instance = '' } = series.labels;
    const up = series.at(timeMs, lookbackMs, source.nowMs);
    // No longer listed: it was taken away.
    if (up === undefined) return [];
    const { times, values } = series.window(fromMs, timeMs, source.nowMs);
    const lastAnswered = values.lastIndexOf(1);
    const [restarted] = [
      ...evaluateMeasure(
        {
          kind: 'resets',
          metric: 'process_uptime_seconds',
          where: having({ job: [job], instance: [instance] }),
          windowS,
          by: [],
        },
        moment,
      ).values(),
    ];
    return [
      {
        job,
        instance,
        silentSinceMs: up > 0 ? undefined : (times[lastAnswered + 1] ?? fromMs),
        restarts: restarted?.value ?? 0,
        answersPerS: attempts(ANSWERED, instance, baselineS, past) / baselineS,
        answeredAtMs: lastGrowthMs(instance, fromMs, moment),
        unanswered: Math.round(attempts(UNANSWERED, instance, windowS, moment)),
      },
    ];
  });
}
