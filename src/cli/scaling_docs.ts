/** docs/scaling.md: the costs, the arithmetic, three plans as `vitrine plan` prints them, and each part's limit. */
import { defaultInput } from './plan.ts';
import { COSTS, type Cost } from './scaling_costs.ts';
import {
  CELL_GATEWAYS,
  CELL_WORKERS,
  OUTCOMES_PER_MODEL,
  type PlanInput,
  planFor,
  planTitle,
  SERIES_PER_METRIC,
  STAGES_PER_MODEL,
} from './scaling_plan.ts';

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n');
}

/** The plans of the page. */
const PLANS: readonly PlanInput[] = [
  defaultInput(10),
  { ...defaultInput(1000), models: 5 },
  { ...defaultInput(100_000), models: 20 },
];

function planSection(input: PlanInput): string {
  const { parts, warnings } = planFor(input);
  const models = input.models === 1 ? '' : ` --models ${input.models}`;
  return `### ${planTitle(input)}

\`npx vitrine plan --rate ${input.ratePerS}${models}\`

${table(
  ['part', 'run', 'because'],
  parts.map(({ part, run, because }) => [part.trim(), run, because]),
)}
${warnings.map((warning) => `\n${warning}\n`).join('')}`;
}

export function scalingDocs(): string {
  const costs = Object.values(COSTS) as Cost[];
  const modelsByStages = Math.floor(SERIES_PER_METRIC / STAGES_PER_MODEL);
  const modelsByOutcomes = Math.floor(SERIES_PER_METRIC / OUTCOMES_PER_MODEL);
  return `<!-- Generated from src/cli/scaling_*.ts by \`npm run generate\`. -->

# Scaling

What to run for a rate of queries, and why. \`vitrine plan --rate <queries/s>\` reckons with your own numbers; this page
is what it prints for three, with the costs behind it and the limit of each part.

## Three plans

Nothing is more than 60 % busy: above it queries begin to wait for each other. \`--compute-ms\` is the figure that
matters most: how long one of your queries holds an inference thread, its share of the batch. In Prometheus:
\`sum(rate(inference_attributed_seconds_total[5m])) / sum(rate(inference_requests_total[5m]))\`.

${PLANS.map(planSection).join('\n')}
"or instead" is the other way to the same traces. In mode \`retroactive\` the gateway decides when a query has ended, and
what is not kept never leaves its process: the Collectors see the kept share alone. In mode \`all\` everything travels,
and the Collector's tail sampling decides: it sees other services' spans of the same trace, too, and costs what the line
says. \`deploy/collector/\` has the files of its two tiers.

## What a query costs

${table(
  ['measured', 'of what', 'source'],
  costs.map(({ value, unit, what, source }) => [
    `${value.toLocaleString('en-US', { maximumFractionDigits: 2 })} ${unit}`,
    what,
    source.startsWith('test/') ? `\`${source}\`` : source,
  ]),
)}

Processor times are of two cores of an Intel Xeon that others used, too: on your machines they are others, and so are
those of your models. Series, spans and bytes are the same everywhere; a test counts them on a running service. Not
measured here: OpenSearch, ClickHouse, remote storage, load balancing in the Collector (its figure is that of passing
on), and any network.

## The arithmetic

