/** Alerts and objectives on the page, in a real browser: a console that finds its budget burning, and people at it. */
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { namelessControls, overflowPx, startBrowser, type TestBrowser, type WatchedPage } from './browser.ts';
import { type ConsoleProcess, startConsole, traceId } from './console_process.ts';
import { ledgerSpans, type ScriptedGateway, startScriptedGateway } from './scripted_gateway.ts';

/** Windows of minutes pass in seconds. */
const TIME_SCALE = 120;
const ALERT = 'VitrineBudgetBurnsFast';
/** Number of the query. */
const SLOW_FROM = 150;
const EVIDENCE = [
  / \d\d % of queries are slow since /,
  / compute takes 240 ms instead of 6\.0 ms \(100 % of the growth\)\. /,
  / Where: only worker worker-2\. /,
];

let browser: TestBrowser;
let gateway: ScriptedGateway;
let embedded: ConsoleProcess;
/** Address of the alert's own page. */
let alertPath: string;

const told = new EventEmitter();
const receiver = createServer(async (request, response) => {
  told.emit('message', (await buffer(request)).toString());
  response.end();
});

beforeAll(async () => {
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  gateway = await startScriptedGateway();
  [browser, embedded] = await Promise.all([
    startBrowser(),
    startConsole({
      VITRINE_SLO_TIME_SCALE: `${TIME_SCALE}`,
      VITRINE_CONSOLE_DISCOVERY_URLS: gateway.targetsUrl,
      VITRINE_CONSOLE_ALERT_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`,
    }),
  ]);
  const message = new Promise<string>((resolve) => {
    told.on('message', (body: string) => {
      if (body.includes(ALERT) && body.includes('Where: only worker worker-2')) resolve(body);
    });
  });
  // Ten queries a second as they should be, then every second one slow at one worker.
  const spans = Array.from({ length: 200 }, (_, number) => {
    const isSlow = number >= SLOW_FROM && number % 2 === 0;
    const startMs = Date.now() - Math.max(0, SLOW_FROM - number) * 100 - 100;
    const worker = `worker-${2 - (number % 2)}`;
    return ledgerSpans(number + 1, { startMs, computeMs: isSlow ? 240 : 6, worker });
  });
  await embedded.send(...spans.flat());
  gateway.traffic(25, 25);
  const [, path] = /(\/alerts\/[0-9a-f]{16})\|alert>/.exec(await message) ?? [];
  alertPath = path ?? '';
}, 120_000);
afterAll(async () => {
  await Promise.all([browser[Symbol.asyncDispose](), embedded[Symbol.asyncDispose]()]);
  await gateway[Symbol.asyncDispose]();
  receiver.closeAllConnections();
  receiver.close();
});

/** Opens a view, and at the test's end asks that nothing went wrong in it. */
async function open(path: string, options: Parameters<TestBrowser['open']>[1] = {}): Promise<WatchedPage> {
  const watched = await browser.open(embedded.url + path, options);
  onTestFinished(() => {
    expect(watched.problems).toEqual([]);
    expect([...watched.origins]).toEqual([embedded.url]);
  });
  return watched;
}

const card = (page: Page): Locator =>
  page.locator('article', { has: page.getByRole('link', { name: ALERT, exact: true }) });

const isFocused = (locator: Locator): Promise<boolean> =>
  locator.evaluate((element) => element === document.activeElement);

async function tabTo(page: Page, locator: Locator): Promise<void> {
  for (let tabs = 0; tabs < 60 && !(await isFocused(locator)); tabs += 1) await page.keyboard.press('Tab');
  expect(await isFocused(locator)).toBe(true);
}

/** The kinds of the timeline's steps, oldest first. */
const steps = (page: Page): Promise<string[]> => page.locator('.timeline strong').allTextContents();

/** Resolves when the view has asked again and shows what it was told. */
async function refreshed(page: Page, path: string): Promise<void> {
  await page.waitForResponse((response) => new URL(response.url()).pathname === path);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
}

test('what fires stands first, with what it is, since when, where, and why', async () => {
  const { page } = await open('/alerts');
  const first = page.locator('article').first();
  await first.getByRole('link', { name: ALERT }).waitFor();
  const text = (await first.innerText()).replace(/\s+/g, ' ');
  expect(text).toMatch(/^FIRING VitrineBudgetBurnsFast page · fires for \d+ s/);
  expect(text).toMatch(/langid-latency: the error budget burns [\d.]+x too fast/);
  expect(text).toContain('model=langid, service=langid, slo=langid-latency');
  for (const line of EVIDENCE) expect(text).toMatch(line);
  expect(text).toContain('Runbook: docs/runbooks/budget-burns-fast.md');
  expect(await first.getByRole('link', { name: 'Dashboard' }).getAttribute('href')).toContain(
    '/d/vitrine-objectives?var-slo=langid-latency',
  );
  // Its slow symptom waits behind it, and what always fires is nothing for people.
  await page.getByText('held back by its cause').waitFor();
  expect(await page.getByText('VitrineWatchdog').count()).toBe(0);
  expect(await page.title()).toBe('Alerts · Vitrine');

  await first.getByRole('link', { name: '242 ms: 240 ms in compute, on worker-2' }).first().click();
  await page.getByRole('heading', { name: /^Trace 0+/ }).waitFor();
  expect(new URL(page.url()).pathname).toMatch(/^\/trace\/[0-9a-f]{32}$/);
  expect(Number.parseInt(new URL(page.url()).pathname.slice(-32), 16)).toBeGreaterThan(SLOW_FROM);
});

test('by keyboard: the focus stays while the list is renewed, and leads to the alert and back', async () => {
  const { page } = await open('/alerts');
  const link = page.getByRole('link', { name: ALERT, exact: true });
  await link.waitFor();
  await tabTo(page, link);
  await refreshed(page, '/console/alerts');
  expect(await isFocused(link)).toBe(true);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Timeline' }).waitFor();
  expect(new URL(page.url()).pathname).toBe(alertPath);
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
  await page.goBack();
  await link.waitFor();
});

test('one alert: its timeline, its query, and somebody who takes it', async () => {
  const { page } = await open(alertPath);
  await page.getByRole('heading', { name: 'Timeline' }).waitFor();
  expect((await steps(page)).slice(0, 3)).toEqual(['firing', 'evidence', 'notified']);
  const evidence = page.locator('.timeline li', { hasText: 'evidence' });
  expect(await evidence.locator('.lines').innerText()).toContain('\nWhere: only worker worker-2.');
  await page.getByText('As a Prometheus query').click();
  expect(await page.locator('pre').textContent()).toContain(
    'inference_service_duration_seconds_bucket{model="langid",outcome="ok",le="0.05"}[2500ms]',
  );
  // Open, it stays open.
  await refreshed(page, `/console${alertPath}`);
  expect(await page.locator('pre').isVisible()).toBe(true);

  const acknowledge = page.getByRole('button', { name: 'Acknowledge' });
  await tabTo(page, acknowledge);
  await page.keyboard.press('Enter');
  await page.getByText('acknowledged by someone at the page').waitFor();
  await page.locator('.timeline strong', { hasText: 'acknowledged' }).waitFor();
  expect(await acknowledge.isVisible()).toBe(false);
  expect(await page.locator('#announcer').textContent()).toBe('The alert is acknowledged.');
  expect(await card(page).count()).toBe(1);
});

test('a silence with its reason and end, from the alert by keyboard; ended from the list', async () => {
  const { page } = await open(alertPath);
  const matcher = page.getByLabel('Alerts with these labels');
  await page.waitForFunction(
    () => document.querySelector<HTMLInputElement>('#silence-matcher')?.value !== '',
  );
  expect(await matcher.inputValue()).toBe(`name=${ALERT}, model=langid, service=langid, slo=langid-latency`);
  const reason = page.getByLabel('Reason');
  await tabTo(page, reason);
  // Without a reason there is none.
  await page.keyboard.press('Enter');
  expect(await reason.evaluate((input: HTMLInputElement) => input.validity.valueMissing)).toBe(true);
  await page.getByLabel('For', { exact: true }).selectOption('2 hours');
  await reason.fill('we know, <b>langid</b> is being rolled back');
  await page.getByLabel('Your name').fill('Night shift');
  await page.keyboard.press('Enter');
  await page.getByText('Silenced: 1 alert.').first().waitFor();
  await page.getByText(/silenced by [0-9a-f]{8}/).waitFor();
  expect(await reason.inputValue()).toBe('');
  await page.locator('.timeline strong', { hasText: 'silenced' }).waitFor();

  await page.getByRole('link', { name: 'All alerts' }).click();
  const silence = page.locator('.silence');
  await silence.waitFor();
  expect((await silence.innerText()).replace(/\s+/g, ' ')).toBe(
    `name=${ALERT}, model=langid, service=langid, slo=langid-latency · ends in 2 h · Night shift: we know, <b>langid</b> is being rolled back End now`,
  );
  const end = silence.getByRole('button', { name: 'End now' });
  await tabTo(page, end);
  await refreshed(page, '/console/silences');
  expect(await isFocused(end)).toBe(true);
  await page.keyboard.press('Enter');
  await page.getByText('None.').waitFor();
  await page.getByRole('link', { name: ALERT, exact: true }).click();
  await page.locator('.timeline strong', { hasText: 'silence ended' }).waitFor();
  expect(await steps(page)).toContain('silenced');
});

test('what the console refuses is said at the form', async () => {
  const { page } = await open('/alerts');
  await page.getByLabel('Alerts with these labels').fill('model=');
  await page.getByLabel('Reason').fill('x');
  await page.getByRole('button', { name: 'Silence' }).click();
  const problem = page.locator('.silence-form [role=alert]');
  await problem.filter({ hasText: /\S/ }).waitFor();
  expect(await problem.textContent()).toContain('matcher: the value of model is missing; write label=value');
  expect(await page.locator('.silence').count()).toBe(0);

  await page.getByLabel('Alerts with these labels').fill('model=nobody');
  await page.keyboard.press('Enter');
  await page.getByText('Silenced. No alert that is active now has these labels.').first().waitFor();
  expect(await problem.textContent()).toBe('');
  await page.getByRole('button', { name: 'End now' }).click();
  await page.getByText('None.').waitFor();
});

test('objectives: what is promised, what is left, how fast it burns, and how it went', async () => {
  const { page } = await open('/objectives');
  const latency = page.locator('section', { has: page.getByRole('heading', { name: 'langid-latency' }) });
  await latency.waitFor();
  const text = (await latency.innerText()).replace(/\s+/g, ' ');
  expect(text).toContain('99 % of queries of langid within 50 ms');
  // Half of the queries are slow, where one in a hundred may be.
  expect(text).toMatch(/50× the budget used · over 6 h · 50 % kept it/);
  expect(await latency.getByRole('row', { name: /^2\.5 s/ }).innerText()).toMatch(
    /^2\.5 s\s+(?:49|50|51)\.\d\d×$/,
  );
  expect(await latency.getByRole('row').count()).toBe(7);
  const chart = latency.getByRole('img', {
    name: 'Budget of langid-latency over time: now 50× the budget used',
  });
  const points = await chart.locator('polyline').getAttribute('points');
  const [first, last] = [points?.split(' ')[0], points?.split(' ').at(-1)];
  expect(first).toMatch(/^0\.0,/);
  expect(last).toBe('320.0,60.0');

  const availability = page.locator('section', { hasText: '99.9 % of queries of langid answered' });
  expect(await availability.innerText()).toContain('100 % of the budget left');
  const idle = page.locator('section', { hasText: '99 % of queries of digits within 25 ms' });
  expect(await idle.innerText()).toContain('No queries yet');
  expect(await idle.getByRole('img').count()).toBe(0);
});

test.each([
  ['light', '/alerts'],
  ['dark', '/alerts'],
  ['light', 'alert'],
  ['dark', 'alert'],
  ['light', '/objectives'],
  ['dark', '/objectives'],
] as const)(
  '360 pixels wide and %s, %s: nothing is cut, every control has a name',
  async (colorScheme, view) => {
    const path = view === 'alert' ? alertPath : view;
    const { page } = await open(path, { viewport: { width: 360, height: 740 }, colorScheme });
    await page.locator('main h2').first().waitFor();
    expect(await overflowPx(page)).toBe(0);
    expect(await namelessControls(page)).toEqual([]);
    // Text that is cut off inside its box shows as a box that is wider inside than outside.
    const cut = await page.evaluate(() =>
      [...document.querySelectorAll('main *')]
        .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0)
        .filter((element) => !element.closest('pre, input, select, svg'))
        .map((element) => element.outerHTML.slice(0, 200)),
    );
    expect(cut).toEqual([]);
    const [background, ink] = await page.evaluate(() => {
      const { backgroundColor, color } = getComputedStyle(document.body);
      return [backgroundColor, color].map((text) => Number(/oklch\(([\d.]+)/.exec(text)?.[1]));
    });
    expect((background ?? 0) > (ink ?? 0)).toBe(colorScheme === 'light');
  },
);

test('when it is over, the list says so, and its page tells how it went', async () => {
  const { page } = await open('/alerts');
  await card(page).waitFor();
  gateway.traffic(50, 0);
  await card(page).locator('.state.resolved').waitFor({ timeout: 60_000 });
  expect(await card(page).innerText()).toMatch(/ended \d+ s ago, after \d+ /);
  await page.getByRole('link', { name: ALERT, exact: true }).first().click();
  await page.locator('.timeline strong', { hasText: 'resolved' }).waitFor();
  expect(await page.getByRole('button', { name: 'Acknowledge' }).isVisible()).toBe(false);
  expect(await page.getByLabel('Reason').isVisible()).toBe(false);
  expect((await steps(page))[0]).toBe('firing');
}, 90_000);

test('an alert that nobody knows is said to be none', async () => {
  const { page } = await open(`/alerts/${traceId(1).slice(-16)}`);
  await page.getByText('no alert has the fingerprint 0000000000000001').waitFor();
});
