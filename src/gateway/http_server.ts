/**
 * The servers of the gateway's port. Everything that every request needs stands here, before Express: the
 * record is opened when the headers are parsed, whoever may not call is refused, and the origin's headers
 * are set. Queries end here too: Express changes the prototypes of request and response, after which every
 * access to them is slow, Node's own included (docs/adr/0020-queries-before-express.md). It has the same
 * routes with the same handler for URLs that are written in another way.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Request, Response } from 'express';
import { REQUEST_ID, SERVER_TIMING, TRACE_ID } from '../contract/headers.ts';
import { errorBody } from '../contract/oip_error.ts';
import type { Health } from '../lifecycle/health.ts';
import { answerRefusal, createCors, hostRefusal } from '../lifecycle/http_guard.ts';
import { createApp, type QueryRequest } from './app.ts';
import type { GatewayCore } from './core.ts';
import { Exchange } from './exchange.ts';
import { CORS_REQUEST_HEADERS } from './infer_headers.ts';
import type { WorkerLink } from './worker_link.ts';

export interface HttpServerDeps {
  readonly core: GatewayCore;
  readonly health: Health;
  readonly hostAllowed: (host: string | undefined) => boolean;
  readonly links: () => readonly WorkerLink[];
}

/** An answer that its client does not take for this long is cut, in milliseconds. */
const STALLED_ANSWER_MS = 60_000;
/** How long an idle client connection stays open; longer than load balancers keep theirs. */
const KEEP_ALIVE_MS = 75_000;

/** A query's URL as clients write it. Names with percent-encoding, and other forms, are left to Express's router. */
const QUERY_URL = /^\/v2\/models\/([^/?%]+)(?:\/versions\/([^/?%]+))?\/infer(?:\?|$)/;

/** Whether the URL may be a query's that QUERY_URL does not read. What the router then makes of it is its own. */
function mayBeQuery(url: string): boolean {
  return url.startsWith('/v2/models/') && (url.endsWith('/infer') || url.includes('/infer?'));
}

/** @returns a maker of servers that share one application; none listens yet */
export function createHttpServers(deps: HttpServerDeps): () => Server {
  const { core } = deps;
  const cors = createCors({
    allowedOrigins: [core.options.consoleUrl, ...core.options.allowedOrigins],
    methods: ['GET', 'POST'],
    requestHeaders: CORS_REQUEST_HEADERS,
    exposedHeaders: [TRACE_ID, REQUEST_ID, SERVER_TIMING],
  });

  const open = (
    request: QueryRequest,
    response: ServerResponse,
    startMs: number,
    expects: boolean,
  ): Exchange => {
    const exchange = new Exchange(core, request, response, startMs, expects);
    request.exchange = exchange;
    return exchange;
  };

  const app = createApp({
    core,
    health: deps.health,
    links: deps.links,
    openExchange: (request, response) => open(request, response, performance.now(), false),
  });

  /** The Host accepted last: clients send the same one again and again. */
  let lastHost: string | null = null;
  const hostAllowed = (host: string | undefined): boolean => {
    if (host === lastHost) return true;
    if (!deps.hostAllowed(host)) return false;
    lastHost = host ?? null;
    return true;
  };

  const onRequest = (request: QueryRequest, response: ServerResponse, expects: boolean): void => {
    const startMs = performance.now();
    const { url = '' } = request;
    const posted = request.method === 'POST';
    const named = posted ? QUERY_URL.exec(url) : null;
    const exchange =
      named !== null || (posted && mayBeQuery(url)) ? open(request, response, startMs, expects) : undefined;
    if (!hostAllowed(request.headers.host)) {
      if (exchange === undefined) answerRefusal(response, hostRefusal());
      else exchange.refuse(hostRefusal());
      return;
    }
    if (cors.handle(request, response)) return;
    if (exchange !== undefined && named !== null) {
      exchange.start(named[1] ?? '', named[2] ?? '');
      return;
    }
    if (expects && exchange === undefined) response.writeContinue();
    // Express gives both their own prototypes before it uses them as such.
    app(request as Request, response as Response);
  };

  return () => {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS });
    server.on('request', (request, response) => onRequest(request, response, false));
    server.on('checkContinue', (request, response) => onRequest(request, response, true));
    server.on('clientError', answerClientError);
    // Only answers that nobody takes: what waits for the service is bounded by its deadline.
    server.setTimeout(STALLED_ANSWER_MS, (socket) => {
      if (socket.writableLength > 0) socket.destroy();
    });
    return server;
  };
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [status: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers are larger than 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not arrive in time'],
};

/** What no parser could read gets an answer all the same, unless one is on its way, and the connection ends. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET' || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }
  const [status, message] = CLIENT_ERRORS[error.code ?? ''] ?? [
    '400 Bad Request',
    'the request is not valid HTTP',
  ];
  const body = JSON.stringify(errorBody({ message }));
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}
