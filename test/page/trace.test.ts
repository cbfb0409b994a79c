/** The page of one trace, in a real browser on a real console. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { namelessControls, overflowPx, startBrowser, type TestBrowser, type WatchedPage } from './browser.ts';
import {
  type ConsoleProcess,
  querySpan,
  type SentSpan,
  spanId,
  startConsole,
  traceId,
} from './console_process.ts';

let browser: TestBrowser;
let console_: ConsoleProcess;
beforeAll(async () => {
  [browser, console_] = await Promise.all([startBrowser(), startConsole()]);
}, 120_000);
afterAll(async () => {
  await Promise.all([browser[Symbol.asyncDispose](), console_[Symbol.asyncDispose]()]);
});

/** Opens a trace, and at the test's end asks that nothing went wrong in the page. */
async function open(path: string, options: Parameters<TestBrowser['open']>[1] = {}): Promise<WatchedPage> {
  const watched = await browser.open(`${console_.url}/trace/${path}`, options);
  onTestFinished(() => {
    expect(watched.problems).toEqual([]);
    expect([...watched.origins]).toEqual([console_.url]);
  });
  return watched;
}

const START_MS = Date.now() - 60_000;
const STAGES = {
  receive: 1,
  admit: 0.5,
  route: 1.5,
  network: 2,
  worker_receive: 1,
  queue: 4,
  batch_wait: 2,
  compute: 6,
  worker_respond: 0.5,
  respond: 1.4,
};

function stageAttributes(stages: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(stages).map(([stage, ms]) => [`vitrine.stage.${stage}_ms`, ms]));
}

/** A query of 20 ms on its way through gateway, worker and batch; its batch's trace has the number after it. */
function wholeQuery(number: number): SentSpan[] {
  const at = { traceId: traceId(number), startMs: START_MS };
  const worker = { ...at, service: 'vitrine-worker', instance: 'worker-1' };
  const batch = { traceId: traceId(number + 1), spanId: spanId(number + 1) };
  return [
    querySpan(number, {
      ...at,
      durationMs: 20,
      parentSpanId: spanId(0xca11e4),
      attributes: {
        ...stageAttributes(STAGES),
        'inference.model.version': '3',
        'http.response.status_code': 200,
        'vitrine.total_ms': 20,
        'vitrine.unattributed_ms': 0.1,
        'vitrine.event_loop_delay_ms': 0.75,
        'vitrine.kept_because': 'slow',
        'inference.request.id': 'request-1',
      },
    }),
    {
      ...at,
      service: 'vitrine-gateway',
      instance: 'gateway-0',
      spanId: spanId(number * 16 + 1),
      parentSpanId: spanId(number),
      name: 'attempt',
      kind: 3,
      startMs: START_MS + 2,
      durationMs: 16,
      attributes: { 'inference.worker': 'worker-1', 'inference.attempt.outcome': 'ok' },
    },
    {
      ...worker,
      spanId: spanId(number * 16 + 2),
      parentSpanId: spanId(number * 16 + 1),
      name: 'work langid',
      kind: 2,
      startMs: START_MS + 3,
      durationMs: 14,
      links: [batch],
      attributes: {
        'inference.rows': 1,
        'inference.batch.rows': 4,
        'inference.compute.share_ms': 1.5,
        'vitrine.event_loop_delay_ms': 2.5,
      },
    },
    {
      ...worker,
      spanId: spanId(number * 16 + 3),
      parentSpanId: spanId(number * 16 + 2),
      name: 'compute',
      startMs: START_MS + 10,
      durationMs: 5,
      links: [batch],
    },
    {
      ...worker,
      ...batch,
      name: 'batch langid',
      startMs: START_MS + 9,
      durationMs: 7,
      links: [{ traceId: traceId(number), spanId: spanId(number * 16 + 2) }],
      attributes: {
        'inference.model.name': 'langid',
        'inference.batch.rows': 4,
        'inference.batch.queries': 3,
        'inference.batch.close_reason': 'delay',
        'inference.batch.padding_ratio': 0.25,
        'inference.batch.head_of_line_wait_ms': 2,
      },
    },
  ];
}

