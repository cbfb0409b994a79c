/** The enricher's port: Alertmanager's webhooks, health, metrics. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import { RETRY_AFTER } from '../contract/headers.ts';
import type { Health } from '../lifecycle/health.ts';
import { bearerToken, createSecretCheck, hostRefusal } from '../lifecycle/http_guard.ts';
import { lingerThenCut } from '../lifecycle/linger.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { RelayResult } from './relay.ts';

export interface EnricherServerDeps {
  readonly telemetry: Pick<Telemetry, 'renderMetrics' | 'log'>;
  readonly health: Health;
  readonly hostAllowed: (host: string | undefined) => boolean;
  /** Empty: none is asked for. */
  readonly token: string;
  readonly bodyLimitBytes: number;
  /** @returns undefined when there is no receiver of this name. @throws VitrineError `overloaded` */
  readonly relay: (receiver: string, readBody: () => Promise<Buffer>) => Promise<RelayResult | undefined>;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json: unknown;
}

const ALERTS_PATH = /^\/alerts(?:\/([a-z0-9][a-z0-9-]{0,62}))?$/;
/** Longest time for a whole message to arrive, in milliseconds. */
const REQUEST_TIMEOUT_MS = 10_000;

function probe(ok: boolean, health: Health): Answer {
  return ok ? { status: 200, json: { ok } } : { status: 503, json: { ok, obstacles: health.obstacles() } };
}

async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const tooLarge = (): VitrineError =>
    new VitrineError(
      'payload_too_large',
      `the message has more than ${limitBytes} bytes; set max_alerts in Alertmanager, or VITRINE_ENRICHER_BODY_LIMIT_BYTES`,
    );
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Left early, the request must stay open for the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limitBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}

function answerOf(result: RelayResult): Answer {
  switch (result.kind) {
    case 'forwarded':
      return { status: 200, json: { forwarded: !result.duplicate, withEvidence: result.withEvidence } };
    case 'unavailable':
      // Alertmanager tries again after 5xx alone.
      return {
        status: 503,
        headers: result.retryAfterMs === undefined ? {} : { [RETRY_AFTER]: seconds(result.retryAfterMs) },
        json: { error: `the receiver did not take the message: ${result.reason}` },
      };
    case 'refused':
      // A redirect is a fault of the configuration; until it is put right nothing is given up.
      return {
        status: result.status < 400 ? 502 : result.status,
        json: { error: `the receiver refused the message: ${result.reason}` },
      };
  }
}

/** A server that is not listening yet. */
export function createEnricherServer(deps: EnricherServerDeps): Server {
  const { telemetry, health } = deps;
  const isToken = createSecretCheck(deps.token);

  const takeMessage = async (request: IncomingMessage, receiver: string): Promise<Answer> => {
    if (request.method !== 'POST') throw new VitrineError('method_not_allowed', '/alerts takes POST');
    const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
    // No page can send this type elsewhere without asking first, and we allow no origin.
    if (type !== 'application/json') {
      throw new VitrineError('unsupported_media_type', 'send content-type: application/json');
    }
    const result = await deps.relay(receiver, () => readBody(request, deps.bodyLimitBytes));
    if (result !== undefined) return answerOf(result);
    throw new VitrineError(
      'not_found',
      receiver === ''
        ? 'there is no receiver for /alerts; name one in VITRINE_ENRICHER_FORWARD_URLS, or post to /alerts/<name>'
        : 'there is no receiver of this name; add <name>=<address> to VITRINE_ENRICHER_FORWARD_URLS',
    );
  };

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> => {
    if (!deps.hostAllowed(request.headers.host)) throw hostRefusal();
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (path === '/livez' && isRead) return probe(health.live(), health);
    if (path === '/readyz' && isRead) return probe(health.ready(), health);
    if (deps.token !== '' && !isToken(bearerToken(request.headers.authorization))) {
      throw new VitrineError('forbidden', 'send Authorization: Bearer <VITRINE_ENRICHER_TOKEN>');
    }
    const alerts = ALERTS_PATH.exec(path);
    if (alerts !== null) return takeMessage(request, alerts[1] ?? '');
    if (path !== '/metrics' && path !== '/livez' && path !== '/readyz') {
      throw new VitrineError('not_found', 'there is nothing here; messages go to /alerts or /alerts/<name>');
    }
    if (!isRead) throw new VitrineError('method_not_allowed', `${path} takes GET`);
    const { contentType, body } = await telemetry.renderMetrics(request.headers.accept);
    response.writeHead(200, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
    response.end(request.method === 'HEAD' ? undefined : body);
    return undefined;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let result: Answer | undefined;
    try {
      result = await route(request, response);
    } catch (thrown) {
      const error = asVitrineError(thrown);
      if (error.code === 'internal') telemetry.log.error('a request failed', { error: error.cause });
      const retry = error.retryable ? { [RETRY_AFTER]: String(Math.ceil(error.retryAfterS ?? 1)) } : {};
      const allow =
        error.status === 405 ? { allow: ALERTS_PATH.test(request.url ?? '') ? 'POST' : 'GET, HEAD' } : {};
      result = { status: error.status, headers: { ...retry, ...allow }, json: { error: error.message } };
    }
    if (result === undefined || response.destroyed || response.headersSent) return;
    const body = JSON.stringify(result.json);
    if (!request.complete) lingerThenCut(request);
    response.writeHead(result.status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...result.headers,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  return createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => void answer(request, response),
  );
}
