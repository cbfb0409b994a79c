/**
 * What stands in front of every port: who may address it (Host), whose pages may call it (CORS), which
 * requests may change state, and what a caller has to know. Pieces for any HTTP server: they read headers and
 * answer, and know no framework.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { VitrineError } from '../contract/errors.ts';
import { CSRF } from '../contract/headers.ts';
import { StartupError } from './startup_error.ts';

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'] as const;
const HOST_LIMIT_CHARS = 300;

/** An address as the Host header writes it: lower case, IPv6 in brackets. */
function hostName(host: string): string {
  const lower = host.toLowerCase();
  return isIP(lower) === 6 ? `[${lower}]` : lower;
}

/** Whether a process that listens on this name or address can be reached from its own machine alone. */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host);
  return name === 'localhost' || name === '[::1]' || (/^127\./.test(name) && isIP(name) === 4);
}

/**
 * Refuses to start a process that listens beyond loopback without the secret that has to guard it there.
 * @throws StartupError token_required
 */
export function requireTokenBeyondLoopback(options: {
  readonly host: string;
  readonly hostSetting: string;
  readonly token: string;
  readonly tokenSetting: string;
}): void {
  if (isLoopbackHost(options.host) || options.token !== '') return;
  throw new StartupError(
    'token_required',
    options.tokenSetting,
    `${options.hostSetting} is ${options.host}, which others can reach: set ${options.tokenSetting} to a ` +
      `secret of 16 characters or more, or ${options.hostSetting} to localhost`,
  );
}

export interface HostCheckOptions {
  /** Names accepted besides the loopback ones, without port. No wildcards. */
  readonly allowedHosts: readonly string[];
  /** The address listened on. Its own name is accepted; beyond loopback so is any IP address, because a name that
   * an attacker's DNS points here is never one. */
  readonly listenHost: string;
}

/**
 * Against DNS rebinding: a page of another site whose name was pointed at this machine still names that site
 * in `Host`. Ports are not compared (forwarded ports differ, and they say nothing about the site).
 * @returns a check of the header's value; a missing one is refused
 */
export function createHostCheck(options: HostCheckOptions): (hostHeader: string | undefined) => boolean {
  const names = new Set<string>([...LOOPBACK_NAMES, ...options.allowedHosts.map(hostName)]);
  names.add(hostName(options.listenHost));
  const anyAddress = !isLoopbackHost(options.listenHost);
  return (hostHeader) => {
    if (hostHeader === undefined || hostHeader.length > HOST_LIMIT_CHARS) return false;
    if (names.has(hostHeader)) return true;
    const [, name] = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/.exec(hostHeader) ?? [];
    if (name === undefined) return false;
    const known = name.toLowerCase();
    return names.has(known) || (anyAddress && isIP(known.replace(/^\[|\]$/g, '')) !== 0);
  };
}

/** The answer to a Host that is not ours: 421. */
export function hostRefusal(): VitrineError {
  return new VitrineError(
    'host_misdirected',
    'the Host header names no host of this service; call it by its own name, or add yours to VITRINE_ACCESS_ALLOWED_HOSTS',
    { field: 'host' },
  );
}

/** Answers `{"error": message}` with the error's status. For requests refused before a framework sees them. */
export function answerRefusal(response: ServerResponse, error: VitrineError): void {
  const body = JSON.stringify({ error: error.message });
  response.writeHead(error.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  response.end(body);
}

/** `http://localhost:16686` → the same port under each loopback name; any other origin alone. */
export function originTwins(url: string): readonly string[] {
  if (!URL.canParse(url)) return [];
  const { protocol, hostname, port, origin } = new URL(url);
  if (!(LOOPBACK_NAMES as readonly string[]).includes(hostname)) return [origin];
  return LOOPBACK_NAMES.map((name) => `${protocol}//${name}${port === '' ? '' : `:${port}`}`);
}

export interface CorsOptions {
  /** Origins whose pages may call; a loopback one stands for all three loopback names. */
  readonly allowedOrigins: readonly string[];
  readonly methods: readonly string[];
  /** Request headers that a page may send. */
  readonly requestHeaders: readonly string[];
  /** Answer headers that a page may read. */
  readonly exposedHeaders: readonly string[];
}

const PREFLIGHT_MAX_AGE_S = '600';

export interface Cors {
  readonly origins: ReadonlySet<string>;
  /**
   * Sets the CORS headers of an allowed origin, and none for any other (never `*`). Also lets the origin's page
   * read Server-Timing.
   * @returns true when the request was a preflight and has been answered
   */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

export function createCors(options: CorsOptions): Cors {
  const origins = new Set(options.allowedOrigins.flatMap(originTwins));
  const methods = options.methods.join(', ');
  const requestHeaders = options.requestHeaders.join(', ');
  const exposedHeaders = options.exposedHeaders.join(', ');
  const handle = (request: IncomingMessage, response: ServerResponse): boolean => {
    const { origin } = request.headers;
    if (origin === undefined) return false;
    response.setHeader('vary', 'origin');
    const allowed = origins.has(origin);
    if (allowed) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('access-control-expose-headers', exposedHeaders);
      response.setHeader('timing-allow-origin', origin);
    }
    const preflight =
      request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined;
    if (!preflight) return false;
    if (allowed) {
      response.setHeader('access-control-allow-methods', methods);
      response.setHeader('access-control-allow-headers', requestHeaders);
      response.setHeader('access-control-max-age', PREFLIGHT_MAX_AGE_S);
    }
    response.statusCode = 204;
    response.end();
    return true;
  };
  return { origins, handle };
}

/**
 * For routes that change state: no page of another site, and no plain form, can send what this asks for.
 * @param allowedOrigins besides the service's own, which is `http(s)://<Host>`
 * @throws VitrineError forbidden
 */
export function requireDeliberate(headers: IncomingHttpHeaders, allowedOrigins: ReadonlySet<string>): void {
  if (headers[CSRF] === undefined) {
    throw new VitrineError('forbidden', `this route changes state; send the header ${CSRF}: 1`, {
      field: CSRF,
    });
  }
  const { origin, host } = headers;
  if (origin === undefined) return;
  const own = origin === `http://${host}` || origin === `https://${host}`;
  if (!own && !allowedOrigins.has(origin)) {
    throw new VitrineError(
      'forbidden',
      'this route changes state, and pages of other origins may not call it',
      {
        field: 'origin',
      },
    );
  }
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/**
 * Compares what a caller presents with a secret, in a time that tells nothing of either.
 * @param secret when empty, nothing matches
 */
export function createSecretCheck(secret: string): (presented: string | undefined) => boolean {
  const expected = digest(secret);
  return (presented) =>
    secret !== '' && presented !== undefined && timingSafeEqual(digest(presented), expected);
}

/** `Bearer abc` → `abc`; undefined for any other scheme or none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(authorization ?? '')?.[1];
}

/**
 * Headers of a page: it runs only the scripts and styles that we serve, and nobody frames it.
 * @param connectOrigins origins besides its own that the page may call
 */
export function pageHeaders(connectOrigins: readonly string[] = []): Readonly<Record<string, string>> {
  const connect = ["'self'", ...connectOrigins].join(' ');
  return {
    'content-security-policy':
      `default-src 'self'; connect-src ${connect}; img-src 'self' data:; object-src 'none'; ` +
      "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
}
