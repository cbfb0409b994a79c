/** Conditions around an alert, as the evaluator's samples tell them: what people would ask about next. */
import type { Circumstance } from '../../contract/evidence.ts';
import { OUTCOME_VERDICT, OUTCOMES } from '../../contract/outcomes.ts';
import type { SampleNeed } from '../../slo/evaluator_plan.ts';
import type { CounterSource, Measure, Selection } from '../../slo/expression.ts';
import { averageLevel, counter, having, increase, quotient, rate, share } from '../../slo/shapes.ts';
import { evaluateMeasure, type Moment } from './measure.ts';

/** What has to be sampled for evidence (the sentences below, process_sights.ts), besides what rules ask for. */
export function circumstanceNeeds(timeScale: number, scrapeIntervalS: number): SampleNeed[] {
  const metrics = [
    'inference_requests_total',
    'inference_queue_requests',
    'inference_batch_rows',
    'nodejs_eventloop_delay_max_seconds',
    'hw_gpu_utilization_ratio',
    'process_uptime_seconds',
    'inference_attempts_total',
    'up',
  ] as const;
  return metrics.map((metric) => ({ metric, where: [], reachS: 7200 / timeScale, stepS: scrapeIntervalS }));
}

export interface CircumstanceQuery {
  readonly moment: Moment;
  readonly windowS: number;
  /** Before the window. */
  readonly baselineS: number;
  /** Undefined: of every model. */
  readonly model: string | undefined;
}

const BAD = having({ outcome: OUTCOMES.filter((outcome) => OUTCOME_VERDICT[outcome] === 'bad') });
/** Changes below this factor are not told. */
const NOTABLE = 1.5;

interface Pair {
  readonly labels: Readonly<Record<string, string>>;
  readonly now: number;
  readonly before: number;
}

/** At most two digits after the point, none of large numbers. */
function few(value: number): string {
  return String(Number(value.toPrecision(value >= 100 ? Math.ceil(Math.log10(value + 1)) : 2)));
}

function grew({ now, before }: Pair, least: number): boolean {
  return now >= least && now > NOTABLE * before;
}

/** Sentences without a full stop; those that tell most first, at most one per thing. */
export function circumstances({ moment, windowS, baselineS, model }: CircumstanceQuery): Circumstance[] {
  const past: Moment = { ...moment, timeMs: moment.timeMs - windowS * 1000 };
  const of: Selection = model === undefined ? [] : having({ model: [model] });
  const compare = (measure: (overS: number) => Measure): Pair[] => {
    const before = evaluateMeasure(measure(baselineS), past);
    return [...evaluateMeasure(measure(windowS), moment)].flatMap(([key, { labels, value }]) =>
      Number.isFinite(value) ? [{ labels, now: value, before: before.get(key)?.value ?? 0 }] : [],
    );
  };
  const tell = (
    kind: Circumstance['kind'],
    pairs: readonly Pair[],
    text: (pair: Pair) => string | undefined,
  ): Circumstance[] =>
    pairs
      .toSorted((a, b) => b.now - a.now)
      .flatMap((pair) => {
        const sentence = text(pair);
        return sentence === undefined ? [] : [{ kind, text: sentence }];
      })
      .slice(0, 2);
  const requests = (where: Selection): CounterSource =>
    counter('inference_requests_total', [...of, ...where]);

  const restarts = [
    ...evaluateMeasure(
      { kind: 'resets', metric: 'process_uptime_seconds', where: [], windowS, by: ['instance'] },
      moment,
    ).values(),
  ].map(({ labels, value }): Pair => ({ labels, now: value, before: 0 }));
  return [
    ...tell('restart', restarts, ({ labels, now }) =>
      now > 0 ? `${labels.instance} restarted ${now === 1 ? 'once' : `${now} times`}` : undefined,
    ),
    ...tell(
      'queue',
      compare((overS) => averageLevel('inference_queue_requests', of, overS, 'sum', ['model'])),
      (pair) =>
        grew(pair, 2)
          ? `queue of ${pair.labels.model} grew from ${few(pair.before)} to ${few(pair.now)} queries`
          : undefined,
    ),
    ...tell(
      'event_loop',
      compare((overS) => averageLevel('nodejs_eventloop_delay_max_seconds', [], overS, 'max', ['instance'])),
      (pair) =>
        grew(pair, 0.1)
          ? `the event loop of ${pair.labels.instance} stands still for ${few(pair.now * 1000)} ms, ${few(pair.before * 1000)} ms before`
          : undefined,
    ),
    ...tell(
      'gpu',
      compare((overS) => averageLevel('hw_gpu_utilization_ratio', [], overS, 'max', ['hw_id'])),
      (pair) =>
        pair.now > 0.9 || grew(pair, 0.3)
          ? `GPU ${pair.labels.hw_id} is ${few(pair.now * 100)} % busy, ${few(pair.before * 100)} % before`
          : undefined,
    ),
    ...tell(
      'errors',
      compare((overS) => share(requests(BAD), requests([]), overS, ['model'])),
      (pair) =>
        grew(pair, 0.01)
          ? `${few(pair.now * 100)} % of queries of ${pair.labels.model} fail, ${few(pair.before * 100)} % before`
          : undefined,
    ),
    ...tell(
      'traffic',
      compare((overS) => rate(requests([]), overS, ['model'])),
      (pair) =>
        pair.before > 0 && (grew(pair, 0.5) || (pair.before >= 0.5 && pair.now * NOTABLE < pair.before))
          ? `traffic of ${pair.labels.model} went from ${few(pair.before)} to ${few(pair.now)} queries a second`
          : undefined,
    ),
    ...tell(
      'batch',
      compare((overS) => {
        const rows = (kind: 'sum' | 'count') =>
          increase({ kind, metric: 'inference_batch_rows', where: of }, overS, ['model']);
        return quotient(rows('sum'), rows('count'));
      }),
      (pair) =>
        pair.before > 0 && (grew(pair, 2) || pair.now * NOTABLE < pair.before)
          ? `batches of ${pair.labels.model} hold ${few(pair.now)} rows, ${few(pair.before)} before`
          : undefined,
    ),
    ...tell(
      'deployment',
      compare((overS) => increase(requests(having({ outcome: ['ok'] })), overS, ['model', 'version'])),
      (pair) =>
        pair.before === 0 && pair.now >= 1
          ? `version ${pair.labels.version} of ${pair.labels.model} began to answer`
          : undefined,
    ),
  ];
}
