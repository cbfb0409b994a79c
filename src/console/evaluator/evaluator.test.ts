/** Scrapes over real connections, with a clock of the test's own where time matters. */

import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { AlertInstance } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import type { QueryRecord } from '../../contract/query_record.ts';
import { compileEvaluatorPlan } from '../../slo/compile_evaluator.ts';
import { createEvaluator } from './evaluator.ts';
import { attachEvidence, type EvidenceTimes } from './evidence_attacher.ts';
import { createScraper } from './scraper.ts';
import { storeOf, T0_MS } from './series_for_tests.ts';
import { createJumpDetector } from './ticker.ts';

const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Answer = (path: string, response: ServerResponse, token: string | undefined) => void;

async function serve(answer: Answer): Promise<string> {
  const server = createServer((request, response) =>
    answer(request.url ?? '', response, request.headers.authorization),
  ).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function listed(address: string, ...instances: readonly string[]): string {
  return JSON.stringify(
    instances.map((instance) => ({ targets: [address], labels: { job: 'vitrine-worker', instance } })),
  );
}

describe('scrapes', () => {
  const NAME = 'inference_queue_requests';
  const scraperOf = (store = storeOf(['up', NAME]), timeoutMs = 5000) => {
    let atMs = T0_MS;
    const scraper = createScraper(
      { store, log: LOG, nowMs: () => (atMs += 1000) },
      { timeoutMs, bodyLimitBytes: 10_000, tokens: { 'vitrine-worker': 'secret-of-workers' } },
    );
    const read = (name: string) =>
      store
        .select(name, [])
        .map((series) => [series.labels.instance, series.at(atMs + 1, 300_000, store.nowMs)]);
    return { scraper, store, read };
  };

  test('what is listed is scraped, with the secret of its job; what fails is down', async () => {
    const tokens = new Set<string | undefined>();
    let body = `${NAME} 5\n`;
    let status = 200;
    const address = await serve((path, response, token) => {
      if (path === '/metrics') tokens.add(token);
      response.statusCode = path === '/metrics' ? status : 200;
      response.end(path === '/metrics' ? body : listed(address, 'worker-1'));
    });
    const { scraper, read } = scraperOf();
    scraper.setDiscoveryUrls([`http://${address}/metrics/targets`]);
    await scraper.scrape();
    expect([read(NAME), read('up')]).toEqual([[['worker-1', 5]], [['worker-1', 1]]]);
    expect(tokens).toEqual(new Set(['Bearer secret-of-workers']));
    for (const [text, code] of [
      ['no metrics at all', 200],
      [`${NAME} 5\n`, 500],
      ['x'.repeat(20_000), 200],
    ] as const) {
      [body, status] = [text, code];
      await scraper.scrape();
      expect([read(NAME), read('up')], text.slice(0, 20)).toEqual([
        [['worker-1', undefined]],
        [['worker-1', 0]],
      ]);
    }
    expect(scraper.stats()).toMatchObject({ scrapes: 4, failures: 3, targets: 1 });
  });

  test('what is no longer listed has ended; a list that cannot be read keeps the last one', async () => {
    let list: string | undefined;
    const address = await serve((path, response) => {
      if (path === '/metrics') return response.end(`${NAME} 5\n`);
      if (list === undefined) response.statusCode = 500;
      return response.end(list);
    });
    const { scraper, read } = scraperOf();
    scraper.setDiscoveryUrls([`http://${address}/metrics/targets`]);
    list = listed(address, 'worker-1', 'worker-2');
    await scraper.scrape();
    list = undefined;
    await scraper.scrape();
    expect(read('up')).toEqual([
      ['worker-1', 1],
      ['worker-2', 1],
    ]);
    list = listed(address, 'worker-2');
    await scraper.scrape();
    expect(read('up')).toEqual([
      ['worker-1', undefined],
      ['worker-2', 1],
    ]);
  });

  test('a target that does not answer in time is down, and and is not asked twice at a time', async () => {
    const arrived = Promise.withResolvers<void>();
    const address = await serve((path, response) => {
      if (path === '/metrics') arrived.resolve();
      else response.end(listed(address, 'worker-1'));
    });
    const { scraper, read } = scraperOf(undefined, 500);
    scraper.setDiscoveryUrls([`http://${address}/metrics/targets`]);
    const slow = scraper.scrape();
    await arrived.promise;
    await scraper.scrape();
    expect(scraper.stats()).toMatchObject({ scrapes: 1, failures: 0, skipped: 1 });
    await slow;
    expect(read('up')).toEqual([['worker-1', 0]]);
    expect(scraper.stats()).toMatchObject({ scrapes: 1, failures: 1 });
  });
});

test('a clock that was set is told from time that passed', () => {
  const now = { wall: 1e12, monotonic: 0 };
  const jumped = createJumpDetector({ wallMs: () => now.wall, monotonicMs: () => now.monotonic });
  const pass = (wallMs: number, monotonicMs: number): number => {
    now.wall += wallMs;
    now.monotonic += monotonicMs;
    return jumped();
  };
  expect(pass(15_000, 15_000)).toBe(0);
  expect(pass(15_300, 15_000)).toBe(0);
  expect(pass(-3_585_000, 15_000)).toBe(-3_600_000);
  expect(pass(15_000, 15_000)).toBe(0);
  expect(pass(3_615_000, 15_000)).toBe(3_600_000);
});

describe('the whole evaluator at a time scale', () => {
  const plan = compileEvaluatorPlan([], {
    timeScale: 60,
    links: { runbooks: 'runbooks', dashboards: 'http://localhost:3000' },
  });

  /** Resolves when the alert of that name does that. */
  function change(
    evaluator: ReturnType<typeof createEvaluator>,
    name: string,
    kind: string,
    isDone: (alert: AlertInstance) => boolean = () => true,
  ): Promise<AlertInstance> {
    return new Promise((resolve) => {
      evaluator.engine.onChange((instance, event) => {
        if (instance.name === name && event.kind === kind && isDone(instance)) resolve(instance);
      });
    });
  }

  const START = Math.floor(Date.now() / 1000);

  test('a model that cannot be loaded is told, and that it can again, with the store of traces silent', async () => {
    let broken = 1;
    const address = await serve((path, response) => {
      if (path !== '/metrics') return response.end(listed(address, 'worker-1'));
      return response.end(
        `inference_repository_models{model="m",version="1",state="UNAVAILABLE"} ${broken}\nprocess_uptime_seconds ${Date.now() / 1000 - START}\n`,
      );
    });
    await using evaluator = createEvaluator(
      { plan, log: LOG, archives: undefined },
      { discoveryUrls: [`http://${address}/metrics/targets`], tokens: {} },
    );
    const firing = change(evaluator, 'VitrineModelNotLoaded', 'firing');
    const resolved = change(evaluator, 'VitrineModelNotLoaded', 'resolved');
    expect((await firing).annotations.summary).toBe('m version 1 cannot be loaded');
    broken = 0;
    expect((await resolved).state).toBe('resolved');
  });

  test.each([
    ['between a scrape and its answer', (path: string) => path === '/metrics', 0],
    ['between the time of a round and its scrapes', (path: string) => path !== '/metrics', 0],
    // Evaluations follow rounds by less than this: it is the next round that notices.
    ['between an evaluation and the next round', (path: string) => path === '/metrics', 100],
  ])('when the clock is set %s, alerts go on as if it had not been', async (_, isMoment, afterMs) => {
    let broken = 1;
    let aheadMs = 0;
    let jump: (() => void) | undefined;
    const address = await serve((path, response) => {
      if (isMoment(path) && jump !== undefined) {
        if (afterMs === 0) jump();
        else setTimeout(jump, afterMs);
        jump = undefined;
      }
      if (path !== '/metrics') return response.end(listed(address, 'worker-1'));
      return response.end(
        `inference_repository_models{model="m",version="1",state="UNAVAILABLE"} ${broken}\nprocess_uptime_seconds ${Date.now() / 1000 - START}\n`,
      );
    });
    await using evaluator = createEvaluator(
      {
        plan,
        log: LOG,
        archives: undefined,
        clock: { wallMs: () => Date.now() + aheadMs, monotonicMs: () => performance.now() },
      },
      { discoveryUrls: [`http://${address}/metrics/targets`], tokens: {} },
    );
    const [first] = await Promise.all([
      change(evaluator, 'VitrineModelNotLoaded', 'firing'),
      // No gateway is listed here.
      change(evaluator, 'VitrineTargetAbsent', 'firing'),
    ]);
    const firingAtMs = performance.now();
    const changes: string[] = [];
    evaluator.engine.onChange(({ name }, { kind }) => changes.push(`${name} ${kind}`));
    for (const toMs of [3_600_000, 0]) {
      const done = Promise.withResolvers<void>();
      jump = () => {
        aheadMs = toMs;
        done.resolve();
      };
      await done.promise;
      // More than the longest hold of what looks for absence.
      const enough = evaluator.engine.stats().evaluations + 9;
      while (evaluator.engine.stats().evaluations < enough) await nextTurn();
      const now = evaluator.engine.alert(first.fingerprint);
      const since = (now?.firingSinceMs ?? 0) - (first.firingSinceMs ?? 0);
      // As long ago as before, by the clock as it is now.
      expect(Math.abs(since - toMs)).toBeLessThan(1000);
    }
    expect(changes).toEqual([]);
    expect(evaluator.stats().clockJumps).toBe(2);
    broken = 0;
    const { firingSinceMs, resolvedAtMs } = await change(evaluator, 'VitrineModelNotLoaded', 'resolved');
    const firedMs = (resolvedAtMs ?? 0) - (firingSinceMs ?? 0);
    expect(firedMs).toBeLessThan(performance.now() - firingAtMs + 1000);
    expect(firedMs).toBeGreaterThan(0);
  });

  const record = (startMs: number, slow: boolean, index: number): QueryRecord => ({
    traceId: index.toString(16).padStart(32, '0'),
    startUs: startMs * 1000,
    totalMs: slow ? 260 : 12,
    unattributedMs: 0.1,
    stagesMs: { receive: 1, queue: 1, compute: slow ? 255 : 8 + (index % 3), respond: 1 },
    model: 'm',
    version: '1',
    outcome: 'ok',
    errorCode: '',
    worker: index % 2 === 0 ? 'worker-1' : 'worker-2',
  });

  type Ledgers = (startMs: number, endMs: number) => Promise<readonly QueryRecord[]>;

  /** Every second query of the window is slow, at worker-2. */
  const slow: Ledgers = async (startMs, endMs) => {
    const isWindow = endMs > Date.now() - 1500;
    return Array.from({ length: 200 }, (_, index) =>
      record(startMs + ((endMs - startMs) * index) / 200, isWindow && index % 2 === 1, index),
    );
  };

  /**
   * A queue that has been long for a while fires at once; evidence comes from ledgers.
   * @param until evidence is all, unless another event is named
   * @param calm asked at each scrape; from then on the queue is short
   */
  async function withEvidence(
    ledgers: Ledgers,
    {
      until = 'evidence',
      isDone = () => true,
      calm = () => false,
      ...times
    }: Partial<EvidenceTimes> & {
      until?: string;
      isDone?: (alert: AlertInstance) => boolean;
      calm?: () => boolean;
    } = {},
  ) {
    let uptimeS = 0;
    let waiting = 1;
    const address = await serve((path, response) => {
      if (path !== '/metrics') return response.end(listed(address, 'worker-1'));
      uptimeS += 1;
      waiting = calm() ? 0 : uptimeS < 12 ? 20 : waiting * 1.3;
      return response.end(`inference_queue_requests{model="m"} ${waiting}\n`);
    });
    await using evaluator = createEvaluator(
      { plan, log: LOG, archives: undefined },
      { discoveryUrls: [`http://${address}/metrics/targets`], tokens: {} },
    );
    using _evidence = attachEvidence(
      {
        engine: evaluator.engine,
        log: LOG,
        nowMs: Date.now,
        sources: (atMs) => ({
          ledgers: async ({ startMinUs, startMaxUs }) => ({
            queries: await ledgers(startMinUs / 1000, startMaxUs / 1000),
            matched: 0,
            scanLimitReached: false,
          }),
          moment: { source: evaluator.samples, timeMs: atMs, lookbackMs: 5000 },
          timeScale: plan.timeScale,
          traceUrl: (traceId) => `http://console/trace/${traceId}`,
        }),
      },
      times,
    );
    const alert = await change(evaluator, 'VitrineQueueGrowing', until, isDone);
    return { alert, events: evaluator.engine.timeline(alert.fingerprint) };
  }

  test('an alert that fires gets its evidence: stage, place, circumstances, traces', async () => {
    const { alert, events } = await withEvidence(slow);
    expect(alert.state).toBe('firing');
    expect(alert.evidence?.stage?.stage).toBe('compute');
    expect(alert.evidence?.places).toContainEqual({ dimension: 'worker', values: ['worker-2'], all: false });
    expect(alert.evidence?.circumstances.map(({ kind }) => kind)).toContain('queue');
    expect(alert.evidence?.traces[0]?.url).toMatch(/^http:\/\/console\/trace\/[0-9a-f]{32}$/);
    expect(alert.evidence?.traces[0]).toMatchObject({ totalMs: 258, worker: 'worker-2' });
    expect(events.map(({ kind }) => kind)).toEqual(['pending', 'firing', 'evidence']);
  });

  test('without an answer in time the alert says so, once', async () => {
    const { alert, events } = await withEvidence(() => new Promise(() => {}), { deadlineMs: 50 });
    expect(alert.evidence).toBeUndefined();
    expect(events.at(-1)?.detail).toContain('within 50 ms');
  });

  test('what could not be said at the firing is looked at once more, and said then', async () => {
    let asked = 0;
    const { alert, events } = await withEvidence(
      async (startMs, endMs) => {
        asked += 1;
        // One look asks twice: for the window, and for what was before.
        return asked <= 2 ? [] : slow(startMs, endMs);
      },
      { secondLookMs: () => 100, isDone: ({ evidence }) => evidence?.stage !== undefined },
    );
    expect(alert.evidence?.stage?.stage).toBe('compute');
    const found = events.filter(({ kind }) => kind === 'evidence').map(({ detail }) => detail.split('\n')[0]);
    expect(found).toEqual([
      'Cannot say why: only 0 kept traces in the window.',
      expect.stringMatching(/^50 % of queries are slow/),
    ]);
  });

  test('what cannot be said then either is told once, and not looked at for ever', async () => {
    let asked = 0;
    const { events } = await withEvidence(
      async () => {
        asked += 1;
        return [];
      },
      { secondLookMs: () => 10, until: 'resolved', calm: () => asked >= 4 },
    );
    expect(asked).toBe(4);
    expect(events.map(({ kind }) => kind)).toEqual(['pending', 'firing', 'evidence', 'resolved']);
  });
});
