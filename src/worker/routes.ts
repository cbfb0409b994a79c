/**
 * The worker's HTTP surface: the Open Inference Protocol, health, metrics.
 *
 * Express serves all of it but queries in their usual form, which are taken from the URL before it: on its way
 * through Express a query costs half as much again (docs/adr/0020-queries-before-express.md).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { ByteBudget } from '../batching/byte_budget.ts';
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import { WORKER_SECRET } from '../contract/headers.ts';
import { KEEP_LIMIT, KEEP_LIMIT_BYTES, KEEP_PATH, parseKeepVerdicts } from '../contract/keep_verdicts.ts';
import { OIP_EXTENSIONS, type ServerMetadata } from '../contract/oip.ts';
import type { Health } from '../lifecycle/health.ts';
import { bearerToken, createHostCheck, createSecretCheck, hostRefusal } from '../lifecycle/http_guard.ts';
import { lingerThenCut } from '../lifecycle/linger.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { answer, answerJson, errorAnswer } from './answer.ts';
import type { Infer } from './infer.ts';
import { readBody } from './read_body.ts';
import type { ServedModels } from './served_models.ts';

export interface RoutesOptions {
  readonly version: string;
  readonly listenHost: string;
  readonly allowedHosts: readonly string[];
  /** Empty: none is asked for. */
  readonly secret: string;
}

export interface RoutesDeps {
  readonly models: ServedModels;
  readonly infer: Infer;
  readonly health: Health;
  readonly telemetry: Pick<Telemetry, 'renderMetrics' | 'keep' | 'log'>;
}

/** Open without the secret: probes know none, and these answers tell nothing else. */
const PROBES: ReadonlySet<string> = new Set(['/livez', '/readyz']);
/** Bytes of a body that is no query. */
const SMALL_BODY_BYTES = Math.max(64 * 1024, KEEP_LIMIT_BYTES);

/** Who may ask at all. @throws VitrineError `host_misdirected`, `forbidden` */
function createGate(options: RoutesOptions): (request: IncomingMessage) => void {
  const isOurs = createHostCheck(options);
  const isSecret = createSecretCheck(options.secret);
  // Callers that keep their connection name the same host each time.
  let lastHost: string | undefined;
  return ({ headers, url = '' }) => {
    if (headers.host === undefined || headers.host !== lastHost) {
      if (!isOurs(headers.host)) throw hostRefusal();
      lastHost = headers.host;
    }
    if (options.secret === '' || PROBES.has(url.split('?', 1)[0] ?? '')) return;
    const given = headers[WORKER_SECRET] ?? bearerToken(headers.authorization);
    if (isSecret(typeof given === 'string' ? given : undefined)) return;
    throw new VitrineError('forbidden', `this worker takes calls only with its secret in ${WORKER_SECRET}`, {
      field: WORKER_SECRET,
    });
  };
}

/** A query whose names need no decoding. */
const INFER_URL = /^\/v2\/models\/([A-Za-z0-9._-]+)(?:\/versions\/([0-9]+))?\/infer$/;

function onlyAllow(methods: string): (request: Request, response: Response) => void {
  return ({ method }, response) => {
    const error = new VitrineError('method_not_allowed', `${method} is not possible here; use ${methods}`);
    const { headers, body } = errorAnswer(error);
    answer(response, error.status, [...headers, 'allow', methods], body);
  };
}

async function readSmallBody(request: IncomingMessage): Promise<Buffer> {
  const { body } = await readBody(request, {
    limitBytes: SMALL_BODY_BYTES,
    setting: 'nothing: this route takes no more',
    budget: new ByteBudget(SMALL_BODY_BYTES),
    noRoom: () => new VitrineError('payload_too_large', `the body is larger than ${SMALL_BODY_BYTES} bytes`),
  });
  return body;
}

/** Triton's `{"ready": true}`: only what can be asked. */
function asksForReady(body: Buffer): boolean {
  if (body.length === 0) return false;
  try {
    return (JSON.parse(body.toString('utf8')) as { ready?: unknown } | null)?.ready === true;
  } catch {
    throw new VitrineError('invalid_json', 'the body must be JSON, such as {"ready": true}, or empty');
  }
}

function probe(response: ServerResponse, ok: boolean, value: Readonly<Record<string, unknown>>): void {
  answerJson(response, value, ok ? 200 : 503);
}

