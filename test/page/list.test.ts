/** The page's list of queries, in a real browser on a real console. */
import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { namelessControls, overflowPx, startBrowser, type TestBrowser, type WatchedPage } from './browser.ts';
import { type ConsoleProcess, querySpan, spanId, startConsole, traceId } from './console_process.ts';

/** Nothing listens there. */
const GATEWAY = 'http://localhost:9';

const start = (): Promise<ConsoleProcess> => startConsole({ VITRINE_CONSOLE_GATEWAY_URL: GATEWAY });

let browser: TestBrowser;
/** One for all tests that each look at a model of their own. */
let shared: ConsoleProcess;
beforeAll(async () => {
  [browser, shared] = await Promise.all([startBrowser(), start()]);
}, 120_000);
afterAll(async () => {
  await Promise.all([browser[Symbol.asyncDispose](), shared[Symbol.asyncDispose]()]);
});

/** Opens the page, and at the test's end asks that nothing went wrong in it. */
async function open(url: string, options: Parameters<TestBrowser['open']>[1] = {}): Promise<WatchedPage> {
  const watched = await browser.open(url, options);
  onTestFinished(() => {
    expect(watched.problems).toEqual([]);
    expect([...watched.origins].filter((origin) => ![new URL(url).origin, GATEWAY].includes(origin))).toEqual(
      [],
    );
  });
  return watched;
}

const rows = (page: Page): Locator => page.locator('.queries tbody tr');

/** Resolves when the list shows so many rows. */
async function rowCount(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    (wanted) => document.querySelectorAll('.queries tbody tr').length === wanted,
    count,
  );
}

async function modelsShown(page: Page): Promise<(string | null)[]> {
  return rows(page).locator('td.model').allTextContents();
}

test('an empty store says what to do, the first query shows by itself, and a console that is gone is said', async () => {
  await using console_ = await start();
  const { page } = await open(console_.url);
  await page.getByRole('heading', { name: 'No queries yet' }).waitFor();
  expect(await page.locator('pre').textContent()).toContain(`curl -si ${GATEWAY}/v2/models/langid/infer`);
  expect(await page.title()).toBe('Queries · Vitrine');
  expect(await page.getAttribute('html', 'lang')).toBe('en');
  await page.getByText('Holds no traces yet').waitFor();

  await console_.send(querySpan(1, { durationMs: 12.34 }));
  await rowCount(page, 1);
  const row = rows(page).first();
  expect(await row.locator('td.model').textContent()).toBe('langid');
  expect(await row.locator('td.outcome').textContent()).toBe('ok');
  expect(await row.locator('td.total').textContent()).toBe('12.3 ms');
  expect(await row.locator('td.spans').textContent()).toBe('1');
  expect(await row.getByRole('link').getAttribute('href')).toBe(`/trace/${traceId(1)}#0000000000000001`);
  expect(await row.getByRole('link', { name: 'Trace 00000000, langid, ok, 12.3 ms' }).count()).toBe(1);
  expect(await page.getByRole('heading', { name: 'No queries yet' }).isVisible()).toBe(false);

  await console_.kill();
  await page
    .getByText('The console does not answer. Is it running? It is part of npm start. Asking again.')
    .first()
    .waitFor();
  expect(await page.locator('.live').textContent()).toBe('not live');
  expect(await rows(page).count()).toBe(1);
});

