/** What every query at the gateway shares. */
import type { LogFields } from '../contract/log.ts';
import type { FaultReader } from '../lifecycle/faults.ts';
import type { GatewayQuery } from '../telemetry/gateway_query.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { Admission } from './admission.ts';
import type { Verdict } from './discovery.ts';
import type { ModelTable } from './model_table.ts';
import type { GatewayOptions } from './options.ts';
import type { Quarantine } from './quarantine.ts';
import type { Routing } from './routing.ts';
import type { WorkerLink } from './worker_link.ts';

export interface GatewayCore {
  readonly options: GatewayOptions;
  readonly telemetry: Telemetry;
  readonly admission: Admission;
  readonly table: ModelTable<WorkerLink>;
  readonly routing: Routing<WorkerLink>;
  readonly quarantine: Quarantine;
  /** undefined where drills are not allowed. */
  readonly faults: FaultReader | undefined;
  /** Looks at a worker whose connection broke. */
  readonly check: (worker: WorkerLink) => Promise<Verdict>;
  /** Logs with the query's trace: a query's code runs in whichever context the event came from. */
  readonly tell: (
    query: GatewayQuery | undefined,
    level: 'warn' | 'error',
    message: string,
    fields: LogFields,
  ) => void;
  /** Headers of every call to a worker, flat: name, value, ... */
  readonly workerHeaders: readonly string[];
  /** The process is on its way out: every answer is the last on its connection. */
  readonly draining: () => boolean;
}
