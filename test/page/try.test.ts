/** The whole service as people use it: try a model on the page, see its trace there, and in the terminal. */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runVitrine } from '../fixtures/run_vitrine.ts';
import { type Service, startService } from '../system/service.ts';
import { startBrowser, type TestBrowser, type WatchedPage } from './browser.ts';

/** An address that is known before the process behind it has its port: page and gateway have to know each other. */
async function createDoor(): Promise<{ url: string; leadTo(url: string): void } & AsyncDisposable> {
  let port = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((caller) => {
    const callee = connect(port, '127.0.0.1');
    for (const socket of [caller, callee]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    }
    caller.pipe(callee).pipe(caller);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo(url) {
      port = Number(new URL(url).port);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const opened = new AsyncDisposableStack();
let service: Service;
let browser: TestBrowser;
let pageUrl: string;

beforeAll(async () => {
  const gateway = opened.use(await createDoor());
  const console_ = opened.use(await createDoor());
  service = opened.use(
    await startService({
      env: { VITRINE_CONSOLE_GATEWAY_URL: gateway.url, VITRINE_GATEWAY_CONSOLE_URL: console_.url },
    }),
  );
  gateway.leadTo(service.url);
  console_.leadTo(service.consoleUrl);
  browser = opened.use(await startBrowser());
  pageUrl = console_.url;
}, 120_000);
afterAll(() => opened.disposeAsync());

async function openBox(): Promise<WatchedPage> {
  const watched = await browser.open(pageUrl);
  await watched.page.locator('#try-model option', { hasText: 'langid' }).waitFor({ state: 'attached' });
  await watched.page.getByText('Takes text: BYTES').waitFor();
  return watched;
}

/** Sends what stands in the box, and waits for the answer. */
async function run(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Run' }).click();
  await page.locator('.try .result a').waitFor();
}

test('a text: its answer, its stages, and its trace on the page and in the terminal', async () => {
  const { page, problems } = await openBox();
  expect(await page.locator('#try-model option').allTextContents()).toEqual(['digits', 'langid']);
  await page.getByLabel('Text').fill('Wo ist die Zeit geblieben, und wer hat sie genommen?');
  await run(page);
  const result = page.locator('.try .result');
  expect(await result.locator('.output', { hasText: 'language' }).locator('.value').textContent()).toBe('de');
  await result.getByText('Stages', { exact: true }).click();
  const stages = await result
    .locator('tr[data-stage]')
    .evaluateAll((all) => all.map((row) => row.getAttribute('data-stage')));
  expect(stages).toEqual(
    expect.arrayContaining(['receive', 'route', 'network', 'queue', 'compute', 'worker_respond']),
  );
  // The answer shows in the list by itself.
  await page.locator('.queries td.model', { hasText: 'langid' }).first().waitFor();

  await result.getByRole('link', { name: 'its trace' }).click();
  const total = page.locator('.ledger tfoot td').first();
  await page.getByRole('treeitem', { name: /^compute, vitrine-worker worker-1/ }).waitFor();
  const cells = await page.locator('.ledger tbody tr[data-stage] td:nth-child(2)').allTextContents();
  const sumMs = cells.reduce((sum, text) => sum + Number(text.replace('−', '-')), 0);
  const totalText = (await total.textContent()) ?? '';
  // Each is rounded to a microsecond.
  expect(Math.abs(sumMs - Number(totalText))).toBeLessThan(0.001 * cells.length);
  await page
    .locator('.facts')
    .getByText(/1 row of 1 query, closed: /)
    .waitFor();
  const id = new URL(page.url()).pathname.split('/').at(-1) ?? '';

  const shown = await runVitrine(['trace', id, '--console', service.consoleUrl]);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).toMatch(new RegExp(`^total +${totalText.replace('.', '\\.')} +100\\.0 %$`, 'm'));
  expect(shown.stdout).toMatch(/^ +└ work langid +worker-1 .*█/m);
  expect(shown.stdout).not.toContain('\u001b');
  const json = JSON.parse(
    (await runVitrine(['trace', id, '--console', service.consoleUrl, '--json'])).stdout,
  );
  expect(json).toMatchObject({ traceId: id, queries: [{ isWhole: true, name: 'infer langid' }] });
  expect(json.queries[0].totalMs.toFixed(3)).toBe(totalText);
  expect(problems).toEqual([]);
}, 60_000);

test('a digit: the sample is a valid query', async () => {
  const { page, problems } = await openBox();
  await page.locator('#try-model').selectOption('digits');
  await page.getByLabel('Query, as JSON').waitFor();
  await page.getByRole('button', { name: 'Sample' }).click();
  await run(page);
  expect(await page.locator('.output', { hasText: 'digit' }).locator('.value').first().textContent()).toBe(
    '5',
  );
  expect(problems).toEqual([]);
});

test('a query that is refused says why, and has its trace', async () => {
  const { page } = await openBox();
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByRole('alert').getByText('Write a text first, or press Sample.').waitFor();
  await page.locator('#try-model').selectOption('digits');
  await page.getByLabel('Query, as JSON').fill('{"inputs": [{"name": "image"');
  await page.getByRole('button', { name: 'Run' }).click();
  const alert = page.locator('.try').getByRole('alert');
  await alert.getByText(/JSON/).waitFor();
  await alert.getByRole('link', { name: 'Its trace' }).click();
  await page.locator('.facts').getByText('client_error').waitFor();
});

test('in the terminal, what is no trace is said, with what to do', async () => {
  const unknown = await runVitrine(['trace', '123', '--console', service.consoleUrl]);
  expect([unknown.code, unknown.stdout]).toEqual([1, '']);
  expect(unknown.stderr).toContain(`has no trace ${'123'.padStart(32, '0')}`);
  const malformed = await runVitrine(['trace', 'xyz', '--console', service.consoleUrl]);
  expect(malformed.code).toBe(2);
  expect(malformed.stderr).toContain('a trace id is 1 to 32 hex digits');
  const silent = await runVitrine(['trace', '123', '--console', 'http://localhost:9']);
  expect(silent.code).toBe(1);
  expect(silent.stderr).toContain('start the console');
  const help = await runVitrine(['trace', '--help']);
  expect(help.code).toBe(0);
  expect(help.stdout).toContain('npx vitrine trace 4bf92f3577b34da6a3ce929d0e0e4736');
}, 60_000);
