/** Calls about alerts and silences, over a real connection, to a real engine and notifier. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Silence } from '../contract/alerts.ts';
import { asVitrineError } from '../contract/errors.ts';
import { createAlertRoutes } from './alert_routes.ts';
import type { Evaluator } from './evaluator/evaluator.ts';
import { FakeClock, recordingLog, StagedEngine } from './notifier/alerts_for_tests.ts';
import { Notifier } from './notifier/notifier.ts';
import { openNotifierDatabase } from './notifier/notifier_database.ts';

let opened: AsyncDisposableStack;
let staged: StagedEngine;
let url: string;

beforeEach(async () => {
  opened = new AsyncDisposableStack();
  const [clock, log] = [new FakeClock(), recordingLog()];
  staged = new StagedEngine([{ name: 'Slow' }], clock, log);
  const { engine } = staged;
  const store = opened.use(openNotifierDatabase(':memory:', () => {}, clock.wallMs()));
  const notifier = new Notifier(
    { engine, store, receiver: undefined, toBody: () => '', log, clock },
    { waitMs: 0, intervalMs: 1000, repeatMs: 1000 },
  );
  opened.defer(() => notifier.close());
  const routes = createAlertRoutes(
    { engine } as Evaluator,
    {
      notifier,
      test: async (by) => ({ receiver: 'http://hook', format: 'slack', delivered: true, answer: by }),
      [Symbol.asyncDispose]: async () => {},
    },
    clock.wallMs,
  );
  const server = createServer(async (request, response) => {
    try {
      const answer = await routes.handle(request, request.url ?? '');
      response.end(JSON.stringify(answer?.value ?? 'not mine'));
    } catch (thrown) {
      const error = asVitrineError(thrown);
      response.writeHead(error.status).end(error.message);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  staged.set('Slow', true);
  staged.evaluate();
});
afterEach(() => opened.disposeAsync());

function post(path: string, body: unknown, headers: Record<string, string> = { 'x-vitrine-request': '1' }) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(url + path, { method: 'POST', body: text, headers });
}

const SILENCE = { matcher: 'name=Slow', forS: 60, reason: 'planned', by: 'ops' };

describe('silences', () => {
  test('one is made, holds what it matches at once, is listed and ended', async () => {
    const answer = await post('/console/silences', SILENCE);
    const made = (await answer.json()) as { silence: Silence; holds: string[] };
    expect(made.silence).toMatchObject({ matcher: { name: 'Slow' }, reason: 'planned', by: 'ops' });
    expect(made.holds).toEqual([staged.alert('Slow').fingerprint]);
    const list = async () =>
      ((await (await fetch(`${url}/console/silences`)).json()) as { silences: Silence[] }).silences;
    expect(await list()).toEqual([made.silence]);
    expect((await post(`/console/silences/${made.silence.id}/end`, { by: 'ops' })).status).toBe(200);
    expect(await list()).toEqual([]);
    expect(staged.alert('Slow').silencedBy).toBeUndefined();
    expect((await post(`/console/silences/${made.silence.id}/end`, { by: 'ops' })).status).toBe(404);
  });

  test.each([
    [{ ...SILENCE, matcher: '' }, 'matcher'],
    [{ ...SILENCE, forS: 0 }, 'forS must be a number of seconds'],
    [{ ...SILENCE, forS: 31 * 86_400 }, '30 days'],
    [{ ...SILENCE, forS: '60' }, 'forS'],
    [{ ...SILENCE, reason: ' ' }, 'reason must be text'],
    [{ ...SILENCE, by: undefined }, 'by must be text'],
    ['{', 'no JSON'],
    ['[]', 'must be an object'],
  ])('%j is refused, and nothing is silenced', async (body, message) => {
    const answer = await post('/console/silences', body);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(message);
    expect(staged.alert('Slow').silencedBy).toBeUndefined();
  });
});

test.each([
  '/console/silences',
  '/console/silences/0123abcd/end',
  '/console/alerts/test',
  '/console/alerts/0123456789abcdef/acknowledge',
])('%s takes no plain form, and no page of another origin', async (path) => {
  expect((await post(path, SILENCE, {})).status).toBe(403);
  const foreign = { 'x-vitrine-request': '1', origin: 'http://evil.example' };
  expect((await post(path, SILENCE, foreign)).status).toBe(403);
  expect((await fetch(url + path, { method: 'DELETE' })).status).toBe(405);
});

test('an acknowledgement stands on the alert and its timeline', async () => {
  const { fingerprint } = staged.alert('Slow');
  expect(
    (await post(`/console/alerts/${fingerprint}/acknowledge`, { by: 'ops', comment: 'on it' })).status,
  ).toBe(200);
  const told = (await (await fetch(`${url}/console/alerts/${fingerprint}`)).json()) as Record<
    string,
    unknown
  >;
  expect(told).toMatchObject({ promql: 'up < 1', alert: { acknowledged: { by: 'ops', comment: 'on it' } } });
  expect(JSON.stringify(told.events)).toContain('by ops: on it');
});
