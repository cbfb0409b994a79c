/** The console: trace store, OTLP receiver, query API and page of one machine. Serving goes on without it. */
import { createServer } from 'node:http';
import { VitrineError } from '../contract/errors.ts';
import type { FaultReader } from '../lifecycle/faults.ts';
import type { Health } from '../lifecycle/health.ts';
import {
  answerRefusal,
  createHostCheck,
  hostRefusal,
  requireTokenBeyondLoopback,
} from '../lifecycle/http_guard.ts';
import { type Listener, listenAll } from '../lifecycle/listen.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createOtlpReceiver } from '../traces/otlp_receiver.ts';
import { createTraceStoreClient } from '../traces/store_client.ts';
import { createAlertRoutes } from './alert_routes.ts';
import { clockOf, followConsoleFaults } from './console_faults.ts';
import { observeConsole } from './console_metrics.ts';
import { type AlertOptions, openEvaluator } from './evaluator/open_evaluator.ts';
import { type NotifierOptions, openNotifier } from './notifier/open_notifier.ts';
import { createQueryServer } from './query_server.ts';
import { createSessions } from './session.ts';

export interface ConsoleOptions {
  readonly host: string;
  readonly httpPort: number;
  readonly otlpPort: number;
  readonly token: string;
  readonly databasePath: string;
  readonly retentionS: number;
  readonly retentionBytes: number;
  readonly otlpBodyLimitBytes: number;
  readonly gatewayUrl: string;
  readonly allowedHosts: readonly string[];
  readonly version: string;
  /** Undefined: no evaluator, and nobody is told of anything. */
  readonly alerts?: AlertOptions & { readonly notifier: Omit<NotifierOptions, 'tracesPath' | 'consoleUrl'> };
  /** Address of the page as others reach it; empty: the one that it listens on. */
  readonly publicUrl: string;
}

export interface ConsoleDeps {
  readonly telemetry: Telemetry;
  readonly health: Health;
  /** Told where to log in, at the start and when a new link is needed. Never on loopback, where nobody logs in. */
  readonly onLoginLink: (url: string) => void;
  /** Undefined where drills are not allowed. */
  readonly faults?: FaultReader | undefined;
}

export interface Console extends AsyncDisposable {
  readonly httpPort: number;
  readonly otlpPort: number;
  /** Addresses of the lists of processes to scrape, from the next round on. */
  setDiscoveryUrls(urls: readonly string[]): void;
  drain(graceMs: number): Promise<void>;
}

/**
 * @throws StartupError when a port is taken, the console would listen beyond loopback without a token, or the time
 *   scale of alerts leaves too few scrapes in a window
 */
export async function createConsole(deps: ConsoleDeps, options: ConsoleOptions): Promise<Console> {
  requireTokenBeyondLoopback({
    host: options.host,
    hostSetting: 'VITRINE_CONSOLE_HOST',
    token: options.token,
    tokenSetting: 'VITRINE_CONSOLE_TOKEN',
  });
  const { telemetry, health, onLoginLink, faults } = deps;
  const clock = clockOf(faults);
  await using opened = new AsyncDisposableStack();
  const store = opened.use(
    createTraceStoreClient({
      store: {
        path: options.databasePath,
        maxAgeMs: options.retentionS * 1000,
        maxBytes: options.retentionBytes,
      },
      onNotice: (notice) => telemetry.log.warn(notice),
    }),
  );
  const receiver = createOtlpReceiver(store, { bodyLimitBytes: options.otlpBodyLimitBytes });
  const sessions = createSessions(options);
  const hostAllowed = createHostCheck({ allowedHosts: options.allowedHosts, listenHost: options.host });
  observeConsole(telemetry.metrics, store, receiver);
  let httpPort = options.httpPort;
  const address = (): string => {
    const host = ['0.0.0.0', '::'].includes(options.host) ? 'localhost' : options.host;
    return `http://${host.includes(':') ? `[${host}]` : host}:${httpPort}`;
  };
  const consoleUrl = (): string =>
    options.publicUrl === '' ? address() : options.publicUrl.replace(/\/+$/, '');
  const evaluator =
    options.alerts &&
    opened.use(
      openEvaluator(
        { telemetry, store, clock },
        { ...options.alerts, consoleToken: options.token, consoleUrl },
      ),
    );
  const notifier =
    evaluator &&
    options.alerts &&
    opened.use(
      openNotifier(
        { evaluator, telemetry, clock },
        {
          ...options.alerts.notifier,
          tracesPath: options.databasePath,
          consoleUrl,
        },
      ),
    );
  const alerts = evaluator && notifier && createAlertRoutes(evaluator, notifier, clock.wallMs);
  const onLoginPath = (path: string): void => onLoginLink(address() + path);
  const http: Listener = opened.use(
    await listenAll(
      () =>
        createQueryServer({
          store,
          telemetry,
          health,
          sessions,
          alerts,
          onLoginPath,
          hostAllowed,
          gatewayUrl: options.gatewayUrl,
          version: options.version,
        }),
      { host: options.host, port: options.httpPort, setting: 'VITRINE_CONSOLE_HTTP_PORT' },
    ),
  );
  httpPort = http.port;
  const listenOtlp = (port: number): Promise<Listener> =>
    listenAll(
      () =>
        createServer((request, response) => {
          if (!hostAllowed(request.headers.host)) return answerRefusal(response, hostRefusal());
          if (!sessions.allows(request)) {
            return answerRefusal(
              response,
              new VitrineError('forbidden', 'send Authorization: Bearer <VITRINE_CONSOLE_TOKEN>'),
            );
          }
          void receiver.handle(request, response);
        }),
      {
        host: options.host,
        port,
        setting: 'VITRINE_CONSOLE_OTLP_PORT',
        hostSetting: 'VITRINE_CONSOLE_HOST',
      },
    );
  let otlp = await listenOtlp(options.otlpPort);
  const otlpPort = otlp.port;
  opened.defer(() => otlp.close());
  if (faults !== undefined) {
    opened.use(
      followConsoleFaults(
        { faults, store, log: telemetry.log },
        {
          closeOtlp: () => otlp.close(),
          openOtlp: async () => {
            otlp = await listenOtlp(otlpPort);
          },
        },
      ),
    );
  }
  const loginPath = sessions.createLoginPath();
  if (loginPath !== undefined) onLoginPath(loginPath);
  const held = opened.move();
  return {
    httpPort: http.port,
    otlpPort,
    setDiscoveryUrls: (urls) => evaluator?.setDiscoveryUrls(urls),
    async drain(graceMs) {
      // The receiver first: what it has accepted is then in the store before anything else ends.
      await otlp.close(graceMs / 2);
      await http.close(graceMs / 2);
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
