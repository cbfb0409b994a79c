/** The enricher: everything of this room, put together, listening. */
import { VitrineError } from '../contract/errors.ts';
import type { Health } from '../lifecycle/health.ts';
import { createHostCheck, requireTokenBeyondLoopback } from '../lifecycle/http_guard.ts';
import { listenAll } from '../lifecycle/listen.ts';
import { createReceiver } from '../lifecycle/outgoing_webhook.ts';
import { StartupError } from '../lifecycle/startup_error.ts';
import type { Objective } from '../slo/objective.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createEnricherMeters, observeEnricher } from './enricher_metrics.ts';
import { createEvidenceDesk } from './evidence_desk.ts';
import { createEnricherServer } from './http_server.ts';
import { createInvestigate } from './investigate.ts';
import { createJsonSource, type JsonSource } from './json_source.ts';
import { Relay, type RelayResult } from './relay.ts';

/** Durations in milliseconds but where the name says otherwise. */
export interface EnricherOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly httpPort: number;
  /** Empty: none is asked for. */
  readonly token: string;
  readonly allowedHosts: readonly string[];
  /** Receivers by name; '' is the one of /alerts. */
  readonly forwardUrls: Readonly<Record<string, string>>;
  readonly forwardTimeoutMs: number;
  /** For evidence. */
  readonly deadlineMs: number;
  /** Empty: none. */
  readonly prometheusUrl: string;
  readonly prometheusToken: string;
  readonly tracesUrl: string;
  readonly tracesToken: string;
  /** Empty: tracesUrl. */
  readonly tracesPublicUrl: string;
  readonly duplicateWindowS: number;
  readonly bodyLimitBytes: number;
  readonly inFlightLimit: number;
  readonly timeScale: number;
}

export interface EnricherDeps {
  readonly telemetry: Telemetry;
  readonly health: Health;
  readonly objectives: readonly Objective[];
}

export interface Enricher extends AsyncDisposable {
  readonly httpPort: number;
  /** Takes no new messages and finishes those in work; what is left after graceMs is cut, and Alertmanager sends it again. */
  drain(graceMs: number): Promise<void>;
}

const SOURCE_CONNECTIONS = 8;
const ANSWER_LIMIT_BYTES = 16 * 1024 * 1024;

/** For metrics and logs. */
function labelOf(receiver: string): string {
  return receiver === '' ? 'default' : receiver;
}

/** @throws StartupError when a port is taken, there is no receiver, or it would listen beyond loopback without a token */
export async function createEnricher(deps: EnricherDeps, options: EnricherOptions): Promise<Enricher> {
  const { telemetry, health } = deps;
  requireTokenBeyondLoopback({
    host: options.host,
    hostSetting: 'VITRINE_ENRICHER_HOST',
    token: options.token,
    tokenSetting: 'VITRINE_ENRICHER_TOKEN',
  });
  const names = Object.keys(options.forwardUrls);
  if (names.length === 0) {
    throw new StartupError(
      'unusable_setting',
      'VITRINE_ENRICHER_FORWARD_URLS',
      'the enricher has nowhere to send messages on to: set VITRINE_ENRICHER_FORWARD_URLS to the address of a receiver',
    );
  }
  await using opened = new AsyncDisposableStack();
  const source = (name: string, url: string, token: string): JsonSource | undefined =>
    url === ''
      ? undefined
      : opened.use(
          createJsonSource(name, {
            url,
            token,
            connectionsLimit: SOURCE_CONNECTIONS,
            answerLimitBytes: ANSWER_LIMIT_BYTES,
          }),
        );
  const prometheus = source('Prometheus', options.prometheusUrl, options.prometheusToken);
  const traces = source('the trace store', options.tracesUrl, options.tracesToken);

  const meters = createEnricherMeters(telemetry.metrics, names.map(labelOf));
  const findEvidence = createEvidenceDesk({
    investigate: createInvestigate(
      { prometheus, traces, objectives: deps.objectives, nowMs: Date.now },
      {
        timeScale: options.timeScale,
        tracesUrl: options.tracesPublicUrl === '' ? options.tracesUrl : options.tracesPublicUrl,
      },
    ),
    meters,
    log: telemetry.log,
    nowMs: () => performance.now(),
  });
  const relays = new Map(
    Object.entries(options.forwardUrls).map(([name, url]) => {
      const receiver = opened.use(
        createReceiver(url, { timeoutMs: options.forwardTimeoutMs, nowMs: Date.now }),
      );
      const relay = new Relay(
        { findEvidence, meters, log: telemetry.log },
        { duplicateWindowMs: options.duplicateWindowS * 1000, deadlineMs: options.deadlineMs },
        labelOf(name),
        receiver,
      );
      return [name, relay] as const;
    }),
  );

  let inFlight = 0;
  const relay = async (name: string, readBody: () => Promise<Buffer>): Promise<RelayResult | undefined> => {
    const to = relays.get(name);
    if (to === undefined) return undefined;
    if (inFlight >= options.inFlightLimit) {
      meters.message(labelOf(name), 'overloaded');
      throw new VitrineError('overloaded', `${options.inFlightLimit} messages are in work; send it again`);
    }
    inFlight += 1;
    try {
      return await to.take(await readBody());
    } finally {
      inFlight -= 1;
    }
  };

  observeEnricher(telemetry.metrics, {
    inFlight: () => inFlight,
    inFlightLimit: options.inFlightLimit,
    known: () => {
      const all = [...relays.values()].map(({ known }) => known);
      return {
        size: all.reduce((sum, { size }) => sum + size, 0),
        forgotten: all.reduce((sum, { forgotten }) => sum + forgotten, 0),
      };
    },
    sources: { prometheus, traces },
  });
  const hostAllowed = createHostCheck({ allowedHosts: options.allowedHosts, listenHost: options.host });
  const http = opened.use(
    await listenAll(
      () =>
        createEnricherServer({
          telemetry,
          health,
          hostAllowed,
          token: options.token,
          bodyLimitBytes: options.bodyLimitBytes,
          relay,
        }),
      { host: options.host, port: options.httpPort, setting: 'VITRINE_ENRICHER_HTTP_PORT' },
    ),
  );
  const held = opened.move();
  return {
    httpPort: http.port,
    drain: (graceMs) => http.close(graceMs),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