async function textsOf(page: Page, selector: string): Promise<string[]> {
  return (await page.locator(selector).allTextContents()).map((text) => text.trim());
}

/** Where a row's bar begins and how long it is, as shares of its track. */
function barOf(page: Page, name: string): Promise<{ from: number; share: number }> {
  return page
    .locator('.wf-row', { hasText: name })
    .first()
    .evaluate((row) => {
      const track = row.querySelector('.wf-time')?.getBoundingClientRect();
      const bar = row.querySelector('.wf-bar')?.getBoundingClientRect();
      if (track === undefined || bar === undefined) throw new Error('a row without a bar');
      return { from: (bar.left - track.left) / track.width, share: bar.width / track.width };
    });
}

test('a query’s ledger: every stage once, in order, and they sum to the total', async () => {
  await console_.send(...wholeQuery(0x100));
  const { page } = await open(traceId(0x100));
  await page.getByRole('heading', { name: 'Where the time went' }).waitFor();
  expect(await page.title()).toBe('langid 20.0 ms · trace 00000000 · Vitrine');
  const table = page.getByRole('table', { name: 'Stages of the query to langid' });
  const cells = await table
    .locator('tbody tr[data-stage]')
    .evaluateAll((rows) =>
      rows.map((row) => [row.getAttribute('data-stage'), row.querySelector('td')?.textContent]),
    );
  expect(cells).toEqual([
    ...Object.entries(STAGES).map(([stage, ms]) => [stage, ms.toFixed(3)]),
    ['unattributed', '0.100'],
  ]);
  const sum = cells.reduce((total, [, ms]) => total + Number(ms), 0);
  expect(await table.locator('tfoot td').first().textContent()).toBe(sum.toFixed(3));
  expect(await table.getByRole('row', { name: /inside the worker/ }).textContent()).toContain('13.500');

  // The bar says the same in the same order.
  const widths = await page
    .locator('.ledger-section .stages .stage')
    .evaluateAll((all) =>
      all.map((each) => [each.getAttribute('data-stage'), each.getBoundingClientRect().width] as const),
    );
  expect(widths.map(([stage]) => stage)).toEqual([...Object.keys(STAGES), 'unattributed']);
  const whole = widths.reduce((total, [, width]) => total + width, 0);
  for (const [stage, width] of widths) {
    const ms = STAGES[stage as keyof typeof STAGES] ?? 0.1;
    expect(Math.abs(width / whole - ms / 20), stage ?? '').toBeLessThan(0.01);
  }
});

test('what is known beside the stages, and the batch with a way there and back', async () => {
  await console_.send(...wholeQuery(0x200));
  const { page } = await open(traceId(0x200));
  const facts = page.locator('.ledger-section .facts');
  await facts
    .getByText('4 rows of 3 queries, closed: delay, padding 25 %, first row waited 2.00 ms')
    .waitFor();
  const text = (await facts.textContent()) ?? '';
  for (const part of [
    'langid version 3',
    'ok 200',
    'worker-1 ok',
    '1, its share of compute 1.50 ms',
    'it was slow',
    'request-1',
  ]) {
    expect(text).toContain(part);
  }
  expect(text).toContain('750 µs at gateway-0, 2.50 ms at worker-1');
  await facts.getByRole('link', { name: 'the batch' }).click();
  await page.getByRole('heading', { name: 'A batch' }).waitFor();
  expect(await textsOf(page, '.ledger-section .facts dd')).toContain(
    '4 rows of 3 queries, closed: delay, padding 25 %, first row waited 2.00 ms',
  );
  await page.locator('.members').getByRole('link').first().click();
  await page.getByRole('heading', { name: `Trace ${traceId(0x200)}` }).waitFor();
  // The link names the worker's span, which opens.
  await page.getByRole('complementary').getByRole('heading', { name: 'work langid' }).waitFor();
});

