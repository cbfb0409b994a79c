/** The processes of one machine, as the configuration asks for them. */
import { childEnvironment, type SettingValues } from '../config/child_environment.ts';
import { type Config, SETTINGS } from '../config/settings.ts';
import type { Ports } from '../contract/messages.ts';
import type { ProcessSpec } from '../lifecycle/supervision.ts';

/** Gateways stop taking queries first, workers finish them, and the console receives the last spans. */
const PHASE = { gateway: 1, worker: 2, enricher: 3, console: 3 } as const;

export interface ProcessListOptions {
  /** The gateways' port, which the supervisor has claimed when several share it. */
  readonly gatewayPort: number;
  readonly gatewayCount: number;
}

type PortsOf = (name: string, index: number) => Ports | undefined;

/** Where page and gateway look for each other: as configured, else where the other really listens. */
function addressOf(configured: string, fallback: string, port: number): string {
  return configured === fallback && port !== 0 ? `http://localhost:${port}` : configured;
}

function entry(name: string): string {
  return new URL(`./${name}.ts`, import.meta.url).pathname;
}

/** Processes start at once; the others wait for the console only where its port is not known before. */
export function processList(config: Config, options: ProcessListOptions): readonly ProcessSpec[] {
  const { console: console_, gateway, worker } = config;
  const afterConsole = console_.enabled && console_.otlpPort === 0 ? ['console'] : [];

  const environment = (portsOf: PortsOf, values: SettingValues) => {
    const otlpPort = portsOf('console', 0)?.otlp ?? console_.otlpPort;
    return childEnvironment(
      values,
      console_.enabled && otlpPort !== 0 ? { otlpPort, token: console_.token } : undefined,
    );
  };

  const consoles: ProcessSpec[] = console_.enabled
    ? [
        {
          name: 'console',
          index: 0,
          after: [],
          drainPhase: PHASE.console,
          essential: false,
          program: (portsOf) => {
            const ports = portsOf('console', 0);
            return {
              modulePath: entry('console'),
              env: environment(portsOf, {
                console: {
                  httpPort: ports?.http ?? console_.httpPort,
                  otlpPort: ports?.otlp ?? console_.otlpPort,
                  gatewayUrl: addressOf(
                    console_.gatewayUrl,
                    SETTINGS.console.gatewayUrl.fallback,
                    portsOf('gateway', 0)?.http ?? options.gatewayPort,
                  ),
                },
              }),
            };
          },
        },
      ]
    : [];

  const enrichers: ProcessSpec[] = config.enricher.enabled
    ? [
        {
          name: 'enricher',
          index: 0,
          after: afterConsole,
          drainPhase: PHASE.enricher,
          essential: false,
          program: (portsOf) => ({
            modulePath: entry('enricher'),
            env: environment(portsOf, {
              enricher: {
                httpPort: portsOf('enricher', 0)?.http ?? config.enricher.httpPort,
                tracesUrl: addressOf(
                  config.enricher.tracesUrl,
                  SETTINGS.enricher.tracesUrl.fallback,
                  console_.enabled ? (portsOf('console', 0)?.http ?? console_.httpPort) : 0,
                ),
              },
            }),
          }),
        },
      ]
    : [];

  const areElsewhere = gateway.workers.length > 0 || gateway.workersDns !== '';
  const workers = areElsewhere ? 0 : worker.count;
  const workerSpecs = Array.from({ length: workers }, (_, position): ProcessSpec => {
    const index = position + 1;
    return {
      name: 'worker',
      index,
      after: afterConsole,
      drainPhase: PHASE.worker,
      essential: false,
      program: (portsOf, restarts) => {
        // A restarted worker takes the port that it had, which the gateways know.
        const port = portsOf('worker', index)?.http;
        return {
          modulePath: entry('worker'),
          env: environment(portsOf, {
            lifecycle: { restarts },
            worker: { index, httpPort: 0, basePort: port === undefined ? worker.basePort : port - index },
          }),
        };
      },
    };
  });

  const gateways = Array.from({ length: options.gatewayCount }, (_, index): ProcessSpec => {
    return {
      name: 'gateway',
      index,
      after: afterConsole,
      drainPhase: PHASE.gateway,
      essential: true,
      program: (portsOf) => {
        const ports = portsOf('gateway', index);
        const metrics = ports?.metrics;
        return {
          modulePath: entry('gateway'),
          env: environment(portsOf, {
            gateway: {
              index,
              count: options.gatewayCount,
              httpPort: ports?.http ?? options.gatewayPort,
              metricsPort: metrics === undefined ? gateway.metricsPort : metrics - index,
              consoleUrl: addressOf(
                gateway.consoleUrl,
                SETTINGS.gateway.consoleUrl.fallback,
                portsOf('console', 0)?.http ?? console_.httpPort,
              ),
            },
          }),
        };
      },
    };
  });
  return [...consoles, ...enrichers, ...workerSpecs, ...gateways];
}
