import { describe, expect, test } from 'vitest';
import { STAGES } from '../contract/stages.ts';
import { catalogFamilies, negotiate, renderFamilies, renderInTurns } from './exposition.ts';
import { Metrics, SERIES_LIMIT } from './metrics.ts';
import { prometheusName } from './sdk_metrics.ts';

function render(metrics: Metrics, format: 'openmetrics' | 'classic'): string {
  return renderFamilies(catalogFamilies(metrics), format);
}

describe('exposition', () => {
  test.each([
    [undefined, 'classic'],
    ['*/*', 'classic'],
    ['text/plain', 'classic'],
    // As Prometheus 3 sends it.
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1',
      'openmetrics',
    ],
    ['application/openmetrics-text;q=0, text/plain', 'classic'],
    ['application/openmetrics-text;q=0.1, text/plain;q=0.9', 'classic'],
    ['application/openmetrics-text', 'openmetrics'],
    [';;q=,=;,', 'classic'],
    ['x'.repeat(5000), 'classic'],
  ] as const)('Accept %s asks for %s', (accept, format) => {
    expect(negotiate(accept)).toBe(format);
  });

  test('counters, histograms with cumulative buckets, exemplars, and the end mark', () => {
    const metrics = new Metrics();
    metrics.counter('inference_requests_begun_total').series({ model: 'langid' }).add(3);
    const duration = metrics
      .histogram('inference_request_duration_seconds')
      .series({ model: 'langid', version: '1', outcome: 'ok' });
    duration.observe(0.0004);
    duration.observe(0.0005, {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      timestampS: 1_790_000_000.5,
    });
    duration.observe(99);
    const text = render(metrics, 'openmetrics');
    const labels = 'model="langid",version="1",outcome="ok"';
    expect(text).toContain(
      '# TYPE inference_requests_begun counter\ninference_requests_begun_total{model="langid"} 3\n',
    );
    expect(text).toContain(
      `inference_request_duration_seconds_bucket{${labels},le="0.0005"} 2 # {trace_id="${'a'.repeat(32)}",span_id="${'b'.repeat(16)}"} 0.0005 1790000000.500\n`,
    );
    expect(text).toContain(`inference_request_duration_seconds_bucket{${labels},le="10.5"} 2\n`);
    expect(text).toContain(`inference_request_duration_seconds_bucket{${labels},le="+Inf"} 3\n`);
    expect(text).toContain(`inference_request_duration_seconds_count{${labels}} 3\n`);
    expect(text.endsWith('# EOF\n')).toBe(true);
    const classic = render(metrics, 'classic');
    expect(classic).toContain('# TYPE inference_requests_begun_total counter\n');
    expect(classic).not.toContain('trace_id');
    expect(classic).not.toContain('# EOF');
  });

  test('in turns the same text is written, and others have their turns in between', async () => {
    const metrics = new Metrics();
    const stages = metrics.histogram('inference_stage_duration_seconds');
    for (let model = 0; model < 100; model += 1) {
      for (const stage of STAGES) stages.series({ model: `m${model}`, stage }).observe(model / 1000);
    }
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    const text = await renderInTurns(catalogFamilies(metrics), 'openmetrics');
    done = true;
    expect(text).toBe(render(metrics, 'openmetrics'));
    expect(text.split('\n').length).toBeGreaterThan(30_000);
    expect(turns).toBeGreaterThan(5);
  });

  test('label values with quotes, backslashes and newlines stay one label', () => {
    const metrics = new Metrics();
    metrics.counter('inference_requests_begun_total').series({ model: 'a"b\\c\nd' }).add(1);
    expect(render(metrics, 'openmetrics')).toContain('{model="a\\"b\\\\c\\nd"} 1');
  });

  test('beyond the limit of series a flood of label values ends in other, and is counted', () => {
    const metrics = new Metrics();
    const begun = metrics.counter('inference_requests_begun_total');
    for (let index = 0; index < SERIES_LIMIT + 50; index += 1) begun.series({ model: `m${index}` }).add(1);
    const all = [...begun.all()];
    expect(all).toHaveLength(SERIES_LIMIT + 1);
    expect(all.at(-1)?.labels).toEqual(['other']);
    expect(all.at(-1)?.value).toBe(50);
    const overflow = metrics.counter('vitrine_telemetry_series_overflow_total');
    expect(overflow.series({ metric: 'inference_requests_begun_total' }).value).toBe(50);
  });

  test.each([
    ['nodejs.eventloop.delay.p50', 's', true, 'nodejs_eventloop_delay_p50_seconds'],
    ['process.memory.usage', 'By', true, 'process_memory_usage_bytes'],
    ['hw.gpu.utilization', '1', true, 'hw_gpu_utilization_ratio'],
    ['otel.sdk.span.live', '{span}', true, 'otel_sdk_span_live'],
    ['http.server.request.duration', 's', false, 'http_server_request_duration_seconds'],
  ])('%s in %s is scraped as %s', (name, unit, isGauge, expected) => {
    expect(prometheusName(name, unit, isGauge)).toBe(expected);
  });
});