\`\`\`
gateways          queries/s x ${COSTS.gatewayCpuUs.value} us / 60 %
workers           queries/s / (60 % x the smaller of threads / compute time, 1 / ${COSTS.workerCpuUs.value} us)
spans/s           queries/s x kept share x (${COSTS.spansPerQuery.value} + 1 / queries in a batch)
bytes/s           queries/s x kept share x (${COSTS.spansPerQuery.value} x ${COSTS.querySpanBytes.value} B + ${COSTS.batchSpanBytes.value} B / queries in a batch)
series            gateways x (${COSTS.gatewaySeries.value} + ${COSTS.gatewaySeriesPerModel.value} x models + ${COSTS.gatewaySeriesPerWorker.value} x workers of its cell) + workers x (${COSTS.workerSeries.value} + ${COSTS.workerSeriesPerModel.value} x models)
samples/s         series / 15 s
Collector memory  spans/s x 10 s x ${COSTS.collectorSpanBytes.value} B
Jaeger's disk     spans/s x ${COSTS.jaegerSpanBytes.value} B x 86,400 x days
Prometheus        series x ${COSTS.prometheusSeriesBytes.value} B of memory, samples/s x ${COSTS.prometheusSampleBytes.value} B x 86,400 x days of disk
\`\`\`

## Where each part ends

${table(
  ['part', 'what ends first', 'what shows it', 'what to do'],
  [
    [
      'gateway',
      `one event loop: 60 % of a core is ${Math.floor(600_000 / COSTS.gatewayCpuUs.value).toLocaleString('en-US')} queries/s`,
      '`nodejs_eventloop_utilization_ratio`, the stages `receive` and `respond`',
      '`VITRINE_GATEWAY_COUNT` on one machine, replicas in a cluster',
    ],
    [
      'gateway, admission',
      '1,024 queries and 256 MiB of bodies in flight, then 503 at once',
      '`vitrine_gateway_admitted_requests` beside its limit',
      'more gateways; `VITRINE_GATEWAY_IN_FLIGHT_LIMIT`',
    ],
    [
      'worker',
      'its inference threads; then one main thread that parses and answers',
      '`inference_executor_busy_seconds_total`, the stages `queue` and `route`',
      'more workers; threads (`instances` in model.yaml) where cores are idle',
    ],
    [
      'a cell',
      `${CELL_GATEWAYS} gateways x ${CELL_WORKERS} workers: each pair has up to 128 connections and two questions a second`,
      '`vitrine_gateway_workers`',
      'a further cell: its own namespace and its own workers, behind one balancer',
    ],
    [
      'metrics of a process',
      `${SERIES_PER_METRIC.toLocaleString('en-US')} label sets of one metric: ${modelsByStages} models with every stage, ${modelsByOutcomes} with every outcome`,
      '`vitrine_telemetry_series_overflow_total`; what has no room is `other`',
      'fewer models to a cell',
    ],
    [
      'export of a process',
      'a ring of 4 MiB; when it fills, new traces are shed whole and counted',
      '`vitrine_telemetry_records_total{outcome="shed"}`',
      'mode `retroactive`; `VITRINE_TELEMETRY_RING_BYTES`',
    ],
    [
      'console',
      'its disk: a day of traces in 10 GB is what the plan allows it; it has no second replica',
      '`vitrine_console_store_usage_bytes`',
      'Collector and Jaeger',
    ],
    [
      'Collector that samples',
      `memory for undecided spans: ${(2.4e9 / 10 / COSTS.collectorSpanBytes.value).toLocaleString('en-US')} spans/s in 2.4 of its 4 GB`,
      '`otelcol_processor_tail_sampling_sampling_trace_dropped_too_early`',
      'two tiers; mode `retroactive`',
    ],
    [
      'Jaeger on Badger',
      'one node: 15,000 spans/s and 500 GB are what the plan allows it',
      '`otelcol_exporter_queue_size` of the Collector',
      'OpenSearch or ClickHouse',
    ],
    [
      'Prometheus',
      'memory: 5 million series in 20 GB',
      '`prometheus_tsdb_head_series`',
      'a pair for each few cells, remote storage for questions over all',
    ],
    [
      'enricher',
      'one process: 64 messages at once, evidence for 8 alerts of each',
      '`vitrine_enricher_messages_total{outcome="overloaded"}`',
      "Alertmanager's grouping",
    ],
    [
      'DNS',
      'gateways x 1 question in 5 s, and one for each worker that does not serve',
      '`vitrine_gateway_dns_lookups_total{outcome="failed"}`',
      '`VITRINE_GATEWAY_WORKERS_DNS_INTERVAL_MS`',
    ],
  ],
)}
`;
}
