/** The gateway's second port: /metrics, and /metrics/targets with every process to scrape. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { VitrineError } from '../contract/errors.ts';
import { answerRefusal, hostRefusal } from '../lifecycle/http_guard.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { httpServiceDiscovery, type ScrapeTarget } from './peers.ts';

const PATHS = ['/metrics', '/metrics/targets'] as const;

export interface MetricsServerDeps {
  readonly telemetry: Pick<Telemetry, 'renderMetrics' | 'log'>;
  readonly hostAllowed: (host: string | undefined) => boolean;
  readonly targets: () => readonly ScrapeTarget[];
}

function send(response: ServerResponse, contentType: string, body: string): void {
  response.writeHead(200, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** A server that is not listening yet. */
export function createMetricsServer(deps: MetricsServerDeps): Server {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    if (!deps.hostAllowed(request.headers.host)) {
      answerRefusal(response, hostRefusal());
    } else if (!(PATHS as readonly string[]).includes(path)) {
      answerRefusal(
        response,
        new VitrineError('not_found', `there is nothing here; there is ${PATHS.join(' and ')}`),
      );
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      answerRefusal(response, new VitrineError('method_not_allowed', `${path} takes GET`));
    } else if (path === '/metrics') {
      const { contentType, body } = await deps.telemetry.renderMetrics(request.headers.accept);
      send(response, contentType, body);
    } else {
      send(response, 'application/json', JSON.stringify(httpServiceDiscovery(deps.targets())));
    }
  };
  return createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      deps.telemetry.log.error('a scrape failed', { error });
      if (!response.headersSent) answerRefusal(response, new VitrineError('internal', 'internal error'));
      else response.destroy();
    });
  });
}
