/** Conditions around an alert, as metrics tell them: what people would ask about next. */
import type { Circumstance } from '../contract/evidence.ts';
import { OUTCOME_VERDICT, OUTCOMES } from '../contract/outcomes.ts';
import type { SampleNeed } from './evaluator_plan.ts';
import type { CounterSource, Measure, Selection } from './expression.ts';
import { averageLevel, counter, having, increase, quotient, rate, share } from './shapes.ts';

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
    'vitrine_gateway_worker_ready',
    'up',
  ] as const;
  return metrics.map((metric) => ({ metric, where: [], reachS: 7200 / timeScale, stepS: scrapeIntervalS }));
}

/** Elements by a key that is equal for equal labels. */
export type Elements = ReadonlyMap<
  string,
  { readonly labels: Readonly<Record<string, string>>; readonly value: number }
>;

/** What a measure is at a time, Unix milliseconds: by the evaluator's samples, or by Prometheus. */
export type EvaluateMeasure = (measure: Measure, atMs: number) => Promise<Elements>;

export interface CircumstanceQuery {
  readonly evaluate: EvaluateMeasure;
  readonly atMs: number;
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
export async function circumstances(query: CircumstanceQuery): Promise<Circumstance[]> {
  const { evaluate, atMs, windowS, baselineS, model } = query;
  const of: Selection = model === undefined ? [] : having({ model: [model] });
  const compare = async (measure: (overS: number) => Measure): Promise<Pair[]> => {
    const [now, before] = await Promise.all([
      evaluate(measure(windowS), atMs),
      evaluate(measure(baselineS), atMs - windowS * 1000),
    ]);
    return [...now].flatMap(([key, { labels, value }]) =>
      Number.isFinite(value) ? [{ labels, now: value, before: before.get(key)?.value ?? 0 }] : [],
    );
  };
  const tell = async (
    kind: Circumstance['kind'],
    pairs: Promise<readonly Pair[]>,
    text: (pair: Pair) => string | undefined,
  ): Promise<Circumstance[]> =>
    (await pairs)
      .toSorted((a, b) => b.now - a.now)
      .flatMap((pair) => {
        const sentence = text(pair);
        return sentence === undefined ? [] : [{ kind, text: sentence }];
      })
      .slice(0, 2);
  const requests = (where: Selection): CounterSource =>
    counter('inference_requests_total', [...of, ...where]);

  const restarts = evaluate(
    { kind: 'resets', metric: 'process_uptime_seconds', where: [], windowS, by: ['instance'] },
    atMs,
  ).then((elements) =>
    [...elements.values()].map(({ labels, value }): Pair => ({ labels, now: value, before: 0 })),
  );
  const told = await Promise.all([
    tell('restart', restarts, ({ labels, now }) =>
      now > 0 ? `${labels.instance} restarted ${now === 1 ? 'once' : `${now} times`}` : undefined,
    ),
    tell(
      'queue',
      compare((overS) => averageLevel('inference_queue_requests', of, overS, 'sum', ['model'])),
      (pair) =>
        grew(pair, 2)
          ? `queue of ${pair.labels.model} grew from ${few(pair.before)} to ${few(pair.now)} queries`
          : undefined,
    ),
    tell(
      'event_loop',
      compare((overS) => averageLevel('nodejs_eventloop_delay_max_seconds', [], overS, 'max', ['instance'])),
      (pair) =>
        grew(pair, 0.1)
          ? `the event loop of ${pair.labels.instance} stands still for ${few(pair.now * 1000)} ms, ${few(pair.before * 1000)} ms before`
          : undefined,
    ),
    tell(
      'gpu',
      compare((overS) => averageLevel('hw_gpu_utilization_ratio', [], overS, 'max', ['hw_id'])),
      (pair) =>
        pair.now > 0.9 || grew(pair, 0.3)
          ? `GPU ${pair.labels.hw_id} is ${few(pair.now * 100)} % busy, ${few(pair.before * 100)} % before`
          : undefined,
    ),
    tell(
      'errors',
      compare((overS) => share(requests(BAD), requests([]), overS, ['model'])),
      (pair) =>
        grew(pair, 0.01)
          ? `${few(pair.now * 100)} % of queries of ${pair.labels.model} fail, ${few(pair.before * 100)} % before`
          : undefined,
    ),
    tell(
      'traffic',
      compare((overS) => rate(requests([]), overS, ['model'])),
      (pair) =>
        pair.before > 0 && (grew(pair, 0.5) || (pair.before >= 0.5 && pair.now * NOTABLE < pair.before))
          ? `traffic of ${pair.labels.model} went from ${few(pair.before)} to ${few(pair.now)} queries a second`
          : undefined,
    ),
    tell(
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
    tell(
      'deployment',
      compare((overS) => increase(requests(having({ outcome: ['ok'] })), overS, ['model', 'version'])),
      (pair) =>
        pair.before === 0 && pair.now >= 1
          ? `version ${pair.labels.version} of ${pair.labels.model} began to answer`
          : undefined,
    ),
  ]);
  return told.flat();
}
