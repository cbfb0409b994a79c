/**
 * The gateway's routes, in Express: the Open Inference Protocol v2, health, and the root. Most queries never
 * come here: see http_server.ts.
 */
import type { IncomingMessage } from 'node:http';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import { OIP_EXTENSIONS, type ServerMetadata } from '../contract/oip.ts';
import { errorBody } from '../contract/oip_error.ts';
import type { Health } from '../lifecycle/health.ts';
import { lingerThenCut } from '../lifecycle/linger.ts';
import { controlCall } from './control_call.ts';
import type { GatewayCore } from './core.ts';
import type { Exchange } from './exchange.ts';
import type { ModelRoute } from './model_table.ts';
import { noWorker, whyNotWait } from './refusals.ts';
import type { WorkerLink } from './worker_link.ts';

/** A request whose query was opened before Express saw it. */
export interface QueryRequest extends IncomingMessage {
  exchange?: Exchange;
}

export interface AppDeps {
  readonly core: GatewayCore;
  readonly health: Health;
  readonly links: () => readonly WorkerLink[];
  /** Opens a query that was not recognized before Express: the URL had a form that only its router reads. */
  readonly openExchange: (request: Request, response: Response) => Exchange;
}

const SERVER_NAME = 'vitrine';
const SMALL_BODY_LIMIT_BYTES = 4096;
const MODEL = '/v2/models/:model';
const VERSION = `${MODEL}/versions/:version`;

/** Every route with its methods: 404 names them, 405 allows them. */
const ROUTES: Readonly<Record<string, string>> = {
  '/': 'GET, HEAD',
  '/livez': 'GET, HEAD',
  '/readyz': 'GET, HEAD',
  '/v2': 'GET, HEAD',
  '/v2/health/live': 'GET, HEAD',
  '/v2/health/ready': 'GET, HEAD',
  [MODEL]: 'GET, HEAD',
  [VERSION]: 'GET, HEAD',
  [`${MODEL}/ready`]: 'GET, HEAD',
  [`${VERSION}/ready`]: 'GET, HEAD',
  [`${MODEL}/infer`]: 'POST',
  [`${VERSION}/infer`]: 'POST',
  '/v2/repository/index': 'POST',
};

function param(request: Request, name: 'model' | 'version'): string {
  const value: unknown = request.params[name];
  return typeof value === 'string' ? value : '';
}