test('filters narrow the list, live in the address, and can be cleared', async () => {
  const startMs = Date.now() + 3_600_000; // the newest of all, whatever other tests send
  const fast = querySpan(0x11, { model: 'filter-a', durationMs: 5, startMs });
  const slow = querySpan(0x12, { model: 'filter-b', durationMs: 50, startMs: startMs + 1 });
  const failed = {
    model: 'filter-a',
    durationMs: 500,
    outcome: 'error',
    error: 'model_failed',
    attributes: { 'http.response.status_code': 500, 'inference.error.code': 'model_failed' },
    startMs: startMs + 2,
  };
  await shared.send(fast, slow, querySpan(0x13, failed));
  const { page } = await open(shared.url);
  await page.locator('td.model', { hasText: 'filter-b' }).waitFor();
  expect((await modelsShown(page)).slice(0, 3)).toEqual(['filter-a', 'filter-b', 'filter-a']);
  expect(await page.getByRole('button', { name: 'Clear filters' }).isVisible()).toBe(false);

  await page.locator('#filter-model').selectOption('filter-a');
  await rowCount(page, 2);
  expect(new URL(page.url()).search).toBe('?model=filter-a');
  await page.getByLabel('At least, ms').fill('100');
  await page.getByLabel('At least, ms').press('Enter');
  await rowCount(page, 1);
  await page.getByLabel('Errors only').check();
  await page.waitForURL('**/?model=filter-a&min_ms=100&errors=true');

  await page.reload();
  await rowCount(page, 1);
  expect(await page.locator('#filter-model').inputValue()).toBe('filter-a');
  expect(await page.getByLabel('At least, ms').inputValue()).toBe('100');
  expect(await page.getByLabel('Errors only').isChecked()).toBe(true);
  expect(await rows(page).locator('td.outcome').textContent()).toBe('error 500 model_failed');

  await page.getByLabel('Outcome').selectOption('ok');
  await page.getByRole('heading', { name: 'No query matches' }).waitFor();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await page.locator('td.model', { hasText: 'filter-b' }).waitFor();
  expect(new URL(page.url()).search).toBe('');
});

test('a paused list stands still and counts what is new', async () => {
  const send = (...numbers: number[]) =>
    shared.send(...numbers.map((number) => querySpan(number, { model: 'paused' })));
  await send(0x21);
  const { page } = await open(`${shared.url}/?model=paused`);
  await rowCount(page, 1);
  await page.getByRole('button', { name: 'Pause' }).click();
  expect(await page.getByRole('button', { name: 'Resume' }).getAttribute('aria-pressed')).toBe('true');
  await send(0x22, 0x23);
  const newer = page.getByRole('button', { name: '2 new' });
  await newer.waitFor();
  expect(await rows(page).count()).toBe(1);
  await newer.click();
  await rowCount(page, 3);
  expect(await newer.isVisible()).toBe(false);
  await send(0x24);
  await page.getByRole('button', { name: '1 new' }).waitFor();
  await page.getByRole('button', { name: 'Resume' }).click();
  await rowCount(page, 4);
  expect(await page.locator('.live').textContent()).toBe('live');
});

test('older queries come page by page, down to the first', async () => {
  const numbers = Array.from({ length: 120 }, (_, at) => 0x1000 + at);
  await shared.send(...numbers.map((number) => querySpan(number, { model: 'many' })));
  const { page } = await open(`${shared.url}/?model=many`);
  await rowCount(page, 50);
  const older = page.getByRole('button', { name: 'Show older' });
  await older.click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.queries tbody tr').length > 90);
  await older.click();
  await rowCount(page, 120);
  const links = await rows(page)
    .getByRole('link')
    .evaluateAll((all) => all.map((link) => link.getAttribute('href')));
  expect(links).toEqual(numbers.toReversed().map((number) => `/trace/${traceId(number)}#${spanId(number)}`));
});

test('by keyboard alone: to a query, into its trace, and back to where one was', async () => {
  await shared.send(querySpan(0x31, { model: 'keys' }));
  const { page } = await open(`${shared.url}/?model=keys`);
  await rowCount(page, 1);
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content');
  const link = rows(page).getByRole('link');
  for (
    let tabs = 0;
    tabs < 30 && !(await link.evaluate((element) => element === document.activeElement));
    tabs += 1
  ) {
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: `Trace ${traceId(0x31)}` }).waitFor();
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('main');
  await page.goBack();
  await rowCount(page, 1);
  expect(await modelsShown(page)).toEqual(['keys']);
});

