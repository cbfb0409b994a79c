import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { DistributionCell } from './latency_histogram.ts';
import type { LoadOptions } from './plan.ts';
import type { LoadProgress, LoadReport } from './report.ts';
import { runLoad } from './run.ts';

/** One request as the scripted server saw it: `index` counts from 0 in the order of arrival. */
interface Call {
  readonly index: number;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  readonly res: http.ServerResponse;
}

interface Scripted {
  readonly url: string;
  readonly server: http.Server;
  readonly calls: Call[];
}

const open: http.Server[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    if (server.listening) {
      server.close();
      await once(server, 'close');
    }
  }
});

async function serve(answer: (call: Call) => void): Promise<Scripted> {
  const calls: Call[] = [];
  const server = http.createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const call = { index: calls.length, path: req.url ?? '', headers: req.headers, body, res };
      calls.push(call);
      answer(call);
    });
  });
  open.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, server, calls };
}

function reply(res: http.ServerResponse, status: number, body = '{}', headers: object = {}): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
}

function sample(body: string): LoadOptions['samples'][number] {
  return { body: Buffer.from(body), headers: { 'content-type': 'application/json' } };
}

function counted(report: LoadReport): number {
  return report.outcomes.reduce((sum, cell) => sum + cell.count, 0);
}

/** How many of a distribution lie in cells whose lower edge is at or above `edgeMs`. */
function countAbove(cells: readonly DistributionCell[], edgeMs: number): number {
  return cells.reduce((sum, { upToMs, count }) => sum + (upToMs === null || upToMs > edgeMs ? count : 0), 0);
}

const BASE = { model: 'm', samples: [sample('{"x":1}')] } as const;