export function createApp(deps: AppDeps): Express {
  const { core, health } = deps;
  const { table } = core;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser');
  app.enable('case sensitive routing');
  app.enable('strict routing');

  const infer = (request: Request, response: Response): void => {
    const exchange = (request as QueryRequest).exchange ?? deps.openExchange(request, response);
    exchange.start(param(request, 'model'), param(request, 'version'));
  };
  app.post(`${MODEL}/infer`, infer);
  app.post(`${VERSION}/infer`, infer);

  const live = (_: Request, response: Response): void => {
    response.status(health.live() ? 200 : 503).json({ live: health.live() });
  };
  const ready = (_: Request, response: Response): void => {
    const isReady = health.ready() && deps.links().some((link) => link.ready);
    const obstacles = health.obstacles().map(({ reason }) => reason);
    if (health.ready() && !isReady) obstacles.push('no worker is ready');
    response
      .status(isReady ? 200 : 503)
      .json(isReady ? { ready: true } : { ready: false, reasons: obstacles });
  };
  app.get('/livez', live);
  app.get('/v2/health/live', live);
  app.get('/readyz', ready);
  app.get('/v2/health/ready', ready);

  app.get('/v2', (_, response) => {
    const metadata: ServerMetadata = {
      name: SERVER_NAME,
      version: core.options.version,
      extensions: OIP_EXTENSIONS,
    };
    response.json(metadata);
  });

  /** @throws VitrineError when nothing can be said of the model */
  const knownRoute = (model: string, version: string): ModelRoute<WorkerLink> => {
    const hopeless = whyNotWait(table, model, version);
    if (hopeless !== undefined) throw hopeless;
    const route = table.find(model, version);
    if (route === undefined) throw noWorker(model);
    return route;
  };

  const modelReady = (request: Request, response: Response): void => {
    const [model, version] = [param(request, 'model'), param(request, 'version')];
    const route = knownRoute(model, version);
    if (!route.workers.some((worker) => worker.ready)) throw noWorker(model);
    response.json({ name: model, ready: true });
  };
  app.get(`${MODEL}/ready`, modelReady);
  app.get(`${VERSION}/ready`, modelReady);

  const metadata = async (request: Request, response: Response): Promise<void> => {
    const [model, version] = [param(request, 'model'), param(request, 'version')];
    const route = knownRoute(model, version);
    for (const worker of route.workers.filter((link) => link.ready)) {
      try {
        const answer = await controlCall(worker.control, {
          method: 'GET',
          path: route.path,
          headers: core.workerHeaders,
        });
        response.status(answer.status).type(answer.contentType).send(answer.body);
        return;
      } catch (error) {
        core.telemetry.log.debug('a worker did not tell its metadata', { worker: worker.name, error });
      }
    }
    throw noWorker(model);
  };
  app.get(MODEL, metadata);
  app.get(VERSION, metadata);

  app.post('/v2/repository/index', async (request, response) => {
    const asked = await readSmallJson(request);
    const onlyReady = (asked as { ready?: unknown } | null | undefined)?.ready === true;
    response.json(table.index().filter((entry) => !onlyReady || entry.state === 'READY'));
  });

  app.get('/', (request, response) => {
    if (request.accepts(['json', 'html']) === 'html') response.redirect(302, core.options.consoleUrl);
    else
      response.json({ name: SERVER_NAME, version: core.options.version, console: core.options.consoleUrl });
  });

  for (const [path, allow] of Object.entries(ROUTES)) {
    app.all(path, (request, response) => {
      response.setHeader('allow', allow);
      if (request.method === 'OPTIONS') {
        response.status(204).end();
        return;
      }
      throw new VitrineError(
        'method_not_allowed',
        `${request.method} is not for this path; it takes ${allow}`,
      );
    });
  }

  app.use((request: Request) => {
    const paths = Object.keys(ROUTES).map((path) => path.replace(/:(\w+)/g, '{$1}'));
    throw new VitrineError('not_found', `there is no ${cut(request.path)}; there is ${paths.join(', ')}`);
  });

  app.use((raw: unknown, request: Request, response: Response, _next: NextFunction) => {
    const error = clientFault(raw) ?? asVitrineError(raw);
    const { exchange } = request as QueryRequest;
    if (exchange !== undefined) {
      exchange.refuse(error);
      return;
    }
    if (error.code === 'internal')
      core.telemetry.log.error('a request failed', { error: error.cause ?? error });
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (!request.complete) lingerThenCut(request);
    if (error.retryAfterS !== undefined)
      response.setHeader('retry-after', String(Math.ceil(error.retryAfterS)));
    response.status(error.status).json(errorBody(error));
  });
  return app;
}

/** A body that is no query: JSON, or nothing. @throws VitrineError `payload_too_large`, `invalid_json` */
async function readSmallJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Left intact when it is too long, so that the refusal can be answered.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > SMALL_BODY_LIMIT_BYTES) {
      throw new VitrineError(
        'payload_too_large',
        `the body of this route has at most ${SMALL_BODY_LIMIT_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new VitrineError('invalid_json', 'the body must be JSON, such as {"ready": true}, or empty');
  }
}

/** The router's own complaint: a path with a broken percent-encoding. */
function clientFault(raw: unknown): VitrineError | undefined {
  const status = (raw as { status?: unknown } | undefined)?.status;
  return status === 400
    ? new VitrineError('invalid_request', 'the path is not valid percent-encoded UTF-8', { field: 'path' })
    : undefined;
}

function cut(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}...` : path;
}
