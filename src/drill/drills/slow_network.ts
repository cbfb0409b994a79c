import type { Drill } from '../drill.ts';
import { holdAtGateways } from '../hold.ts';
import { SLOW_ALERTS, SLOW_MS } from '../slow.ts';

export const SLOW_NETWORK: Drill = {
  name: 'slow-network',
  summary: `what workers send arrives ${SLOW_MS} ms later`,
  place: () => 'the proxy between gateways and workers',
  inject: holdAtGateways('worker_network', { delayMs: SLOW_MS }),
  lifted: 'the fault is gone',
  feltFromMs: SLOW_MS,
  alerts: SLOW_ALERTS,
  evidence: { subject: 'latency', stage: 'network', at: 'workers' },
};
