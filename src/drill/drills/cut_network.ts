import { type Drill, MINUTE_S } from '../drill.ts';
import { holdAtGateways } from '../hold.ts';

export const CUT_NETWORK: Drill = {
  name: 'cut-network',
  summary: 'connections between gateways and workers break, and no new ones can be made',
  place: () => 'the proxy between gateways and workers',
  inject: holdAtGateways('worker_network', { error: true }),
  lifted: 'the network is whole again',
  feltFromMs: 1000,
  alerts: [
    { name: 'VitrineNoWorkerReady', of: 'service', firesS: 3 * MINUTE_S, clearsS: 2 * MINUTE_S },
    { name: 'VitrineWorkerDown', of: 'service', firesS: 3 * MINUTE_S, clearsS: 2 * MINUTE_S },
  ],
  evidence: { subject: 'processes', at: 'workers' },
};
