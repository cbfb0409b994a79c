/** Composition of the evaluator: plan, database, archives. */
import { SERVICE_CONSOLE, SERVICE_ENRICHER, SERVICE_WORKER } from '../../contract/attributes.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { TraceStoreClient } from '../../traces/store_client.ts';
import { createAlertArchive } from './alert_archive.ts';
import { createEvaluator, type Evaluator } from './evaluator.ts';
import { openEvaluatorDatabase } from './evaluator_database.ts';
import { observeEvaluator } from './evaluator_metrics.ts';
import { attachEvidence } from './evidence_attacher.ts';
import { loadPlan, type PlanOptions } from './load_plan.ts';
import { ARCHIVE_LIMIT_BYTES, createSampleArchive } from './sample_archive.ts';
import type { Clock } from './ticker.ts';

export interface AlertOptions extends PlanOptions {
  /** The evaluator's own database. */
  readonly databasePath: string;
  readonly discoveryUrls: readonly string[];
  /** Workers, the enricher and the console ask for their secrets beyond loopback. */
  readonly workerSecret: string;
  readonly enricherToken: string;
}

/** @throws StartupError when the time scale leaves too few scrapes in a window */
export function openEvaluator(
  deps: { readonly telemetry: Telemetry; readonly store: TraceStoreClient; readonly clock: Clock },
  options: AlertOptions & {
    readonly consoleToken: string;
    /** Where people open this console. */
    readonly consoleUrl: () => string;
  },
): Evaluator {
  const { clock } = deps;
  const { log } = deps.telemetry;
  const plan = loadPlan(options, log);
  const database = openEvaluatorDatabase(
    { path: options.databasePath, onNotice: (notice) => log.warn(notice) },
    clock.wallMs(),
  );
  const evaluator = createEvaluator(
    {
      plan,
      log,
      clock,
      archives: database && {
        samples: createSampleArchive(database, {
          timeScale: plan.timeScale,
          limitBytes: ARCHIVE_LIMIT_BYTES,
        }),
        alerts: createAlertArchive(database),
      },
    },
    {
      discoveryUrls: options.discoveryUrls,
      tokens: {
        [SERVICE_WORKER]: options.workerSecret,
        [SERVICE_ENRICHER]: options.enricherToken,
        [SERVICE_CONSOLE]: options.consoleToken,
      },
    },
  );
  observeEvaluator(deps.telemetry.metrics, evaluator, () => database?.failedWrites ?? 0);
  const evidence = attachEvidence({
    engine: evaluator.engine,
    log,
    nowMs: clock.wallMs,
    sources: (atMs) => ({
      ledgers: (query) => deps.store.ledgers(query),
      moment: { source: evaluator.samples, timeMs: atMs, lookbackMs: plan.lookbackS * 1000 },
      timeScale: plan.timeScale,
      traceUrl: (traceId) => `${options.consoleUrl()}/trace/${traceId}`,
    }),
  });
  return {
    ...evaluator,
    async [Symbol.asyncDispose]() {
      evidence[Symbol.dispose]();
      await evaluator[Symbol.asyncDispose]();
      database?.[Symbol.dispose]();
    },
  };
}
