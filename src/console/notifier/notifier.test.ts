/** The notifier over a real engine, a real database and real receivers, on a clock that the tests move. */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Evidence } from '../../contract/evidence.ts';
import { createReceiver } from '../../lifecycle/outgoing_webhook.ts';
import { alertmanagerBody } from './alertmanager_body.ts';
import {
  FakeClock,
  ok,
  parsed,
  recordingLog,
  START_MS,
  StagedEngine,
  startReceiver,
  told,
} from './alerts_for_tests.ts';
import { createDeadMan } from './dead_man.ts';
import { Notifier } from './notifier.ts';
import { openNotifierDatabase } from './notifier_database.ts';

const INTERVALS = { waitMs: 30_000, intervalMs: 300_000, repeatMs: 10_800_000 };
const RULES = [
  { name: 'NoWorker', inhibits: [{ silences: ['Slow'], equal: ['system'] }] },
  { name: 'Slow', severity: 'ticket' },
  { name: 'Noted', severity: 'info' },
] as const;
const HOUR_S = 3600;

type TestReceiver = Awaited<ReturnType<typeof startReceiver>>;

let clock: FakeClock;
let log: ReturnType<typeof recordingLog>;
let staged: StagedEngine;
let folder: string;
let hook: TestReceiver;
let opened: AsyncDisposableStack;

beforeEach(async () => {
  opened = new AsyncDisposableStack();
  clock = new FakeClock();
  log = recordingLog();
  staged = new StagedEngine(RULES, clock, log);
  folder = mkdtempSync(join(tmpdir(), 'vitrine-notifier-'));
  opened.defer(() => rmSync(folder, { recursive: true }));
  hook = opened.use(await startReceiver());
});
afterEach(() => opened.disposeAsync());

function start({ timeoutMs = 5000, url = hook.url, engine = staged.engine } = {}): Notifier {
  const store = openNotifierDatabase(join(folder, 'traces.db'), () => {}, clock.wallMs());
  const notifier = new Notifier(
    {
      engine,
      store,
      receiver: createReceiver(url, { timeoutMs, nowMs: clock.wallMs }),
      toBody: (message) => alertmanagerBody(message, 'http://console.example'),
      log,
      clock,
      random: () => 1,
    },
    INTERVALS,
  );
  const close = notifier.close.bind(notifier);
  let closing: Promise<void> | undefined;
  notifier.close = () => {
    closing ??= close().then(() => store[Symbol.dispose]());
    return closing;
  };
  opened.defer(() => notifier.close());
  return notifier;
}

/** Lets time pass, evaluates, and takes a turn. */
async function later(seconds: number, notifier: Notifier): Promise<void> {
  clock.pass(seconds);
  staged.evaluate();
  await notifier.tick();
}

const kinds = (): string[] => staged.events.map(({ kind }) => kind);

