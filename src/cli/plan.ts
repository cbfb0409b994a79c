/** `vitrine plan`: what to run for a rate of queries, with the arithmetic. */
import { readArguments, readNumber, UsageError } from './command.ts';
import { type PlanInput, planFor, planTitle } from './scaling_plan.ts';
import { columns, print } from './terminal.ts';

export const summary = 'what to run for a rate of queries, with the arithmetic';

export const help = `Usage: vitrine plan --rate <queries/s> [--models <n>] [--workers <n>] [options]

How many gateways and workers, which Collectors, which Jaeger, which Prometheus: from
measured costs per query, each line with its arithmetic. docs/scaling.md has the costs,
the limit of each part, and three plans.

  --rate <n>            queries a second at the busiest time
  --models <n>          models, each version counted; 1 unless given
  --workers <n>         workers that you have; as many as are needed unless given
  --compute-ms <ms>     how long a query holds an inference thread; 2 unless given.
                        Yours: sum(rate(inference_attributed_seconds_total[5m])) /
                        sum(rate(inference_requests_total[5m]))
  --threads <n>         inference threads of a worker; 1 unless given
  --batch <n>           queries in a batch, on average; 4 unless given
  --keep <share>        share of traces that are kept, 0 to 1. Unless given: all up to
                        100 queries/s, 0.1 up to 10,000, 0.02 beyond (mode retroactive:
                        slow and failed queries are among them)
  --traces-days <n>     how long traces are kept; 7 unless given
  --metrics-days <n>    how long metrics are kept; 30 unless given
  --json                the plan as JSON

Examples:

  npx vitrine plan --rate 10
  npx vitrine plan --rate 1000 --models 5 --compute-ms 8
  npx vitrine plan --rate 100000 --models 20 --workers 600 --json`;

const RATE_MAX = 10_000_000;

/** What holds for a rate unless told. */
export function defaultInput(ratePerS: number): PlanInput {
  return {
    ratePerS,
    models: 1,
    workers: undefined,
    computeMs: 2,
    threads: 1,
    batchQueries: 4,
    keep: ratePerS <= 100 ? 1 : ratePerS <= 10_000 ? 0.1 : 0.02,
    tracesDays: 7,
    metricsDays: 30,
  };
}

export async function run(argv: readonly string[]): Promise<number> {
  const { values } = readArguments(argv, {
    options: {
      rate: { type: 'string' },
      models: { type: 'string' },
      workers: { type: 'string' },
      'compute-ms': { type: 'string' },
      threads: { type: 'string' },
      batch: { type: 'string' },
      keep: { type: 'string' },
      'traces-days': { type: 'string' },
      'metrics-days': { type: 'string' },
      json: { type: 'boolean' },
    },
  });
  if (values.rate === undefined)
    throw new UsageError('--rate is missing: queries a second, such as --rate 1000');
  const usual = defaultInput(readNumber('rate', values.rate, 0.001, RATE_MAX));
  const number = <T>(
    option: keyof typeof values & string,
    otherwise: T,
    min: number,
    max: number,
  ): number | T => {
    const text = values[option];
    return typeof text === 'string' ? readNumber(option, text, min, max) : otherwise;
  };
  const whole = <T>(option: keyof typeof values & string, otherwise: T, max: number): number | T => {
    const value = number(option, otherwise, 1, max);
    if (typeof value === 'number' && !Number.isInteger(value))
      throw new UsageError(`--${option} takes a whole number`);
    return value;
  };
  const plan = planFor({
    ...usual,
    models: whole('models', usual.models, 10_000),
    workers: whole('workers', usual.workers, 100_000),
    computeMs: number('compute-ms', usual.computeMs, 0.001, 600_000),
    threads: whole('threads', usual.threads, 256),
    batchQueries: number('batch', usual.batchQueries, 1, 1024),
    keep: number('keep', usual.keep, 0, 1),
    tracesDays: whole('traces-days', usual.tracesDays, 3650),
    metricsDays: whole('metrics-days', usual.metricsDays, 3650),
  });
  if (values.json === true) {
    print(JSON.stringify(plan, null, 2));
    return 0;
  }
  const rows = plan.parts.map(({ part, run: what, because }) => [`  ${part}`, what, because]);
  const notes = plan.warnings.map((warning) => `\n! ${warning}`).join('');
  print(`${planTitle(plan.input)}\n\n${columns(rows)}${notes === '' ? '' : `\n${notes}`}`);
  return 0;
}
