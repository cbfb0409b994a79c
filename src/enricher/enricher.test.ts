/** The enricher over real connections: Alertmanager's messages in, a receiver behind, a console with real traces. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { simulate } from '../../bench/evidence_scenarios.ts';
import {
  message,
  otlpOf,
  type RunningEnricher,
  startConsole,
  startEnricher,
  startScripted,
  traceIdOf,
} from '../../test/fixtures/running_enricher.ts';
import { startReceiver } from '../console/notifier/alerts_for_tests.ts';
import { StartupError } from '../lifecycle/startup_error.ts';
import type { EnricherOptions } from './enricher.ts';

/** A port on which nobody listens. */
const NOBODY = 'http://127.0.0.1:1';

let opened: AsyncDisposableStack;
let sink: Awaited<ReturnType<typeof startReceiver>>;

beforeEach(async () => {
  opened = new AsyncDisposableStack();
  sink = opened.use(await startReceiver());
});
afterEach(() => opened.disposeAsync());

async function start(options: Partial<EnricherOptions> = {}): Promise<RunningEnricher> {
  return opened.use(await startEnricher({ forwardUrls: { '': sink.url }, ...options }));
}

interface Forwarded {
  readonly commonAnnotations: Readonly<Record<string, string>>;
  readonly alerts: readonly { readonly annotations: Readonly<Record<string, string>> }[];
}

function forwarded(at = 0): Forwarded {
  return JSON.parse(sink.bodies[at] ?? '') as Forwarded;
}

