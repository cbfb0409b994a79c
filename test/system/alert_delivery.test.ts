/** Alerts of a real console reach a receiver that fails, across the console's death; and hold up nothing meanwhile. */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ConsoleProcess, startConsole } from '../page/console_process.ts';
import { type ScriptedGateway, startScriptedGateway } from '../page/scripted_gateway.ts';

const LIMIT_MS = 90_000;

interface Told {
  readonly status: string;
  readonly fingerprint: string;
  readonly startsAt: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A receiver that tells of each body before it answers as the test says. */
async function startReceiver() {
  const told: Told[][] = [];
  const arrivals = new EventEmitter();
  const state = { answer: (response: ServerResponse): unknown => response.end() };
  const server = createServer(async (request, response) => {
    const { alerts } = (await json(request)) as { alerts: Told[] };
    told.push(alerts);
    arrivals.emit('body');
    state.answer(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    told,
    state,
    /** Resolves with the first body from then on that tells of the alert. */
    async next(name: string): Promise<Told> {
      for (let seen = told.length; ; ) {
        const alert = told
          .slice(seen)
          .flat()
          .find(({ labels }) => labels.alertname === name);
        if (alert !== undefined) return alert;
        seen = told.length;
        await once(arrivals, 'body');
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

let opened: AsyncDisposableStack;
let gateway: ScriptedGateway;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let folder: string;

beforeEach(async () => {
  opened = new AsyncDisposableStack();
  folder = mkdtempSync(join(tmpdir(), 'vitrine-alerts-'));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  gateway = opened.use(await startScriptedGateway());
  receiver = opened.use(await startReceiver());
});
afterEach(() => opened.disposeAsync());

async function start(): Promise<ConsoleProcess> {
  return opened.use(
    await startConsole({
      VITRINE_SLO_TIME_SCALE: '60',
      VITRINE_CONSOLE_DISCOVERY_URLS: gateway.targetsUrl,
      VITRINE_CONSOLE_DATABASE_PATH: join(folder, 'traces.db'),
      VITRINE_CONSOLE_ALERT_WEBHOOK_URL: receiver.url,
      VITRINE_CONSOLE_ALERT_WEBHOOK_FORMAT: 'alertmanager',
    }),
  );
}

async function evaluations({ url }: ConsoleProcess): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^vitrine_evaluator_evaluations_total (\d+)/m.exec(text)?.[1]);
}

test(
  'what a receiver refused is told by the console that is started after a kill, as the same alert',
  async () => {
    receiver.state.answer = (response) => response.writeHead(500).end();
    const first = await start();
    const refused = receiver.next('VitrineBudgetBurnsFast');
    gateway.traffic(0, 50);
    const { fingerprint, startsAt } = await refused;
    // Tried again, and refused again.
    await receiver.next('VitrineBudgetBurnsFast');
    await first.kill();

    receiver.state.answer = (response) => response.end();
    const taken = receiver.next('VitrineBudgetBurnsFast');
    const second = await start();
    expect(await taken).toMatchObject({ status: 'firing', fingerprint, startsAt });
    const { events } = (await (await fetch(`${second.url}/console/alerts/${fingerprint}`)).json()) as {
      events: { kind: string }[];
    };
    expect(events.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['firing', 'notify_failed']));
  },
  LIMIT_MS,
);

test(
  'a receiver that never answers holds up no evaluation',
  async () => {
    receiver.state.answer = () => {};
    const console_ = await start();
    const held = receiver.next('VitrineBudgetBurnsFast');
    gateway.traffic(0, 50);
    await held;
    const before = await evaluations(console_);
    // Four a second; the receiver has ten seconds.
    while ((await evaluations(console_)) < before + 12);
    expect(receiver.told).toHaveLength(1);
    const { alerts } = (await (await fetch(`${console_.url}/console/alerts`)).json()) as {
      alerts: { name: string; state: string }[];
    };
    expect(alerts).toContainEqual(
      expect.objectContaining({ name: 'VitrineBudgetBurnsFast', state: 'firing' }),
    );
  },
  LIMIT_MS,
);