test('a trace can be opened by its id, and what is none is said', async () => {
  await shared.send(querySpan(0xabc));
  const { page } = await open(shared.url);
  const lookup = page.getByRole('textbox', { name: 'Trace id' });
  await lookup.fill('not an id');
  await page.getByRole('button', { name: 'Open' }).click();
  expect(await lookup.evaluate((input: HTMLInputElement) => input.validationMessage)).toContain(
    '1 to 32 hex digits',
  );
  expect(new URL(page.url()).pathname).toBe('/');
  // A UUID is an id with dashes.
  await lookup.fill('00000000-0000-0000-0000-000000000ABC');
  await lookup.press('Enter');
  await page.getByRole('heading', { name: `Trace ${traceId(0xabc)}` }).waitFor();
  expect(new URL(page.url()).pathname).toBe(`/trace/${traceId(0xabc)}`);
});

test('what queries say is shown as text', async () => {
  const model = '<img src=x onerror=alert(1)>\u202e\u0007';
  const outcome = '<script>alert(2)</script>';
  await shared.send(
    querySpan(0x41, { model, outcome, name: '<b>bold</b>', error: '"><svg onload=alert(3)>' }),
  );
  const { page } = await open(`${shared.url}/?model=${encodeURIComponent(model)}`);
  await rowCount(page, 1);
  expect(await modelsShown(page)).toEqual(['<img src=x onerror=alert(1)><U+202E><U+0007>']);
  expect(await rows(page).locator('td.outcome').textContent()).toBe(outcome);
  expect(await page.locator('#filter-model').inputValue()).toBe(model);
  expect(await page.locator('main :is(script, svg, b), main img').count()).toBe(0);
});

test('a gateway that is not there is said where one would try a model', async () => {
  const { page } = await open(shared.url);
  await page.getByRole('alert').getByText(`The gateway at ${GATEWAY} does not answer.`).waitFor();
  expect(await page.getByRole('button', { name: 'Try again' }).isVisible()).toBe(true);
  expect(await page.getByRole('button', { name: 'Run' }).isDisabled()).toBe(true);
});

test.each([1440, 1130, 900, 660])('%i pixels wide: the table keeps to its place', async (width) => {
  await shared.send(
    querySpan(0x61, {
      model: 'wide',
      outcome: 'client_error',
      error: 'x',
      attributes: { 'http.response.status_code': 400, 'inference.error.code': 'unsupported_media_type' },
    }),
  );
  const { page } = await open(`${shared.url}/?model=wide`, { viewport: { width, height: 900 } });
  await rowCount(page, 1);
  const [table, list] = await Promise.all(
    ['.queries', '.list'].map((selector) => page.locator(selector).boundingBox()),
  );
  expect((table?.x ?? 0) + (table?.width ?? 0)).toBeLessThanOrEqual((list?.x ?? 0) + (list?.width ?? 0));
  expect(await overflowPx(page)).toBe(0);
});

test.each(['light', 'dark'] as const)(
  '360 pixels wide and %s: nothing is cut, every control has a name',
  async (colorScheme) => {
    const model = 'a-model-with-quite-a-long-name-that-does-not-end-soon';
    const old = { model, durationMs: 123_456, startMs: Date.now() - 3 * 86_400_000 };
    await shared.send(querySpan(0x51, { model, outcome: 'client_error' }), querySpan(0x52, old));
    const { page } = await open(`${shared.url}/?model=${model}`, {
      viewport: { width: 360, height: 740 },
      colorScheme,
    });
    await rowCount(page, 2);
    await page.getByText('Holds traces since').waitFor();
    expect(await overflowPx(page)).toBe(0);
    expect(await namelessControls(page)).toEqual([]);
    expect(await page.getByRole('row').count()).toBe(2);
    expect(await page.getByRole('cell').count()).toBeGreaterThan(6);
    await page.getByText('Try a model').click();
    await page.getByLabel('Model', { exact: true }).last().waitFor();
    expect(await overflowPx(page)).toBe(0);
    const [background, ink] = await page.evaluate(() => {
      const { backgroundColor, color } = getComputedStyle(document.body);
      return [backgroundColor, color].map((text) => Number(/oklch\(([\d.]+)/.exec(text)?.[1]));
    });
    expect((background ?? 0) > (ink ?? 0)).toBe(colorScheme === 'light');
  },
);