describe('closed loop', () => {
  test('sends exactly what the plan says, samples in turn, warm-up left out of every figure', async () => {
    // The first four answers wait for each other: four requests must be out at once. Never more.
    const first: http.ServerResponse[] = [];
    let mostAtOnce = 0;
    let atOnce = 0;
    const { url, calls } = await serve(({ res }) => {
      atOnce += 1;
      mostAtOnce = Math.max(mostAtOnce, atOnce);
      first.push(res);
      if (first.length < 4) return;
      for (const ready of first.length === 4 ? first : [res]) {
        atOnce -= 1;
        reply(ready, 200);
      }
    });
    const report = await runLoad({
      url,
      model: 'a model',
      version: '3',
      samples: [sample('one'), sample('two'), sample('three')],
      headers: { 'X-Key': 'k' },
      concurrency: 4,
      warmupRequests: 11,
      requests: 100,
    });
    expect(calls).toHaveLength(111);
    expect(report.warmup).toEqual({ sent: 11, notSent: 0 });
    expect(report).toMatchObject({ sent: 100, ok: 100, failed: 0, notSent: 0, aborted: false });
    expect(report.outcomes).toEqual([{ outcome: 'ok', status: 200, code: '', count: 100, sample: null }]);
    expect(report.latency.response.count).toBe(100);
    expect(report.series.reduce((sum, point) => sum + point.sent, 0)).toBe(100);
    expect(report.series.reduce((sum, point) => sum + point.ok, 0)).toBe(100);
    expect(mostAtOnce).toBe(4);
    const bodies = Map.groupBy(calls, (call) => call.body);
    expect([...bodies].map(([body, list]) => [body, list.length])).toEqual(
      expect.arrayContaining([
        ['one', 37],
        ['two', 37],
        ['three', 37],
      ]),
    );
    expect(calls[0]).toMatchObject({
      path: '/v2/models/a%20model/versions/3/infer',
      headers: { 'x-key': 'k', 'content-type': 'application/json' },
    });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test('every way to end is counted once, with one sample message', async () => {
    const expected = { ok: 0, throttled: 0, rejected: 0, error: 0, cut: 0 };
    const { url } = await serve(({ index, res }) => {
      switch (index % 5) {
        case 0:
          expected.ok += 1;
          return reply(res, 200);
        case 1:
          expected.throttled += 1;
          return reply(res, 429, '{"error":"slow down"}');
        case 2:
          expected.rejected += 1;
          return reply(res, 503, `{"error":"queue ${index} is full"}`);
        case 3:
          expected.error += 1;
          return reply(res, 500, '<h1>\u001b[31mproxy\u0007</h1>');
        default:
          expected.cut += 1;
          res.writeHead(200, { 'content-length': '100' });
          return void res.write('half', () => res.destroy());
      }
    });
    const report = await runLoad({ ...BASE, url, concurrency: 3, requests: 53 });
    expect(counted(report)).toBe(53);
    const byOutcome = Object.fromEntries(report.outcomes.map((cell) => [cell.outcome, cell]));
    expect(byOutcome).toMatchObject({
      ok: { status: 200, count: expected.ok, sample: null },
      throttled: { status: 429, count: expected.throttled, sample: 'slow down' },
      rejected: {
        status: 503,
        count: expected.rejected,
        sample: expect.stringMatching(/^queue \d+ is full$/),
      },
      error: { status: 500, count: expected.error, sample: '<h1> [31mproxy </h1>' },
      connection: {
        status: 0,
        count: expected.cut,
        code: expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET)$/),
      },
    });
    expect(report.ok + report.failed).toBe(53);
    expect(report.latency.response.count).toBe(expected.ok);
    expect(report.latencyOfAll.response.count).toBe(53);
  });

  test('a service that dies in the middle: all requests accounted for, the run ends by itself', async () => {
    const { url, server } = await serve(({ index, res }) => {
      if (index < 30) return reply(res, 200);
      if (server.listening) server.close();
      server.closeAllConnections();
    });
    const report = await runLoad({ ...BASE, url, concurrency: 4, requests: 60 });
    expect(report.sent).toBe(60);
    expect(counted(report)).toBe(60);
    expect(report.ok).toBe(30);
    const codes = new Set(report.outcomes.map((cell) => cell.code));
    expect(codes).toContain('ECONNREFUSED');
    expect(report.failed).toBe(30);
  });

  test('an answer that never comes is given up after timeoutMs and counted', async () => {
    const { url } = await serve(({ index, res }) => {
      if (index % 2 === 0) reply(res, 200);
    });
    const report = await runLoad({ ...BASE, url, concurrency: 2, requests: 6, timeoutMs: 500 });
    expect(counted(report)).toBe(6);
    const timeouts = report.outcomes.find((cell) => cell.outcome === 'timeout');
    expect(timeouts?.count).toBe(3);
    expect(timeouts?.sample).toMatch(/timeoutMs of 500/);
    expect(countAbove(report.latencyOfAll.distribution, 200)).toBeGreaterThanOrEqual(3);
    expect(report.latency.response.count).toBe(3);
  });

  test('nobody listens: the run still ends, with the code of the refusal', async () => {
    const { url, server } = await serve(() => {});
    server.close();
    await once(server, 'close');
    const report = await runLoad({ ...BASE, url, concurrency: 2, durationS: 0.12 });
    expect(report.ok).toBe(0);
    expect(report.sent).toBeGreaterThan(0);
    expect(counted(report)).toBe(report.sent);
    expect(report.outcomes).toMatchObject([{ outcome: 'connection', code: 'ECONNREFUSED' }]);
    // A failed connection rests before the next try, so a dead service is not called in a tight loop.
    expect(report.sent).toBeLessThan(20);
  });
});