test('the waterfall: a tree in time, whose rows say who, how long, and whether it failed', async () => {
  const [query, attempt, work, compute] = wholeQuery(0x300) as [SentSpan, SentSpan, SentSpan, SentSpan];
  await console_.send(query, attempt, { ...work, error: 'model_failed' }, compute);
  const { page } = await open(traceId(0x300));
  const tree = page.getByRole('tree');
  await tree.waitFor();
  const items = await tree
    .getByRole('treeitem')
    .evaluateAll((all) =>
      all.map((item) => [item.getAttribute('aria-level'), item.getAttribute('aria-label')]),
    );
  expect(items).toEqual([
    ['1', 'infer langid, vitrine-gateway gateway-0, 20.0 ms, its parent is not in the trace'],
    ['2', 'attempt, vitrine-gateway gateway-0, 16.0 ms'],
    ['3', 'work langid, vitrine-worker worker-1, 14.0 ms, error'],
    ['4', 'compute, vitrine-worker worker-1, 5.00 ms'],
  ]);
  for (const [name, from, share] of [
    ['infer langid', 0, 1],
    ['attempt', 0.1, 0.8],
    ['compute', 0.5, 0.25],
  ] as const) {
    const bar = await barOf(page, name);
    expect(bar.from, name).toBeCloseTo(from, 2);
    expect(bar.share, name).toBeCloseTo(share, 2);
  }
});

test('by keyboard: moving, folding, details and back', async () => {
  await console_.send(...wholeQuery(0x400));
  const { page } = await open(traceId(0x400));
  const tree = page.getByRole('tree');
  await tree.focus();
  const active = (): Promise<string | null> =>
    tree.evaluate((element) => {
      const id = element.getAttribute('aria-activedescendant') ?? '';
      const item = document.getElementById(id);
      return item?.getAttribute('aria-selected') === 'true'
        ? (item.querySelector('.wf-label')?.textContent ?? null)
        : null;
    });
  const press = async (...keys: string[]): Promise<string | null> => {
    for (const key of keys) await page.keyboard.press(key);
    return active();
  };
  expect(await active()).toBe('infer langid');
  expect(await press('ArrowDown', 'ArrowDown')).toBe('work langid');
  expect(await press('ArrowUp')).toBe('attempt');
  expect(await press('End')).toBe('compute');
  expect(await press('ArrowDown')).toBe('compute');
  expect(await press('ArrowLeft')).toBe('work langid');
  expect(await press('Home', 'ArrowLeft')).toBe('infer langid');
  expect(await tree.getByRole('treeitem').count()).toBe(1);
  expect(await tree.getByRole('treeitem').getAttribute('aria-expanded')).toBe('false');
  expect(await tree.textContent()).toContain('+3');
  expect(await press('ArrowRight', 'ArrowRight')).toBe('attempt');
  expect(await tree.getByRole('treeitem').count()).toBe(4);

  await page.keyboard.press('Enter');
  const details = page.getByRole('complementary', { name: 'attempt' });
  await details.waitFor();
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('details-title');
  expect(new URL(page.url()).hash).toBe(`#${spanId(0x4001)}`);
  expect(await details.getByRole('row', { name: 'inference.worker worker-1' }).count()).toBe(1);
  await page.keyboard.press('Escape');
  expect(await page.getByRole('complementary').count()).toBe(0);
  expect(await tree.evaluate((element) => element === document.activeElement)).toBe(true);
  expect(new URL(page.url()).hash).toBe('');
  // The focus can be seen.
  expect(await tree.evaluate((element) => getComputedStyle(element).outlineStyle)).toBe('solid');
});

test('the pointer opens and folds, too', async () => {
  await console_.send(...wholeQuery(0x500));
  const { page } = await open(traceId(0x500));
  await page.locator('.wf-row', { hasText: 'compute' }).click();
  await page.getByRole('complementary', { name: 'compute' }).waitFor();
  await page.getByRole('button', { name: 'Close details' }).click();
  await page.locator('.wf-row', { hasText: 'work langid' }).locator('.wf-fold').click();
  expect(await page.getByRole('treeitem').count()).toBe(3);
  expect(await page.getByRole('complementary').count()).toBe(0);
});

