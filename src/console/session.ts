/**
 * Who may use the console. On loopback everyone. Beyond it: a bearer token for machines, and for browsers a
 * login link that works once and leaves a cookie. The token itself is never in a URL.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { bearerToken, createSecretCheck, isLoopbackHost } from '../lifecycle/http_guard.ts';

const COOKIE = 'vitrine_session';
const SESSION_LIMIT = 256;
const SESSION_AGE_LIMIT_MS = 12 * 3_600_000;
const CODE_AGE_LIMIT_MS = 10 * 60_000;

export interface Sessions {
  allows(request: IncomingMessage): boolean;
  /**
   * The path of a login link, which works once, for ten minutes; undefined while one is out that still works,
   * so that nobody can make others useless, and on loopback.
   */
  createLoginPath(): string | undefined;
  /** Trades the link's code for a cookie. @returns the value of Set-Cookie, or undefined for a code that is not good */
  login(code: string): string | undefined;
}

/** @param nowMs Unix time, for tests */
export function createSessions(
  options: { host: string; token: string },
  nowMs: () => number = Date.now,
): Sessions {
  const required = !isLoopbackHost(options.host);
  const isToken = createSecretCheck(options.token);
  const sessions = new Map<string, number>();
  let code: { readonly matches: (text: string | undefined) => boolean; readonly untilMs: number } | undefined;

  const cookieOf = (request: IncomingMessage): string | undefined =>
    request.headers.cookie
      ?.split(';')
      .map((part) => part.trim())
      .find((part) => part.startsWith(`${COOKIE}=`))
      ?.slice(COOKIE.length + 1);

  return {
    allows(request) {
      if (!required) return true;
      if (isToken(bearerToken(request.headers.authorization))) return true;
      const session = cookieOf(request);
      // 256 random bits: looking one up in a map tells nothing of the others.
      const untilMs = session === undefined ? undefined : sessions.get(session);
      return untilMs !== undefined && untilMs > nowMs();
    },
    createLoginPath() {
      if (!required || (code !== undefined && code.untilMs >= nowMs())) return undefined;
      const text = randomBytes(32).toString('base64url');
      code = { matches: createSecretCheck(text), untilMs: nowMs() + CODE_AGE_LIMIT_MS };
      return `/login?code=${text}`;
    },
    login(text) {
      if (code === undefined || code.untilMs < nowMs() || !code.matches(text)) return undefined;
      code = undefined;
      const session = randomBytes(32).toString('base64url');
      if (sessions.size >= SESSION_LIMIT) sessions.delete(sessions.keys().next().value as string);
      sessions.set(session, nowMs() + SESSION_AGE_LIMIT_MS);
      return `${COOKIE}=${session}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${SESSION_AGE_LIMIT_MS / 1000}`;
    },
  };
}