describe('open loop', () => {
  test('a stall counts against every arrival that it delayed, not only against the one it hit', async () => {
    // The stall lasts as long as 200 arrivals at 400/s take: at least half a second, and one request meets it.
    const held = 200;
    const stalled = Promise.withResolvers<http.ServerResponse>();
    const { url } = await serve(({ index, res }) => {
      if (index === 100) stalled.resolve(res);
      else reply(res, 200);
    });
    let release: http.ServerResponse | undefined;
    void stalled.promise.then((res) => {
      release = res;
    });
    const report = await runLoad(
      { ...BASE, url, ratePerS: 400, arrivals: 'uniform', connections: 1, requests: 600 },
      {
        onProgress: ({ waiting }) => {
          if (release === undefined || release.writableEnded || waiting < held) return;
          reply(release, 200);
        },
      },
    );
    expect(report).toMatchObject({ sent: 600, ok: 600, notSent: 0 });
    const { response, service } = report.latency;
    // One connection: a busy machine can lengthen one service time at a time, hence not exactly one.
    expect(countAbove(report.latency.serviceDistribution, 200)).toBeLessThanOrEqual(5);
    expect(service.maxMs).toBeGreaterThan(200);
    expect(service.p99Ms).toBeLessThan(200);
    // Those that arrived in the first 300 ms of the stall waited for more than 200 ms.
    expect(countAbove(report.latency.distribution, 200)).toBeGreaterThanOrEqual(100);
    expect(response.p99Ms).toBeGreaterThan(200);
  });

  test('what is outstanding is bounded, and an arrival beyond it is counted, never silently left out', async () => {
    const waiting: http.ServerResponse[] = [];
    let released = false;
    const { url, calls } = await serve(({ res }) => {
      if (released) reply(res, 200);
      else waiting.push(res);
    });
    const seen: LoadProgress[] = [];
    const report = await runLoad(
      { ...BASE, url, ratePerS: 500, connections: 3, maxOutstanding: 8, requests: 300 },
      {
        onProgress: (progress) => {
          seen.push(progress);
          if (released || progress.notSent < 20) return;
          released = true;
          expect(progress).toMatchObject({ inFlight: 3, waiting: 5 });
          expect(calls).toHaveLength(3);
          for (const res of waiting) reply(res, 200);
        },
      },
    );
    expect(report.notSent).toBeGreaterThanOrEqual(20);
    expect(report.sent + report.notSent).toBe(300);
    expect(counted(report)).toBe(report.sent);
    expect(calls).toHaveLength(report.sent);
    expect(report.series.reduce((sum, point) => sum + point.notSent, 0)).toBe(report.notSent);
    for (const { inFlight, waiting: queued } of seen) expect(inFlight + queued).toBeLessThanOrEqual(8);
    expect(seen.at(-1)).toMatchObject({ phase: 'done', inFlight: 0, waiting: 0, done: 1 });
  });

  test('a count of requests includes those that still wait', async () => {
    let held: http.ServerResponse | undefined;
    const { url, calls } = await serve(({ index, res }) => {
      if (index === 0) held = res;
      else reply(res, 200);
    });
    const report = await runLoad(
      { ...BASE, url, ratePerS: 1000, connections: 1, maxOutstanding: 500, requests: 20 },
      {
        onProgress: ({ phase, waiting }) => {
          if (held !== undefined && !held.writableEnded && (phase === 'draining' || waiting > 19))
            reply(held, 200);
        },
      },
    );
    expect(report).toMatchObject({ sent: 20, ok: 20, notSent: 0 });
    expect(calls).toHaveLength(20);
  });

  test('the same seed intends the same arrivals; the duration ends the run although the next is far away', async () => {
    const { url, calls } = await serve(({ res }) => reply(res, 200));
    const options = { ...BASE, url, ratePerS: 100, durationS: 0.5, seed: 5, warmupS: 0.1 } as const;
    const first = await runLoad(options);
    const second = await runLoad(options);
    expect(first.sent).toBeGreaterThan(0);
    expect(second.sent + second.notSent).toBe(first.sent + first.notSent);
    expect(second.warmup).toEqual(first.warmup);
    expect(calls).toHaveLength(2 * (first.sent + first.warmup.sent));
    const rare = await runLoad({ ...options, ratePerS: 0.01, durationS: 0.05 });
    expect(rare).toMatchObject({ sent: 0, notSent: 0, okPerS: 0, aborted: false });
  });
});