test('what spans say is shown as text, and only http(s) becomes a link', async () => {
  const hostile: SentSpan = {
    service: '<b>service</b>',
    instance: '\u001b[31mred\u202e',
    traceId: traceId(0x600),
    spanId: spanId(0x600),
    name: '<img src=x onerror=alert(1)>\u0007',
    startMs: START_MS,
    durationMs: 5,
    error: '<script>alert(2)</script>',
    attributes: {
      'a.script': 'javascript:alert(3)',
      'b.data': 'data:text/html,<script>alert(4)</script>',
      'c.address': 'https://example.com/a?b=<i>',
      'd.lines': 'one\n\ttwo\u0000',
      '<i>key</i>': '"><svg onload=alert(5)>',
      'f.flag': true,
      'g.number': 1.5,
    },
    events: [
      { name: 'exception <u>', attributes: { 'exception.message': '<iframe src=javascript:alert(6)>' } },
    ],
    links: [{ traceId: traceId(0x601), spanId: spanId(0x601) }],
  };
  await console_.send(hostile);
  const { page } = await open(traceId(0x600));
  await page.getByRole('tree').focus();
  await page.keyboard.press('Enter');
  const details = page.getByRole('complementary', { name: '<img src=x onerror=alert(1)><U+0007>' });
  await details.waitFor();
  expect(await details.locator('.facts').textContent()).toContain('<b>service</b> <U+001B>[31mred<U+202E>');
  expect(await details.locator('.facts').textContent()).toContain('error: <script>alert(2)</script>');
  const cells = await details
    .locator('details')
    .first()
    .locator('tr')
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
  expect(cells).toEqual([
    ['<i>key</i>', '"><svg onload=alert(5)>'],
    ['a.script', 'javascript:alert(3)'],
    ['b.data', 'data:text/html,<script>alert(4)</script>'],
    ['c.address', 'https://example.com/a?b=<i>'],
    ['d.lines', 'one\n\ttwo<U+0000>'],
    ['f.flag', 'true'],
    ['g.number', '1.5'],
  ]);
  expect(await details.textContent()).toContain('<iframe src=javascript:alert(6)>');
  const links = await page
    .locator('main a')
    .evaluateAll((all) => all.map((link) => [link.getAttribute('href'), link.getAttribute('rel')]));
  expect(links).toEqual([
    ['/', null],
    ['https://example.com/a?b=%3Ci%3E', 'noreferrer noopener'],
    [`/trace/${traceId(0x601)}#${spanId(0x601)}`, null],
  ]);
  expect(await page.locator('main :is(script, img, svg, iframe, b, i, u)').count()).toBe(0);
});

test('a trace of 2,000 spans keeps few rows in the document, and every span can be reached', async () => {
  const root = querySpan(0x700, { startMs: START_MS, durationMs: 2000 });
  const steps = Array.from(
    { length: 1999 },
    (_, at): SentSpan => ({
      service: 'steps',
      traceId: root.traceId,
      spanId: spanId(0x70_0000 + at),
      parentSpanId: root.spanId,
      name: `step ${at}`,
      startMs: START_MS + at,
      durationMs: 1,
    }),
  );
  for (let at = 0; at < steps.length; at += 500) await console_.send(...steps.slice(at, at + 500));
  await console_.send(root);
  const { page } = await open(root.traceId);
  await page.getByText('2,000 spans from 2 processes').waitFor();
  const tree = page.getByRole('tree');
  const rows = (): Promise<number> => tree.getByRole('treeitem').count();
  expect(await rows()).toBeLessThan(80);
  await tree.focus();
  await page.keyboard.press('End');
  await page.getByRole('treeitem', { name: 'step 1998,' }).waitFor();
  expect(await page.getByRole('treeitem', { name: 'step 1998,' }).getAttribute('aria-setsize')).toBe('1999');
  expect(await rows()).toBeLessThan(80);
  await tree.evaluate((element) => {
    element.scrollTop = element.scrollHeight / 2;
  });
  await page.getByRole('treeitem', { name: 'step 1000,' }).waitFor();
  // What is read aloud stays in the document, though it is out of sight.
  expect(await page.getByRole('treeitem', { name: 'step 1998,' }).count()).toBe(1);
  const shown = await page.getByRole('treeitem', { name: 'step 1000,' }).boundingBox();
  const frame = await tree.boundingBox();
  expect(shown !== null && frame !== null && shown.y > frame.y && shown.y < frame.y + frame.height).toBe(
    true,
  );
});

