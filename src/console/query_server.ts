/**
 * The console's port for people and for Jaeger clients: the page, Jaeger's query API v1 and v3, what the page
 * asks for, health and metrics. Reads only; nothing here changes state but a login and what is said of an alert.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import type { Health } from '../lifecycle/health.ts';
import { hostRefusal, pageHeaders } from '../lifecycle/http_guard.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { isJaegerPath } from '../traces/jaeger_api.ts';
import type { TraceStoreClient } from '../traces/store_client.ts';
import { type AlertRoutes, POST_PATH } from './alert_routes.ts';
import { type Asset, loadAssets } from './assets.ts';
import { readRecentParameters } from './recent_params.ts';
import type { Sessions } from './session.ts';

export interface QueryServerDeps {
  readonly store: TraceStoreClient;
  readonly telemetry: Telemetry;
  readonly health: Health;
  readonly sessions: Sessions;
  readonly alerts: AlertRoutes | undefined;
  /** Told the path of a login link, when a visitor came with one that is no longer good. */
  readonly onLoginPath: (path: string) => void;
  readonly hostAllowed: (host: string | undefined) => boolean;
  /** The gateway that the page tries models on. */
  readonly gatewayUrl: string;
  readonly version: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string;
}

const JSON_TYPE = 'application/json; charset=utf-8';
/** Addresses at which the page itself is served; the same as Jaeger's, so that one link works in both. */
const PAGE_PATH = /^\/(?:search|objectives|alerts(?:\/[0-9a-f]{16})?|trace\/[0-9a-fA-F]{1,32})?$/;

function json(status: number, value: unknown): Answer {
  return {
    status,
    headers: { 'content-type': JSON_TYPE, 'cache-control': 'no-store' },
    body: JSON.stringify(value),
  };
}

export function createQueryServer(deps: QueryServerDeps): Server {
  const assets = loadAssets();
  const gatewayOrigin = new URL(deps.gatewayUrl).origin;
  const page = pageHeaders(gatewayOrigins(gatewayOrigin));

  const asset = (found: Asset, request: IncomingMessage): Answer => {
    const headers = {
      'content-type': found.contentType,
      etag: found.etag,
      'cache-control': 'no-cache',
      ...page,
    };
    return request.headers['if-none-match'] === found.etag
      ? { status: 304, headers, body: '' }
      : { status: 200, headers, body: found.body };
  };

  const open = async (path: string, request: IncomingMessage): Promise<Answer | undefined> => {
    switch (path) {
      case '/livez':
        return deps.health.live()
          ? json(200, { live: true })
          : json(503, { obstacles: deps.health.obstacles() });
      case '/readyz':
        return deps.health.ready()
          ? json(200, { ready: true })
          : json(503, { obstacles: deps.health.obstacles() });
      case '/login': {
        const code = new URLSearchParams((request.url ?? '').split('?')[1] ?? '').get('code') ?? '';
        const cookie = deps.sessions.login(code);
        if (cookie === undefined) {
          const fresh = deps.sessions.createLoginPath();
          if (fresh !== undefined) deps.onLoginPath(fresh);
          throw new VitrineError('forbidden', 'this login link is not good any more; the log has a new one');
        }
        return {
          status: 303,
          headers: { location: '/', 'set-cookie': cookie, 'cache-control': 'no-store' },
          body: '',
        };
      }
      default:
        return undefined;
    }
  };

  const route = async (request: IncomingMessage): Promise<Answer> => {
    if (!deps.hostAllowed(request.headers.host)) throw hostRefusal();
    const [path = '/', search = ''] = (request.url ?? '/').split('?', 2);
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const isAlert =
      deps.alerts !== undefined && /^\/console\/(?:alerts|objectives|silences)(?:\/|$)/.test(path);
    if (!isRead && !isJaegerPath(path) && !isAlert)
      throw new VitrineError('method_not_allowed', `${path} takes GET`);
    const public_ = await open(path, request);
    if (public_ !== undefined) return public_;
    if (!deps.sessions.allows(request)) {
      throw new VitrineError(
        'forbidden',
        'log in with the link from the log, or send Authorization: Bearer <VITRINE_CONSOLE_TOKEN>',
      );
    }
    if (isJaegerPath(path)) {
      const { status, body } = await deps.store.query({ method: request.method ?? 'GET', path, search });
      return { status, headers: { 'content-type': JSON_TYPE, 'cache-control': 'no-store' }, body };
    }
    const alerts = await deps.alerts?.handle(request, path);
    if (alerts !== undefined) return json(200, alerts.value);
    switch (path) {
      case '/metrics': {
        const { contentType, body } = await deps.telemetry.renderMetrics(request.headers.accept);
        return { status: 200, headers: { 'content-type': contentType }, body };
      }
      case '/console/recent': {
        const { limit, filters } = readRecentParameters(new URLSearchParams(search));
        return json(200, await deps.store.recent(limit, filters));
      }
      case '/console/status':
        return json(200, {
          version: deps.version,
          gatewayUrl: deps.gatewayUrl,
          store: await deps.store.stats(),
          client: deps.store.clientStats(),
        });
    }
    const found = assets.get(PAGE_PATH.test(path) ? '/' : path);
    if (found !== undefined) return asset(found, request);
    throw new VitrineError(
      'not_found',
      'no such page; the newest queries are at /, the query API is below /api/',
    );
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let result: Answer;
    try {
      result = await route(request);
    } catch (thrown) {
      const error = asVitrineError(thrown);
      if (error.code === 'internal')
        deps.telemetry.log.error('the console failed on a request', { error: error.cause });
      const retry = error.retryable ? { 'retry-after': String(Math.ceil(error.retryAfterS ?? 1)) } : {};
      const allow =
        error.status !== 405
          ? {}
          : { allow: POST_PATH.test((request.url ?? '').split('?')[0] ?? '') ? 'POST' : 'GET, HEAD' };
      const refusal = json(error.status, { error: error.message });
      result = { ...refusal, headers: { ...refusal.headers, ...retry, ...allow } };
    }
    if (response.destroyed) return;
    response.writeHead(result.status, {
      ...result.headers,
      'content-length': Buffer.byteLength(result.body),
      'x-content-type-options': 'nosniff',
    });
    response.end(request.method === 'HEAD' ? undefined : result.body);
  };

  return createServer((request, response) => void answer(request, response));
}

/** A loopback gateway answers under each loopback name, and the page is opened under any of them. */
function gatewayOrigins(origin: string): string[] {
  const { protocol, hostname, port } = new URL(origin);
  if (hostname !== 'localhost' && hostname !== '127.0.0.1') return [origin];
  return ['localhost', '127.0.0.1'].map((name) => `${protocol}//${name}${port === '' ? '' : `:${port}`}`);
}