describe('stopping', () => {
  test.each(['closed', 'open'])('%s loop: the signal cuts what is out and counts it', async (kind) => {
    const { url, calls } = await serve(() => {});
    const stop = new AbortController();
    let notSentBefore = -1;
    const report = await runLoad(
      {
        ...BASE,
        url,
        ...(kind === 'closed' ? { concurrency: 4 } : { ratePerS: 300, connections: 4, maxOutstanding: 10 }),
      },
      {
        signal: stop.signal,
        onProgress: ({ inFlight, waiting, notSent }) => {
          if (stop.signal.aborted || inFlight < 4 || calls.length < 4) return;
          if (kind === 'open' && waiting < 6) return;
          notSentBefore = notSent;
          stop.abort();
        },
      },
    );
    expect(report).toMatchObject({ aborted: true, sent: 4, ok: 0, failed: 4 });
    expect(report.outcomes).toMatchObject([{ outcome: 'aborted', count: 4 }]);
    // What waited for a connection was never sent, and says so.
    expect(report.notSent).toBe(kind === 'open' ? notSentBefore + 6 : 0);
    expect(report.latencyOfAll.response.count).toBe(0);
  });

  test('a signal that was given before the start sends nothing', async () => {
    const { url, calls } = await serve(({ res }) => reply(res, 200));
    const report = await runLoad({ ...BASE, url, concurrency: 4 }, { signal: AbortSignal.abort() });
    expect(report).toMatchObject({ aborted: true, sent: 0, outcomes: [], series: [] });
    expect(calls).toHaveLength(0);
  });

  test('an error in onProgress ends the run with that error', async () => {
    const { url } = await serve(({ res }) => reply(res, 200));
    const run = runLoad(
      { ...BASE, url, concurrency: 1 },
      {
        onProgress: () => {
          throw new Error('the terminal is gone');
        },
      },
    );
    await expect(run).rejects.toThrow('the terminal is gone');
  });

  test('a plan that does not hold is refused before anything is sent', async () => {
    const { url, calls } = await serve(({ res }) => reply(res, 200));
    await expect(runLoad({ ...BASE, url, concurrency: 0 })).rejects.toMatchObject({ field: 'concurrency' });
    expect(calls).toHaveLength(0);
  });
});

describe('the report', () => {
  test('the ledger of stages, in their order, with shares of the total', async () => {
    const { url } = await serve(({ res }) =>
      reply(res, 200, '{}', {
        'server-timing':
          'compute;dur=6, queue;dur=2;desc="a, b", receive;dur=1, unattributed;dur=0.5, total;dur=10',
      }),
    );
    const { ledger } = await runLoad({ ...BASE, url, concurrency: 2, requests: 20 });
    expect(ledger.stages.map(({ stage, count }) => [stage, count])).toEqual([
      ['receive', 20],
      ['queue', 20],
      ['compute', 20],
    ]);
    expect(ledger.stages.map(({ share }) => Number(share.toFixed(6)))).toEqual([0.1, 0.2, 0.6]);
    expect(ledger.stages[2]).toMatchObject({ meanMs: 6, p50Ms: 6, p99Ms: 6 });
    expect(ledger.total).toMatchObject({ count: 20, meanMs: 10, share: 1 });
    expect(ledger.unattributedShare).toBeCloseTo(0.1, 9);
    expect(ledger).toMatchObject({ answersWith: 20, answersWithout: 0, malformedEntries: 0 });
  });

  test('malformed Server-Timing disturbs nothing and is counted', async () => {
    const headers = ['compute;dur=abc, total;dur=5', ';;,,=;dur', 'compute;dur="', '', undefined];
    const { url } = await serve(({ index, res }) => {
      const value = headers[index % headers.length];
      reply(res, 200, '{}', value === undefined ? {} : { 'server-timing': value });
    });
    const report = await runLoad({ ...BASE, url, concurrency: 1, requests: 10 });
    expect(report.ok).toBe(10);
    expect(report.ledger).toMatchObject({ stages: [], answersWith: 2, answersWithout: 8 });
    expect(report.ledger.malformedEntries).toBeGreaterThan(0);
    expect(report.outsideMeanMs).toBeNull();
  });

  test('names that a proxy makes up do not grow the ledger without bound', async () => {
    const { url } = await serve(({ index, res }) =>
      reply(res, 200, '{}', { 'server-timing': `a${index};dur=1, b${index};dur=1` }),
    );
    const { ledger } = await runLoad({ ...BASE, url, concurrency: 2, requests: 100 });
    expect(ledger.stages).toHaveLength(48);
    expect(ledger.malformedEntries).toBe(200 - 48);
  });

  test('a generator that was held up says that it was the limit', async () => {
    const { url } = await serve(({ res }) => reply(res, 200));
    let blocked = false;
    const report = await runLoad(
      { ...BASE, url, ratePerS: 50, durationS: 1 },
      {
        onProgress: () => {
          if (blocked) return;
          blocked = true;
          for (const endMs = performance.now() + 400; performance.now() < endMs; );
        },
      },
    );
    expect(report.generator.limited).toBe(true);
    expect(report.generator.loopDelayMaxMs).toBeGreaterThan(300);
    expect(report.generator.latenessP99Ms).toBeGreaterThan(100);
    expect(report.generator.reasons.join()).toMatch(/late to an intended send/);
    expect(report.latency.response.maxMs).toBeGreaterThan(100);
  });
});
