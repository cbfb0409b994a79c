import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  metricSum,
  type RunningGateway,
  runGateway,
  startTestTelemetry,
} from '../../test/fixtures/running_gateway.ts';
import {
  answer,
  type Script,
  type ScriptedQuery,
  type ScriptedWorker,
  startScriptedWorker,
} from '../../test/fixtures/scripted_worker.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { GatewayOptions } from './options.ts';

let telemetry: Telemetry;
beforeAll(async () => {
  telemetry = await startTestTelemetry();
});
afterAll(() => telemetry.close());

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const opened of open.splice(0).reverse()) await opened[Symbol.asyncDispose]();
  expect(await metricSum(telemetry, 'vitrine_gateway_admitted_requests')).toBe(0);
});

/** Waits for an event that only shows from outside. */
function soon<T>(read: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 10_000, interval: 5 });
}

/** A supervisor takes longer. */
const RESTART_MS = 50;
const KILLER = '{"inputs":"killer"}';

interface Fleet {
  readonly gateway: RunningGateway;
  readonly workers: readonly ScriptedWorker[];
  /** How often a worker died. */
  deaths(): number;
  /** Lets everything that innocents wait for go on. */
  letGo(): void;
  /** Innocents that came to wait at a worker. */
  held(): number;
}

/**
 * Workers that die of one body and come back, as under a supervisor; until letGo() they keep every other query
 * waiting, so that it is in flight when they die.
 */
async function fleet(size: number, hold: boolean, options: Partial<GatewayOptions> = {}): Promise<Fleet> {
  let deaths = 0;
  let holding = hold;
  const held: ScriptedQuery[] = [];
  const workers: ScriptedWorker[] = [];
  for (let index = 0; index < size; index += 1) {
    const worker = await startScriptedWorker();
    const script: Script = (query) => {
      if (query.body.toString() === KILLER) {
        // Another one of the same life was faster.
        if (query.request.socket.destroyed) return;
        deaths += 1;
        worker.die();
        setTimeout(() => void worker.revive(), RESTART_MS);
      } else if (holding) held.push(query);
      else answer()(query);
    };
    worker.script = script;
    workers.push(worker);
    open.push(worker);
  }
  const gateway = await runGateway(telemetry, workers, options);
  open.push(gateway);
  await gateway.ready();
  await soon(() => metricSum(telemetry, 'vitrine_gateway_workers{state="not_ready"}')).toBe(0);
  return {
    gateway,
    workers,
    deaths: () => deaths,
    held: () => held.length,
    letGo() {
      holding = false;
      for (const query of held.splice(0)) answer()(query);
    },
  };
}

