/** What the gateway needs of the configuration; durations in milliseconds, sizes in bytes. */
export interface GatewayOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly httpPort: number;
  /** 0 takes a free one. */
  readonly metricsPort: number;
  /** Several gateway processes listen on httpPort. */
  readonly sharePort: boolean;
  readonly bodyLimitBytes: number;
  /** Bodies and answers held at once. */
  readonly bodiesInFlightLimitBytes: number;
  readonly answerLimitBytes: number;
  readonly inFlightLimit: number;
  readonly defaultTimeoutMs: number;
  readonly maxTimeoutMs: number;
  readonly routeWaitMs: number;
  readonly routeWaitersLimit: number;
  /** Per worker; also the most queries in flight at one worker. */
  readonly workerConnections: number;
  /** 0 turns quarantine off. */
  readonly quarantineMs: number;
  readonly consoleUrl: string;
  readonly allowedOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
  /** Empty: none is sent. */
  readonly workerSecret: string;
  /** Of the service, for `GET /v2`. */
  readonly version: string;
  /** Workers hold their part of a trace until they are told; see late_verdicts.ts. */
  readonly retroactive: boolean;
}