function addModelRoutes(app: Express, { models, infer }: RoutesDeps): void {
  type Path = { model: string; version?: string };
  const paths = (tail: string): string[] => [
    `/v2/models/:model${tail}`,
    `/v2/models/:model/versions/:version${tail}`,
  ];
  app
    .route(paths('/infer'))
    .post((request: Request<Path>, response) => {
      infer.handle(request, response, request.params.model, request.params.version, performance.now());
    })
    .all(onlyAllow('POST'));
  app
    .route(paths('/ready'))
    .get((request: Request<Path>, response) => {
      models.find(request.params.model, request.params.version);
      answerJson(response, { name: request.params.model, ready: true });
    })
    .all(onlyAllow('GET, HEAD'));
  app
    .route(paths(''))
    .get((request: Request<Path>, response) => {
      answerJson(response, models.metadata(request.params.model, request.params.version));
    })
    .all(onlyAllow('GET, HEAD'));
}

function addServerRoutes(app: Express, deps: RoutesDeps, version: string): void {
  const { models, health, telemetry } = deps;
  const metadata: ServerMetadata = { name: 'vitrine', version, extensions: OIP_EXTENSIONS };
  app
    .route('/v2')
    .get((_request, response) => answerJson(response, metadata))
    .all(onlyAllow('GET, HEAD'));
  app
    .route('/v2/health/live')
    .get((_request, response) => probe(response, health.live(), { live: health.live() }))
    .all(onlyAllow('GET, HEAD'));
  app
    .route('/v2/health/ready')
    .get((_request, response) => probe(response, health.ready(), { ready: health.ready() }))
    .all(onlyAllow('GET, HEAD'));
  app
    .route('/livez')
    .get((_request, response) => probe(response, health.live(), { live: health.live() }))
    .all(onlyAllow('GET, HEAD'));
  app
    .route('/readyz')
    .get((_request, response) => {
      const ready = health.ready();
      probe(response, ready, { ready, obstacles: health.obstacles() });
    })
    .all(onlyAllow('GET, HEAD'));
  app
    .route('/v2/repository/index')
    .post(async (request, response) => {
      const onlyReady = asksForReady(await readSmallBody(request));
      answerJson(
        response,
        models.index().filter((entry) => !onlyReady || entry.state === 'READY'),
      );
    })
    .all(onlyAllow('POST'));
  app
    .route('/metrics')
    .get(async (request, response) => {
      const { contentType, body } = await telemetry.renderMetrics(request.headers.accept);
      answer(response, 200, ['content-type', contentType], body);
    })
    .all(onlyAllow('GET, HEAD'));
  app
    .route(KEEP_PATH)
    .post(async (request, response) => {
      const spanIds = parseKeepVerdicts(await readSmallBody(request));
      if (spanIds === undefined) {
        throw new VitrineError(
          'invalid_request',
          `the body must be a JSON array of at most ${KEEP_LIMIT} span ids of 16 hex digits`,
        );
      }
      answerJson(response, { kept: telemetry.keep(spanIds) });
    })
    .all(onlyAllow('POST'));
}

/** Whatever a route throws, as the protocol's error; what is not ours is logged and told as `internal`. */
function translate(thrown: unknown, deps: RoutesDeps): VitrineError {
  const status = (thrown as { status?: unknown } | null)?.status;
  if (thrown instanceof URIError || (!(thrown instanceof VitrineError) && status === 400)) {
    return new VitrineError('invalid_request', 'the path is not valid; percent-encode it as UTF-8');
  }
  const error = asVitrineError(thrown);
  if (error.code === 'internal') deps.telemetry.log.error('a request failed', { error: thrown });
  return error;
}

/** @returns the handler of every request of every address listened on */
export function createRoutes(
  deps: RoutesDeps,
  options: RoutesOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const gate = createGate(options);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  addModelRoutes(app, deps);
  addServerRoutes(app, deps, options.version);
  app.use(() => {
    throw new VitrineError('not_found', 'there is nothing at this path; the protocol begins at /v2');
  });
  app.use((thrown: unknown, request: Request, response: Response, _next: NextFunction) => {
    const { error, headers, body } = errorAnswer(translate(thrown, deps));
    if (!request.complete) lingerThenCut(request);
    answer(response, error.status, headers, body);
  });
  return (request, response) => {
    const startMs = performance.now();
    try {
      gate(request);
    } catch (thrown) {
      const { error, headers, body } = errorAnswer(thrown);
      answer(response, error.status, [...headers, 'connection', 'close'], body);
      return;
    }
    const [, model, version] = request.method === 'POST' ? (INFER_URL.exec(request.url ?? '') ?? []) : [];
    if (model !== undefined) deps.infer.handle(request, response, model, version, startMs);
    else app(request, response);
  };
}
