/**
 * otel-collector.yaml in a real Collector: what it keeps and what it drops, what it counts, and that nothing which it
 * had decided to keep is lost when the store is away and the Collector is killed meanwhile.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setInterval as everySecond } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ATTR } from '../../src/contract/attributes.ts';
import { type CollectorUnderTest, startCollector, startTraceSink } from './collector.ts';
import { freePort } from './prometheus.ts';

const FILE = 'otel-collector.yaml';
const ERROR = 2;

interface TraceSpec {
  readonly durationMs?: number;
  readonly failed?: boolean;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly name?: string;
}

interface Trace extends TraceSpec {
  readonly id: string;
}

function tracesOf(count: number, spec: TraceSpec): Trace[] {
  return Array.from({ length: count }, () => ({ ...spec, id: randomBytes(16).toString('hex') }));
}

/** Two spans each: a query and what it called. One request, so that all begin to wait together. */
async function send(collector: CollectorUnderTest, traces: readonly Trace[]): Promise<void> {
  const nowMs = Date.now();
  const spans = traces.flatMap(
    ({ id, durationMs = 5, failed = false, attributes = {}, name = 'infer langid' }) => {
      const root = randomBytes(8).toString('hex');
      const times = {
        startTimeUnixNano: `${nowMs - durationMs}000000`,
        endTimeUnixNano: `${nowMs}000000`,
      };
      return [
        {
          traceId: id,
          spanId: root,
          name,
          kind: 2,
          ...times,
          attributes: Object.entries(attributes).map(([key, stringValue]) => ({
            key,
            value: { stringValue },
          })),
          status: failed ? { code: ERROR } : {},
        },
        {
          traceId: id,
          spanId: randomBytes(8).toString('hex'),
          parentSpanId: root,
          name: 'attempt',
          kind: 3,
          ...times,
        },
      ];
    },
  );
  const resource = { attributes: [{ key: ATTR.serviceName, value: { stringValue: 'vitrine-gateway' } }] };
  const answer = await fetch(`http://127.0.0.1:${collector.ports.otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans }] }] }),
  });
  expect(answer.status).toBe(200);
}

function ids(traces: readonly Trace[]): string[] {
  return traces.map(({ id }) => id);
}

/** The text of /metrics as soon as it fits. */
async function metricsWith(port: number, pattern: RegExp): Promise<string> {
  for await (const _ of everySecond(1000)) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    if (pattern.test(text)) return text;
  }
  throw new Error('never');
}

test('every error, slow and chosen trace and every batch is kept whole, of the rest its share; all are counted', async () => {
  await using sink = await startTraceSink();
  await using collector = await startCollector(FILE, {
    JAEGER_OTLP_ENDPOINT: sink.endpoint,
    KEEP_PERCENT: '10',
  });
  const all = { [ATTR.keptBecause]: 'all', [ATTR.model]: 'langid', [ATTR.outcome]: 'ok' };
  const rest = tracesOf(1000, { attributes: all });
  const kept = [
    ...tracesOf(50, { failed: true, attributes: all }),
    ...tracesOf(50, { durationMs: 1500, attributes: all }),
    ...['ratio', 'caller', 'sampler', 'slow', 'failed', 'refused', 'retried'].flatMap((reason) =>
      tracesOf(20, { attributes: { ...all, [ATTR.keptBecause]: reason } }),
    ),
    ...tracesOf(50, { name: 'batch langid', attributes: { [ATTR.batchCloseReason]: 'full' } }),
  ];
  // The rest first: when the others have come, it has been decided about, too.
  await send(collector, rest);
  await send(collector, kept);
  await sink.has(ids(kept));
  for (const id of ids(kept)) expect(sink.traces.get(id)).toHaveLength(2);
  const share = ids(rest).filter((id) => sink.traces.has(id)).length;
  // Four standard deviations around a tenth of a thousand.
  expect(share).toBeGreaterThan(62);
  expect(share).toBeLessThan(138);
  expect(sink.traces.size).toBe(kept.length + share);

  // A series begins at 0.
  const calls =
    /^traces_span_metrics_calls_total\{(?=[^}]*span_name="infer langid")(?=[^}]*STATUS_CODE_UNSET)[^}]*\} ([1-9]\d*)/m;
  const text = await metricsWith(collector.ports.metrics, calls);
  const counted = [...text.matchAll(new RegExp(calls, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );
  // Before anything is dropped: all but the errors and the batches.
  expect(counted).toBe(rest.length + kept.length - 100);
  expect(text).toContain('service_name="vitrine-gateway"');
  expect(text).toContain('inference_model_name="langid"');
  expect(text).toMatch(/^traces_span_metrics_duration_seconds_bucket\{.*le="0\.005"/m);
});

test('what was decided outlives the store and the Collector', async () => {
  const port = await freePort();
  await using collector = await startCollector(FILE, { JAEGER_OTLP_ENDPOINT: `127.0.0.1:${port}` });
  const kept = tracesOf(500, { failed: true });
  await send(collector, kept);
  // It has decided, and found that nobody is there.
  let failed = false;
  while (!failed) {
    const [{ msg = '' }] = await once(collector.log(), 'line');
    failed = msg.startsWith('Exporting failed. Will retry');
  }
  await collector.kill();
  await using sink = await startTraceSink(port);
  expect(sink.traces.size).toBe(0);
  await collector.restart();
  await sink.has(ids(kept));
  expect(sink.traces.size).toBe(kept.length);
});
