/** A real browser, from an npm package, that tells everything that goes wrong in a page. */
import chromium from '@sparticuz/chromium';
import { type Browser, type BrowserContextOptions, type Page, chromium as playwright } from 'playwright-core';

/** They keep the browser from its vendor's servers; a process each lets one context end without the others. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const UNWANTED = new Set(['--single-process', '--no-zygote']);

export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings in the page, refused by its policy or thrown; requests that failed are not among them. */
  readonly problems: readonly string[];
  /** Origins that the page asked anything of. */
  readonly origins: ReadonlySet<string>;
}

export interface TestBrowser extends AsyncDisposable {
  /** Opens an address in a fresh context, which ends with the browser. */
  open(url: string, options?: BrowserContextOptions): Promise<WatchedPage>;
}

export async function startBrowser(): Promise<TestBrowser> {
  const browser: Browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: [...chromium.args.filter((argument) => !UNWANTED.has(argument)), ...ARGUMENTS],
    headless: true,
  });
  return {
    async open(url, options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(15_000);
      const problems: string[] = [];
      const origins = new Set<string>();
      page.on('console', (message) => {
        if (!['error', 'warning'].includes(message.type())) return;
        // The browser says so of every answer beyond 399, and the page has its own words for those.
        if (!message.text().startsWith('Failed to load resource:')) problems.push(message.text());
      });
      page.on('pageerror', (error) => problems.push(error.message));
      page.on('dialog', (dialog) => {
        problems.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on('request', (request) => origins.add(new URL(request.url()).origin));
      await page.goto(url);
      return { page, problems, origins };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** How far the page is wider than its window, in pixels. */
export function overflowPx(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Controls that a screen reader could not name. */
export function namelessControls(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLInputElement>('a, button, input, select, textarea, summary')]
      .filter((element) => {
        const name = element.getAttribute('aria-label') ?? element.textContent?.trim() ?? '';
        return name === '' && (element.labels?.length ?? 0) === 0;
      })
      .map((element) => element.outerHTML),
  );
}
