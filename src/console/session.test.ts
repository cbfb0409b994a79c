import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { createSessions } from './session.ts';

const TOKEN = 'a-token-of-more-than-16-characters';
const BEYOND = { host: '0.0.0.0', token: TOKEN };

function request(headers: Record<string, string>): IncomingMessage {
  return { headers } as unknown as IncomingMessage;
}

function codeOf(path: string | undefined): string {
  return path?.replace('/login?code=', '') ?? '';
}

function cookieOf(setCookie: string | undefined): { cookie: string } {
  return { cookie: setCookie?.split(';')[0] ?? '' };
}

test('on loopback everyone is allowed, and nobody logs in', () => {
  for (const host of ['localhost', '127.0.0.1', '::1']) {
    const sessions = createSessions({ host, token: '' });
    expect(sessions.allows(request({}))).toBe(true);
    expect(sessions.createLoginPath()).toBeUndefined();
    expect(sessions.login('')).toBeUndefined();
  }
});

test('beyond it, the bearer token', () => {
  const sessions = createSessions(BEYOND);
  expect(sessions.allows(request({}))).toBe(false);
  expect(sessions.allows(request({ authorization: `Bearer ${TOKEN}` }))).toBe(true);
  expect(sessions.allows(request({ authorization: `Bearer ${TOKEN}x` }))).toBe(false);
  expect(sessions.allows(request({ authorization: `Basic ${TOKEN}` }))).toBe(false);
  expect(sessions.allows(request({ authorization: 'Bearer ' }))).toBe(false);
  expect(sessions.allows(request({ cookie: `vitrine_session=${TOKEN}` }))).toBe(false);
});

test('a login link works once, and leaves a cookie that scripts and other sites cannot use', () => {
  const sessions = createSessions(BEYOND);
  const code = codeOf(sessions.createLoginPath());
  expect(sessions.login('')).toBeUndefined();
  expect(sessions.login(`${code}x`)).toBeUndefined();
  const setCookie = sessions.login(code);
  expect(setCookie).toMatch(/^vitrine_session=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/);
  expect(sessions.login(code)).toBeUndefined();
  expect(sessions.allows(request(cookieOf(setCookie)))).toBe(true);
  expect(sessions.allows(request({ cookie: `other=1; ${cookieOf(setCookie).cookie}; more=2` }))).toBe(true);
  expect(sessions.allows(request({ cookie: 'vitrine_session=guess' }))).toBe(false);
});

test('links and sessions end', () => {
  let nowMs = 1_000_000;
  const sessions = createSessions(BEYOND, () => nowMs);
  const first = codeOf(sessions.createLoginPath());
  // Nobody can push a link aside that still works.
  expect(sessions.createLoginPath()).toBeUndefined();
  nowMs += 10 * 60_000 + 1;
  expect(sessions.login(first)).toBeUndefined();
  const cookie = cookieOf(sessions.login(codeOf(sessions.createLoginPath())));
  expect(sessions.allows(request(cookie))).toBe(true);
  nowMs += 12 * 3_600_000;
  expect(sessions.allows(request(cookie))).toBe(false);
});

test('of too many sessions the oldest ends', () => {
  const sessions = createSessions(BEYOND);
  const cookies = Array.from({ length: 257 }, () =>
    cookieOf(sessions.login(codeOf(sessions.createLoginPath()))),
  );
  expect(cookies.map((cookie) => sessions.allows(request(cookie))).indexOf(true)).toBe(1);
  expect(new Set(cookies.map(({ cookie }) => cookie)).size).toBe(257);
});