/** Traffic of two minutes until now in a console's store; in its last 20 s worker-2 computes slowly. */
async function consoleWithFault() {
  const console_ = opened.use(await startConsole());
  const nowMs = Date.now();
  const common = { ratePerS: 20, workers: 2, pauseShare: 0.01 };
  const before = simulate({ ...common, seed: 5, seconds: 100, fromMs: nowMs - 120_000, fault: undefined });
  const fault = { stage: 'compute', worker: 'worker-2', delayMs: 120 } as const;
  const after = simulate({ ...common, seed: 6, seconds: 19, fromMs: nowMs - 20_000, fault });
  // One slow query with many after it: a search that gives the newest traces of its range does not meet it.
  const [like] = before;
  const hidden = [{ ...(like as (typeof before)[number]), startMs: nowMs - 22_500, serviceMs: 9000 }];
  for (const [salt, ledgers] of Object.entries({ before, after, hidden })) {
    const answer = await fetch(`http://127.0.0.1:${console_.console.otlpPort}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: otlpOf(ledgers, salt),
    });
    expect(answer.status).toBe(200);
  }
  return {
    url: console_.url,
    hiddenId: traceIdOf(hidden[0] as (typeof hidden)[number], 'hidden'),
    startsAtMs: nowMs - 5000,
  };
}

describe('evidence', () => {
  test('a firing alert takes along which stage grew, on which worker, and a trace that shows it', async () => {
    const { url, startsAtMs } = await consoleWithFault();
    const running = await start({ tracesUrl: url, tracesPublicUrl: 'https://traces.example' });
    const sent = message([{ startsAtMs }]);
    const answer = await running.send(sent);
    expect([answer.status, await answer.json()]).toEqual([200, { forwarded: true, withEvidence: 1 }]);

    const body = forwarded();
    const { evidence = '', evidence_url: link, ...others } = body.alerts[0]?.annotations ?? {};
    expect(evidence).toMatch(/compute takes 1\d\d ms instead of \d/);
    expect(evidence).toContain('Where: only worker worker-2.');
    expect(link).toMatch(/^https:\/\/traces\.example\/trace\/[0-9a-f]{32}$/);
    const shown = await fetch(`${url}/api/v3/traces/${link?.slice(-32)}`);
    expect(shown.status).toBe(200);
    // Everything else is as it came, what this version does not know among it.
    const [alert] = sent.alerts as { annotations: Record<string, string> }[];
    expect(others).toEqual(alert?.annotations);
    expect({
      ...body,
      alerts: [{ ...body.alerts[0], annotations: others }],
      commonAnnotations: undefined,
    }).toEqual({
      ...sent,
      commonAnnotations: undefined,
    });
    expect(body.commonAnnotations).toEqual({
      ...(sent.commonAnnotations as object),
      evidence,
      evidence_url: link,
    });
    const metrics = await running.metrics();
    expect(metrics.get('vitrine_enricher_alerts_total{evidence="explained"}')).toBe(1);
    expect(metrics.get('vitrine_enricher_messages_total{receiver="default",outcome="forwarded"}')).toBe(1);
    expect(metrics.get('vitrine_enricher_source_requests_total{source="traces",outcome="ok"}')).toBe(12);
  });

  test('what is resolved, the watchdog and alerts of others go on as they came', async () => {
    const { url } = await consoleWithFault();
    const running = await start({ tracesUrl: url });
    const sent = JSON.stringify(
      message([
        { status: 'resolved' },
        { labels: { alertname: 'VitrineWatchdog', slo: '' } },
        { labels: { alertname: 'NodeDiskFull' } },
      ]),
    );
    expect((await running.send(sent)).status).toBe(200);
    expect(sink.bodies).toEqual([sent]);
    expect((await running.metrics()).get('vitrine_enricher_alerts_total{evidence="not_asked"}')).toBe(3);
  });

  test('exemplars name the slowest query, whose trace a sample would have missed', async () => {
    const { url, hiddenId: traceId, startsAtMs } = await consoleWithFault();
    const selectors: (string | null)[] = [];
    const prometheus = opened.use(
      await startScripted((path, response, request) => {
        if (path !== '/prom/api/v1/query_exemplars') {
          return response.end('{"status":"success","data":{"resultType":"vector","result":[]}}');
        }
        selectors.push(new URLSearchParams(request.url?.split('?')[1]).get('query'));
        const exemplar = (id: string, value: string) => ({
          labels: { trace_id: id, span_id: '00f067aa0ba902b7' },
          value,
          timestamp: Date.now() / 1000,
        });
        const series = {
          seriesLabels: {
            __name__: 'inference_service_duration_seconds_bucket',
            model: 'langid',
            version: '1',
          },
          exemplars: [exemplar('f'.repeat(32), '9.5'), exemplar(traceId, '0.3'), exemplar('no id', '99')],
        };
        return response.end(JSON.stringify({ status: 'success', data: [series] }));
      }),
    );
    const unaided = await start({ tracesUrl: url });
    await unaided.send(message([{ startsAtMs }]));
    const running = await start({ tracesUrl: url, prometheusUrl: `${prometheus.url}/prom` });
    await running.send(message([{ startsAtMs }]));
    expect(selectors).toEqual(['inference_service_duration_seconds_bucket{model="langid"}']);
    // The trace of the first exemplar was not kept: a link to it would lead nowhere.
    const links = [0, 1].map((at) => forwarded(at).alerts[0]?.annotations.evidence_url);
    expect(links[0]).not.toBe(`${url}/trace/${traceId}`);
    expect(links[1]).toBe(`${url}/trace/${traceId}`);
  });

  test('without a trace store, conditions and exemplars are told, and that nothing is claimed', async () => {
    const prometheus = opened.use(
      await startScripted((path, response, request) => {
        const query = new URLSearchParams(request.url?.split('?')[1]).get('query') ?? '';
        const at = Number(new URLSearchParams(request.url?.split('?')[1]).get('time'));
        if (path.endsWith('query_exemplars')) {
          const labels = { trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) };
          const exemplars = [{ labels, value: '0.75', timestamp: 1 }];
          return response.end(JSON.stringify({ status: 'success', data: [{ seriesLabels: {}, exemplars }] }));
        }
        const isNow = at > Date.now() / 1000 - 5;
        const result = query.includes('inference_queue_requests')
          ? [{ metric: { model: 'langid' }, value: [at, isNow ? '64' : '2'] }]
          : [];
        return response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
      }),
    );
    const running = await start({ tracesUrl: NOBODY, prometheusUrl: prometheus.url });
    await running.send(message([{}]));
    expect(forwarded().alerts[0]?.annotations.evidence?.split('\n')).toEqual([
      'Cannot say why: the trace store could not be reached (ECONNREFUSED).',
      'Also: queue of langid grew from 2 to 64 queries.',
      `Slowest: 750 ms, ${NOBODY}/trace/${'a'.repeat(32)}`,
    ]);
    expect((await running.metrics()).get('vitrine_enricher_alerts_total{evidence="cannot_say"}')).toBe(1);
  });

  test('an alert about processes tells which one is silent, by Prometheus alone', async () => {
    const prometheus = opened.use(
      await startScripted((path, response, request) => {
        const asked = new URLSearchParams(request.url?.split('?')[1]);
        const query = asked.get('query') ?? '';
        const end = Number(asked.get('end'));
        const up = (instance: string, value: string) => ({
          metric: { job: 'vitrine-worker', instance },
          value: [0, value],
        });
        const range = (instance: string, values: [number, string][]) => ({
          metric: { job: 'vitrine-worker', instance },
          values,
        });
        const result = !query.startsWith('up{job="vitrine-worker"}')
          ? []
          : path.endsWith('query_range')
            ? [
                range('worker-1', [
                  [end - 20, '1'],
                  [end - 10, '1'],
                  [end, '1'],
                ]),
                range('worker-2', [
                  [end - 20, '1'],
                  [end - 10, '0'],
                  [end, '0'],
                ]),
              ]
            : [up('worker-1', '1'), up('worker-2', '0')];
        return response.end(JSON.stringify({ status: 'success', data: { result } }));
      }),
    );
    const running = await start({ tracesUrl: NOBODY, prometheusUrl: prometheus.url });
    const labels = { alertname: 'VitrineTargetDown', slo: '', job: 'vitrine-worker', instance: 'worker-2' };
    const { slo: _, ...rest } = labels;
    const sent = message([{ labels: rest }]);
    for (const alert of sent.alerts as { labels: Record<string, string> }[]) delete alert.labels.slo;
    await running.send(sent);
    expect(forwarded().alerts[0]?.annotations.evidence).toMatch(
      /^worker-2 has answered no scrape since \d\d:\d\d:\d\d UTC: it hangs, is down, or cannot be reached\./,
    );
  });
});

describe('the original goes on', () => {
  const sources = { tracesUrl: NOBODY, prometheusUrl: NOBODY };

  test('byte by byte when everything that evidence needs is down', async () => {
    const running = await start(sources);
    const sent = JSON.stringify(message([{}]), undefined, 1);
    expect((await running.send(sent)).status).toBe(200);
    expect(sink.bodies).toEqual([sent]);
    expect((await running.metrics()).get('vitrine_enricher_alerts_total{evidence="failed"}')).toBe(1);
  });

  test.each([
    ['hang', () => {}],
    ['answer a page', (_, response) => response.end('<html>')],
    ['redirect', (_, response) => response.writeHead(302, { location: '/elsewhere' }).end()],
    ['answer nonsense', (_, response) => response.end('{"status":"success","data":[{}]}')],
    ['answer too much', (_, response) => response.end(Buffer.alloc(17 * 1024 * 1024, ' '))],
    ['hang up', (_, response) => response.destroy()],
  ] satisfies [string, Parameters<typeof startScripted>[0]][])('when sources %s', async (_, answer) => {
    const source = opened.use(await startScripted(answer));
    const running = await start({ tracesUrl: source.url, prometheusUrl: source.url, deadlineMs: 300 });
    const sent = JSON.stringify(message([{}]));
    expect((await running.send(sent)).status).toBe(200);
    expect(source.asked.length).toBeGreaterThan(1);
    expect(source.asked.filter((path) => path === '/elsewhere')).toEqual([]);
    expect(JSON.parse(sink.bodies[0] ?? '').groupKey).toBe(JSON.parse(sent).groupKey);
    const { evidence = 'Cannot say' } = forwarded().alerts[0]?.annotations ?? {};
    expect(evidence).toContain('Cannot say');
  });

  test('when it is no message that we can read', async () => {
    const running = await start(sources);
    for (const body of [
      '{"version":"5","alerts":{}}',
      'not JSON',
      '{"version":"4","alerts":[{"status":"odd"}]}',
    ]) {
      expect((await running.send(body)).status).toBe(200);
      expect(sink.bodies.at(-1)).toBe(body);
    }
    const metrics = await running.metrics();
    expect(metrics.get('vitrine_enricher_messages_total{receiver="default",outcome="unreadable"}')).toBe(3);
  });

  test('with evidence for the first alerts of a large group', async () => {
    const { url, startsAtMs } = await consoleWithFault();
    const running = await start({ tracesUrl: url });
    await running.send(
      message(Array.from({ length: 30 }, (_, index) => ({ startsAtMs, labels: { tenant: `${index}` } }))),
    );
    const { alerts, commonAnnotations } = forwarded();
    expect(alerts).toHaveLength(30);
    expect(alerts.filter(({ annotations }) => annotations.evidence !== undefined)).toHaveLength(8);
    expect(commonAnnotations.evidence).toBeUndefined();
    expect((await running.metrics()).get('vitrine_enricher_alerts_total{evidence="skipped"}')).toBe(22);
  });
});

describe('duplicates', () => {
  test('are sent once, whether they come together or one after the other', async () => {
    const running = await start();
    const sent = message([{}]);
    const again = { ...sent, notification_reason: 'repeat', externalURL: 'http://alertmanager-1:9093' };
    const answers = await Promise.all([running.send(sent), running.send(again), running.send(sent)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await (await running.send(again)).json()).toMatchObject({ forwarded: false });
    expect(sink.bodies).toHaveLength(1);
    // News is none: one alert more, or its end.
    const [first] = sent.alerts as object[];
    await running.send({ ...sent, alerts: [first, { ...first, fingerprint: '1'.repeat(16) }] });
    await running.send({ ...sent, alerts: [{ ...first, status: 'resolved' }] });
    expect(sink.bodies).toHaveLength(3);
    const metrics = await running.metrics();
    expect(metrics.get('vitrine_enricher_messages_total{receiver="default",outcome="duplicate"}')).toBe(3);
    expect(metrics.get('vitrine_enricher_known_messages')).toBe(3);
  });

  test('a message that was not taken is sent again', async () => {
    const running = await start();
    sink.answer((response) => response.writeHead(500).end());
    const sent = message([{}]);
    expect((await running.send(sent)).status).toBe(503);
    sink.answer((response) => response.end('ok'));
    expect((await running.send(sent)).status).toBe(200);
    expect(sink.bodies).toHaveLength(2);
  });

  test('each is sent where the window is 0', async () => {
    const running = await start({ duplicateWindowS: 0 });
    const sent = message([{}]);
    await running.send(sent);
    await running.send(sent);
    expect(sink.bodies).toHaveLength(2);
  });
});

describe('the receiver', () => {
  test.each([
    [500, 503],
    [429, 503],
    [400, 400],
    [302, 502],
  ])('answers %i, and Alertmanager is told %i', async (status, told) => {
    sink.answer((response) =>
      response.writeHead(status, { 'retry-after': '7', location: `${sink.url}/elsewhere` }).end(),
    );
    const running = await start();
    const answer = await running.send(message([{}]));
    expect(answer.status).toBe(told);
    expect(answer.headers.get('retry-after')).toBe(told === 503 ? '7' : null);
    expect(sink.bodies).toHaveLength(1);
    // The address holds secrets: neither log nor answer shows more than its origin.
    expect(running.logged).toHaveLength(1);
    expect([...running.logged, await answer.text()].join('\n')).not.toContain('SECRET');
  });

  test('does not answer in time: Alertmanager tries again', async () => {
    sink.answer(() => {});
    const running = await start({ forwardTimeoutMs: 100 });
    expect((await running.send(message([{}]))).status).toBe(503);
  });

  test('is chosen by the path', async () => {
    const other = opened.use(await startReceiver());
    const running = await start({ forwardUrls: { page: sink.url, ticket: other.url } });
    await running.send(message([{}]), '/alerts/ticket');
    await running.send(message([{}]), '/alerts/page');
    expect([sink.bodies.length, other.bodies.length]).toEqual([1, 1]);
    for (const path of ['/alerts', '/alerts/nobody']) {
      const answer = await running.send(message([{}]), path);
      expect([answer.status, await answer.text()]).toEqual([
        404,
        expect.stringContaining('VITRINE_ENRICHER_FORWARD_URLS'),
      ]);
    }
  });
});

describe('who may send, and how much', () => {
  test('a token opens messages and metrics; health is open', async () => {
    const token = 'a-token-of-more-than-16-characters';
    const running = await start({ token });
    expect((await running.send(message([{}]))).status).toBe(403);
    expect((await running.send(message([{}]), '/alerts', { authorization: `Bearer ${token}x` })).status).toBe(
      403,
    );
    expect((await running.send(message([{}]), '/alerts', { authorization: `Bearer ${token}` })).status).toBe(
      200,
    );
    expect((await fetch(`${running.url}/metrics`)).status).toBe(403);
    expect((await fetch(`${running.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${running.url}/livez`)).status).toBe(200);
    expect(sink.bodies).toHaveLength(1);
  });

  test('beyond loopback it does not start without a token, and nowhere without a receiver', async () => {
    await expect(startEnricher({ forwardUrls: { '': sink.url }, host: '0.0.0.0' })).rejects.toThrow(
      StartupError,
    );
    await expect(startEnricher({ forwardUrls: {} })).rejects.toThrow(/VITRINE_ENRICHER_FORWARD_URLS/);
  });

  test('a page of another site cannot: other hosts, types and methods are refused', async () => {
    const running = await start();
    const type = await running.send(message([{}]), '/alerts', { 'content-type': 'text/plain' });
    expect(type.status).toBe(415);
    const method = await fetch(`${running.url}/alerts`);
    expect([method.status, method.headers.get('allow')]).toEqual([405, 'POST']);
    const preflight = await fetch(`${running.url}/alerts`, {
      method: 'OPTIONS',
      headers: { origin: 'http://evil.example' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
    expect((await fetch(`${running.url}/other`)).status).toBe(404);
    expect(sink.bodies).toEqual([]);
  });

  test('a message that is too large is refused with the setting to change', async () => {
    const running = await start({ bodyLimitBytes: 1024 });
    const answer = await running.send(message([{}, {}, {}]));
    expect([answer.status, await answer.text()]).toEqual([413, expect.stringContaining('BODY_LIMIT_BYTES')]);
  });

  test('beyond the limit Alertmanager is told to come again; what is in work is finished when draining', async () => {
    const arrived = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    sink.answer((response) => {
      arrived.resolve();
      void release.promise.then(() => response.end());
    });
    const running = await start({ inFlightLimit: 1 });
    const first = running.send(message([{}]));
    await arrived.promise;
    const second = await running.send(message([{ labels: { tenant: 'other' } }]));
    expect([second.status, second.headers.get('retry-after')]).toEqual([503, '1']);
    const drained = running.enricher.drain(5000);
    release.resolve();
    expect((await first).status).toBe(200);
    await drained;
    await expect(running.send(message([{}]))).rejects.toThrow();
    const metrics = await running.metrics();
    expect(metrics.get('vitrine_enricher_messages_total{receiver="default",outcome="overloaded"}')).toBe(1);
  });
});