describe('a body that takes workers down', () => {
  test('is refused after the second, at once, for everybody who sends it', async () => {
    const { gateway, deaths } = await fleet(2, false);
    const first = await gateway.infer({ body: KILLER });
    expect(first.status).toBe(422);
    expect(first.error).toContain('crashed');
    expect(Number(first.headers['retry-after'])).toBeGreaterThan(0);
    expect(deaths()).toBe(2);
    for (let index = 0; index < 5; index += 1) {
      expect((await gateway.infer({ body: KILLER })).status).toBe(422);
    }
    expect(deaths()).toBe(2);
    expect(await metricSum(telemetry, 'vitrine_gateway_known_bodies')).toBe(1);
    // Of the same length, and innocent.
    expect((await gateway.infer({ body: KILLER.replace('killer', 'rellik') })).status).toBe(200);
  });

  test('with one worker alone as well', async () => {
    const { gateway, deaths } = await fleet(1, false);
    expect((await gateway.infer({ body: KILLER })).status).toBe(422);
    expect(deaths()).toBe(2);
  });

  test('is named among innocents that were in flight with it, and these are all answered', async () => {
    const { gateway, deaths, held, letGo } = await fleet(2, true);
    const innocents = Array.from({ length: 20 }, (_, index) =>
      gateway.infer({ body: `{"inputs":${index}}` }),
    );
    await soon(held).toBe(20);
    const killer = gateway.infer({ body: KILLER });
    await soon(deaths).toBe(1);
    letGo();
    expect((await killer).status).toBe(422);
    const results = await Promise.all(innocents);
    expect(results.map(({ status }) => status)).toEqual(innocents.map(() => 200));
    expect(deaths()).toBe(2);
    // And they are innocent still.
    for (let index = 0; index < 20; index += 1) {
      expect((await gateway.infer({ body: `{"inputs":${index}}` })).status).toBe(200);
    }
    expect(await metricSum(telemetry, 'vitrine_gateway_known_bodies')).toBe(1);
  });

  test('sent by many at once is refused for all of them, and costs few workers', async () => {
    const { gateway, deaths } = await fleet(2, false);
    const results = await Promise.all(Array.from({ length: 40 }, () => gateway.infer({ body: KILLER })));
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set([422]));
    // Each worker can die once before anything is known, and once in its probation lane.
    expect(deaths()).toBeLessThanOrEqual(4);
  });

  test('goes to another worker, twice and no more, with quarantine turned off', async () => {
    const { gateway, deaths } = await fleet(2, false, { quarantineMs: 0 });
    expect((await gateway.infer({ body: KILLER })).status).toBe(502);
    expect(deaths()).toBe(2);
    expect(await metricSum(telemetry, 'vitrine_gateway_known_bodies')).toBe(0);
  });
});

describe('suspects', () => {
  test('go one at a time to a worker, and ordinary queries pass them', async () => {
    const { gateway, workers, deaths, held, letGo } = await fleet(1, true, { quarantineMs: 60_000 });
    const [worker] = workers as [ScriptedWorker];
    const innocents = Array.from({ length: 8 }, (_, index) => gateway.infer({ body: `{"inputs":${index}}` }));
    await soon(held).toBe(8);
    worker.die();
    expect(deaths()).toBe(0);
    const before = worker.queries.length;
    await worker.revive();
    await soon(held).toBe(9);
    // One of them is there; the others wait, and a new query with another body does not wait for them.
    const ordinary = gateway.infer({ body: '{"inputs":"other"}' });
    await soon(held).toBe(10);
    expect(worker.queries.length - before).toBe(2);
    letGo();
    expect((await ordinary).status).toBe(200);
    expect((await Promise.all(innocents)).every(({ status }) => status === 200)).toBe(true);
    expect(await metricSum(telemetry, 'vitrine_gateway_known_bodies')).toBe(0);
  });

  test('whose client leaves give their lane to the next', async () => {
    const { gateway, workers, held, letGo } = await fleet(1, true);
    const [worker] = workers as [ScriptedWorker];
    const queries = ['a', 'b'].map((body) => {
      const abort = new AbortController();
      const answered = gateway.infer({ body, signal: abort.signal }).catch(() => undefined);
      return { body, abort, answered };
    });
    await soon(held).toBe(2);
    worker.die();
    await worker.revive();
    await soon(held).toBe(3);
    const inLane = worker.queries.at(-1)?.body.toString();
    for (const { body, abort } of queries) if (body === inLane) abort.abort();
    await soon(held).toBe(4);
    expect(worker.queries.at(-1)?.body.toString()).not.toBe(inLane);
    letGo();
    const results = await Promise.all(queries.map(({ answered }) => answered));
    expect(results.map((result) => result?.status).toSorted()).toEqual([200, undefined]);
  });

  test('a connection that breaks while its worker lives makes no suspect', async () => {
    const { gateway, workers } = await fleet(1, false);
    const [worker] = workers as [ScriptedWorker];
    worker.script = ({ request }) => request.socket.resetAndDestroy();
    expect((await gateway.infer()).status).toBe(502);
    expect(await metricSum(telemetry, 'vitrine_gateway_known_bodies')).toBe(0);
  });
});