test('several queries in one trace: each has its ledger', async () => {
  const trace = traceId(0x800);
  const [first, second] = [1, 2].map((at) =>
    querySpan(0x800 + at, {
      traceId: trace,
      startMs: START_MS + at * 100,
      model: `model-${at}`,
      attributes: { 'vitrine.stage.route_ms': at, 'vitrine.total_ms': at },
    }),
  ) as [SentSpan, SentSpan];
  await console_.send(second, first);
  const { page } = await open(`${trace}#${second.spanId}`);
  const chooser = page.getByLabel('2 queries share this trace');
  await chooser.waitFor();
  await page.getByRole('table', { name: 'Stages of the query to model-2' }).waitFor();
  await chooser.selectOption({ index: 0 });
  await page.getByRole('table', { name: 'Stages of the query to model-1' }).waitFor();
  expect(await page.locator('.ledger tfoot').textContent()).toContain('1.000');
});

test('parts that are missing are said: a killed gateway, a ledger that does not close, lost parents', async () => {
  const [, , work, compute] = wholeQuery(0x900) as [SentSpan, SentSpan, SentSpan, SentSpan];
  await console_.send(
    { ...work, attributes: stageAttributes({ compute: 6, queue: 1 }) },
    { ...compute, parentSpanId: spanId(0xdead) },
  );
  const { page } = await open(traceId(0x900));
  await page.getByText('Only the worker’s part of this query is here').waitFor();
  await page.getByText('This ledger does not close').waitFor();
  expect(await page.getByRole('treeitem', { name: /its parent is not in the trace/ }).count()).toBe(2);
  expect(await page.locator('.ledger .open-ledger').textContent()).toContain('7.000');
});

test('a trace that is still on its way is waited for, and grows as its parts arrive', async () => {
  const [query, attempt, work, compute] = wholeQuery(0xa00).map((span) => ({
    ...span,
    startMs: Date.now(),
  })) as [SentSpan, SentSpan, SentSpan, SentSpan];
  const { page } = await open(traceId(0xa00));
  await page.getByText('Not here yet.').waitFor();
  await console_.send(query, attempt);
  await page.getByText('2 spans from 1 process').waitFor();
  await console_.send(work, compute);
  await page.getByText('4 spans from 2 processes').waitFor();
});

test('an unknown id says so, and a short one is padded as Jaeger pads it', async () => {
  const { page } = await open('B0B');
  await page.getByRole('heading', { name: 'No such trace' }).waitFor();
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(`Trace ${traceId(0xb0b)}`);
  await console_.send(querySpan(0xb0b));
  await page.reload();
  await page.getByText('1 span from 1 process').waitFor();
});

test.each(['light', 'dark'] as const)(
  '360 pixels wide and %s: nothing is cut, every control has a name',
  async (colorScheme) => {
    const number = colorScheme === 'light' ? 0xc00 : 0xd00;
    await console_.send(...wholeQuery(number));
    const { page } = await open(traceId(number), { viewport: { width: 360, height: 740 }, colorScheme });
    await page.getByText('closed: delay').waitFor();
    expect(await overflowPx(page)).toBe(0);
    const bar = await barOf(page, 'compute');
    expect(bar.from).toBeCloseTo(0.5, 2);
    await page.locator('.wf-row', { hasText: 'work langid' }).click();
    await page.getByRole('complementary', { name: 'work langid' }).waitFor();
    expect(await overflowPx(page)).toBe(0);
    expect(await namelessControls(page)).toEqual([]);
  },
);