describe('groups', () => {
  test('one message for what fires within the group wait, none before', async () => {
    const notifier = start();
    staged.set('Slow', true, 'worker-1');
    await later(0, notifier);
    staged.set('Slow', true, 'worker-2');
    await later(29, notifier);
    expect(hook.bodies).toHaveLength(0);
    await later(4, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing worker-1, firing worker-2']);
    expect(parsed(hook.bodies[0]).groupKey).toBe('{}:{alertname="Slow", model="langid"}');
    expect(kinds()).toContain('notified');
  });

  test('other models and other alerts go in messages of their own', async () => {
    const notifier = start();
    staged.set('Slow', true, 'worker-1', 'langid');
    staged.set('Slow', true, 'worker-1', 'digits');
    await later(0, notifier);
    await later(30, notifier);
    expect(hook.bodies.map((body) => parsed(body).alerts.map(({ labels }) => labels.model))).toEqual([
      ['langid'],
      ['digits'],
    ]);
  });

  test('later news wait for the group interval, and bring all that fires', async () => {
    const notifier = start();
    staged.set('Slow', true, 'worker-1');
    await later(0, notifier);
    await later(30, notifier);
    staged.set('Slow', true, 'worker-2');
    await later(1, notifier);
    await later(298, notifier);
    expect(hook.bodies).toHaveLength(1);
    await later(1, notifier);
    expect(hook.bodies.map(told)[1]).toBe('firing worker-2, firing worker-1');
  });

  test('what goes on firing is told again after the repeat interval, unless it is acknowledged', async () => {
    const notifier = start();
    staged.set('Slow', true);
    await later(0, notifier);
    await later(30, notifier);
    await later(3 * HOUR_S - 400, notifier);
    expect(hook.bodies).toHaveLength(1);
    await later(400, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing worker-1', 'firing worker-1']);
    staged.engine.acknowledge(staged.alert('Slow').fingerprint, 'ops', '');
    await later(4 * HOUR_S, notifier);
    expect(hook.bodies).toHaveLength(2);
  });

  test('the end is told with its time, and then nothing is left to tell', async () => {
    const notifier = start();
    staged.set('Slow', true);
    await later(0, notifier);
    await later(30, notifier);
    staged.set('Slow', false);
    await later(60, notifier);
    await later(240, notifier);
    const [alert] = parsed(hook.bodies[1]).alerts;
    expect(alert).toMatchObject({
      status: 'resolved',
      startsAt: new Date(START_MS).toISOString(),
      endsAt: new Date(START_MS + 90_000).toISOString(),
    });
    expect(parsed(hook.bodies[1]).status).toBe('resolved');
    await later(4 * HOUR_S, notifier);
    expect(hook.bodies).toHaveLength(2);
    expect(notifier.stats()).toMatchObject({ delivered: 2, failed: 0, waiting: 0 });
  });

  test('an alert that ended within the group wait is told to begin, and then to end', async () => {
    const notifier = start();
    staged.set('Slow', true);
    await later(0, notifier);
    staged.set('Slow', false);
    await later(10, notifier);
    await later(20, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing worker-1', 'resolved worker-1']);
  });

  test('info is for whoever looks: nobody is told', async () => {
    const notifier = start();
    staged.set('Noted', true);
    await later(0, notifier);
    await later(30, notifier);
    expect(hook.bodies).toHaveLength(0);
    expect(notifier.stats().waiting).toBe(0);
  });

  test('the first message waits a moment for evidence, and goes without', async () => {
    const notifier = start();
    staged.set('Slow', true, 'worker-1');
    await later(0, notifier);
    staged.set('Slow', true, 'worker-2');
    await later(30, notifier);
    expect(hook.bodies).toHaveLength(0);
    const { fingerprint, firingSinceMs = 0 } = staged.alert('Slow', 'worker-2');
    staged.engine.setEvidence(fingerprint, firingSinceMs, { missing: 'no traces' });
    await notifier.tick();
    expect(hook.bodies).toHaveLength(1);
  });
});

describe('an explanation that comes later', () => {
  const evidence = (cannotSay: string | undefined): Evidence => ({
    atMs: clock.wallMs(),
    windowS: 600,
    baselineS: 1200,
    subject: 'latency',
    stage: undefined,
    stages: [],
    places: [],
    sinceMs: undefined,
    circumstances: [],
    traces: [],
    confidence: 1,
    cannotSay,
    text: cannotSay ?? 'compute takes 240 ms instead of 2 ms.',
  });
  const shown = (): unknown[] => hook.bodies.map((body) => parsed(body).alerts[0]?.annotations.evidence);
  const attach = (rule: string, cannotSay?: string): void => {
    const { fingerprint, firingSinceMs = 0 } = staged.alert(rule);
    staged.engine.setEvidence(fingerprint, firingSinceMs, evidence(cannotSay));
  };
  const firstTold = async (rule: string, notifier: Notifier): Promise<void> => {
    staged.set(rule, true);
    await later(0, notifier);
    attach(rule, 'too few traces');
    await later(30, notifier);
    expect(shown()).toEqual(['too few traces']);
  };

  test('a page is told once more, at the next turn of its group', async () => {
    const notifier = start();
    await firstTold('NoWorker', notifier);
    attach('NoWorker');
    await later(299, notifier);
    expect(hook.bodies).toHaveLength(1);
    await later(1, notifier);
    expect(shown()).toEqual(['too few traces', 'compute takes 240 ms instead of 2 ms.']);
    expect(staged.events.at(-1)).toMatchObject({
      kind: 'notified',
      detail: expect.stringMatching(/^with its explanation/),
    });
    await later(HOUR_S, notifier);
    expect(hook.bodies).toHaveLength(2);
  });

  test('also by a later process', async () => {
    const before = start();
    await firstTold('NoWorker', before);
    attach('NoWorker');
    await before.close();
    const notifier = start();
    await later(300, notifier);
    await later(300, notifier);
    expect(shown()).toEqual(['too few traces', 'compute takes 240 ms instead of 2 ms.']);
  });

  test.each([
    ['a ticket', 'Slow', false],
    ['a page that somebody has taken', 'NoWorker', true],
  ])('%s is not told again for it', async (_name, rule, isTaken) => {
    const notifier = start();
    await firstTold(rule, notifier);
    if (isTaken) staged.engine.acknowledge(staged.alert(rule).fingerprint, 'ops', '');
    attach(rule);
    await later(300, notifier);
    await later(300, notifier);
    expect(hook.bodies).toHaveLength(1);
  });
});

describe('held back', () => {
  test('a cause silences its symptoms until it ends', async () => {
    const notifier = start();
    staged.set('Slow', true);
    staged.set('NoWorker', true, 'all');
    await later(0, notifier);
    await later(40, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing all']);
    expect(staged.alert('Slow').inhibitedBy).toBe(staged.alert('NoWorker', 'all').fingerprint);
    staged.set('NoWorker', false, 'all');
    await later(300, notifier);
    await later(300, notifier);
    expect(hook.bodies.map(told).sort()).toEqual(['firing all', 'firing worker-1', 'resolved all']);
    expect(kinds()).toContain('inhibited');
  });

  test('a symptom that ended while it was held back is never told', async () => {
    const notifier = start();
    staged.set('Slow', true);
    staged.set('NoWorker', true, 'all');
    await later(0, notifier);
    staged.set('Slow', false);
    await later(10, notifier);
    staged.set('NoWorker', false, 'all');
    await later(400, notifier);
    await later(400, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing all', 'resolved all']);
  });

  test('a silence holds what it matches, and lapses at its end', async () => {
    const notifier = start();
    const matcher = { name: 'Slow', instance: 'worker-1' };
    const silence = notifier.silence({ matcher, reason: 'planned', by: 'ops', forS: HOUR_S });
    staged.set('Slow', true, 'worker-1');
    staged.set('Slow', true, 'worker-2');
    await later(0, notifier);
    await later(40, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing worker-2']);
    expect(staged.alert('Slow', 'worker-1').silencedBy).toBe(silence.id);
    await later(HOUR_S - 41, notifier);
    expect(hook.bodies).toHaveLength(1);
    await later(1, notifier);
    await later(300, notifier);
    expect(hook.bodies.map(told)[1]).toBe('firing worker-1, firing worker-2');
    expect(notifier.silences()).toEqual([]);
    expect(kinds()).toEqual(expect.arrayContaining(['silenced', 'silence_ended']));
  });

  test('an alert that was told is told to end, though it is silenced by then', async () => {
    const notifier = start();
    staged.set('Slow', true);
    await later(0, notifier);
    await later(40, notifier);
    notifier.silence({ matcher: { name: 'Slow' }, reason: 'known', by: 'ops', forS: HOUR_S });
    staged.set('Slow', false);
    await later(10, notifier);
    await later(300, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing worker-1', 'resolved worker-1']);
  });

  test('silences survive a restart, and end when somebody ends them', async () => {
    const first = start();
    const { id } = first.silence({ matcher: { name: 'Slow' }, reason: 'planned', by: 'ops', forS: HOUR_S });
    await first.close();
    const second = start();
    expect(second.silences()).toMatchObject([{ id, reason: 'planned', by: 'ops' }]);
    second.endSilence(id, 'ops');
    await second.close();
    const third = start();
    expect(third.silences()).toEqual([]);
    expect(() => third.endSilence(id, 'ops')).toThrow('no silence has this id');
  });
});

describe('receivers that fail', () => {
  test('500: tried again with growing pauses until it is taken', async () => {
    const notifier = start();
    hook.answer((response) => response.writeHead(500).end());
    staged.set('Slow', true);
    await later(0, notifier);
    await later(40, notifier);
    await later(0.9, notifier);
    expect(hook.bodies).toHaveLength(1);
    await later(0.1, notifier);
    expect(hook.bodies).toHaveLength(2);
    await later(1.9, notifier);
    expect(hook.bodies).toHaveLength(2);
    hook.answer(ok);
    await later(0.1, notifier);
    expect(hook.bodies.map(told)).toEqual(['firing worker-1', 'firing worker-1', 'firing worker-1']);
    expect(notifier.stats()).toMatchObject({ delivered: 1, failed: 2, waiting: 0 });
    expect(kinds().filter((kind) => kind === 'notify_failed')).toHaveLength(1);
    await later(400, notifier);
    expect(hook.bodies).toHaveLength(3);
  });

  test('429: waits as long as it is asked to, for all groups', async () => {
    const notifier = start();
    hook.answer((response) => response.writeHead(429, { 'retry-after': '120' }).end());
    staged.set('Slow', true, 'worker-1', 'langid');
    staged.set('Slow', true, 'worker-1', 'digits');
    await later(0, notifier);
    await later(40, notifier);
    hook.answer(ok);
    await later(119, notifier);
    expect(hook.bodies).toHaveLength(1);
    await later(1, notifier);
    expect(hook.bodies).toHaveLength(3);
  });

  test('a redirect is refused, and is never followed', async () => {
    const elsewhere = opened.use(await startReceiver());
    const notifier = start();
    hook.answer((response) => response.writeHead(307, { location: elsewhere.url }).end());
    staged.set('Slow', true);
    await later(0, notifier);
    await later(40, notifier);
    expect(elsewhere.bodies).toHaveLength(0);
    expect(staged.events.at(-1)).toMatchObject({ kind: 'notify_failed' });
    expect(staged.events.at(-1)?.detail).toContain('redirect refused (307)');
    expect(notifier.stats().waiting).toBe(1);
  });

  test('a message that is refused holds up its group alone', async () => {
    const notifier = start();
    hook.answer((response) => response.writeHead(hook.bodies.at(-1)?.includes('digits') ? 400 : 200).end());
    staged.set('Slow', true, 'worker-1', 'digits');
    staged.set('Slow', true, 'worker-1', 'langid');
    await later(0, notifier);
    await later(40, notifier);
    expect(notifier.stats()).toMatchObject({ delivered: 1, failed: 1, waiting: 1 });
  });

  test('a receiver that is slow is given up after the timeout, and the engine goes on meanwhile', async () => {
    const notifier = start({ timeoutMs: 50 });
    hook.answer(() => {});
    staged.set('Slow', true);
    await later(0, notifier);
    clock.pass(40);
    const arrived = once(hook.arrivals, 'body');
    const turn = notifier.tick();
    await arrived;
    staged.set('Slow', true, 'worker-2');
    staged.evaluate();
    expect(staged.alert('Slow', 'worker-2').state).toBe('firing');
    await turn;
    expect(notifier.stats()).toMatchObject({ delivered: 0, failed: 1 });
  });

  test('what was not taken is delivered by the next process, each key once', async () => {
    hook.answer((response) => response.writeHead(503).end());
    const first = start();
    staged.set('Slow', true, 'worker-1');
    staged.set('Slow', true, 'worker-2');
    await later(0, first);
    await later(40, first);
    staged.set('Slow', false, 'worker-1');
    await later(10, first);
    await first.close();
    hook.bodies.length = 0;
    hook.answer(ok);

    const second = start();
    expect(second.stats().waiting).toBe(3);
    await second.tick();
    await later(300, second);
    const keys = hook.bodies.flatMap((body) =>
      parsed(body).alerts.map(({ fingerprint, startsAt, status }) => `${fingerprint} ${startsAt} ${status}`),
    );
    expect(hook.bodies.map(told)).toEqual([
      'firing worker-1, firing worker-2',
      'resolved worker-1, firing worker-2',
    ]);
    expect(new Set(keys).size).toBe(3);
    await second.close();
    hook.bodies.length = 0;
    const third = start();
    await later(400, third);
    expect(hook.bodies).toHaveLength(0);
  });

  test('an alert that ended while no notifier ran is told to end', async () => {
    const first = start();
    staged.set('Slow', true);
    await later(0, first);
    await later(40, first);
    await first.close();
    staged.set('Slow', false);
    clock.pass(600);
    staged.evaluate();
    const second = start();
    await second.tick();
    await later(300, second);
    expect(hook.bodies.map(told)).toEqual(['firing worker-1', 'resolved worker-1']);
  });

  test('a receiver that is down loses nothing; what is over is given up after a day', async () => {
    const gone = await startReceiver();
    await gone[Symbol.asyncDispose]();
    const notifier = start({ url: gone.url });
    staged.set('Slow', true);
    await later(0, notifier);
    await later(40, notifier);
    await later(48 * HOUR_S, notifier);
    expect(notifier.stats()).toMatchObject({ waiting: 1, givenUp: 0 });
    staged.set('Slow', false);
    await later(HOUR_S, notifier);
    expect(notifier.stats().waiting).toBe(2);
    await later(24 * HOUR_S, notifier);
    expect(notifier.stats()).toMatchObject({ waiting: 0, givenUp: 2 });
  });

  test('secrets of the address are in no line of the log and on no timeline', async () => {
    const notifier = start();
    for (const status of [500, 302, 404]) {
      hook.answer((response) => response.writeHead(status).end());
      staged.set('Slow', true, `worker-${status}`, `model-${status}`);
      await later(400, notifier);
      await later(400, notifier);
    }
    expect(log.lines.length).toBeGreaterThan(3);
    const written = JSON.stringify([log.lines, staged.events]);
    expect(written).toContain(new URL(hook.url).origin);
    expect(written).not.toContain('SECRET');
  });
});

describe("the dead man's switch", () => {
  test('pings while the evaluator evaluates, and never when it stands still', async () => {
    const alive = new StagedEngine([{ name: 'Watchdog', severity: 'info', always: true }], clock, log);
    await using receiver = createReceiver(hook.url, { timeoutMs: 5000, nowMs: clock.wallMs });
    const toBody = (message: Parameters<typeof alertmanagerBody>[0]) =>
      alertmanagerBody(message, 'http://c.example');
    const deadMan = createDeadMan({ engine: alive.engine, receiver, toBody, log });
    await deadMan.turn();
    expect(hook.bodies).toHaveLength(0);
    alive.evaluate();
    await deadMan.turn();
    alive.evaluate();
    await deadMan.turn();
    expect(hook.bodies.map((body) => parsed(body).alerts[0]?.labels.alertname)).toEqual([
      'Watchdog',
      'Watchdog',
    ]);
    await deadMan.turn();
    expect(hook.bodies).toHaveLength(2);
    expect(deadMan.pings).toEqual({ sent: 2, failed: 0 });
  });
});
