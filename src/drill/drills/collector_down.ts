import { type Drill, MINUTE_S } from '../drill.ts';
import { holdFault } from '../hold.ts';
import { expectTrace } from '../recovery.ts';

export const COLLECTOR_DOWN: Drill = {
  name: 'collector-down',
  summary: 'nobody takes spans: connections are cut, and new ones refused',
  place: () => 'the OTLP port of console-0',
  inject: ({ doors }) => holdFault(doors, ['console-0'], 'otlp_receiver', { error: true }),
  lifted: 'the port is open again',
  feltFromMs: undefined,
  alerts: [
    { name: 'VitrineExporterFailing', of: 'gateway', firesS: 6 * MINUTE_S, clearsS: 7 * MINUTE_S },
    // A batch is given up after a few seconds of retries, whatever the time scale.
    { name: 'VitrineSpansDropped', of: 'gateway', firesS: 6 * MINUTE_S, clearsS: 7 * MINUTE_S },
  ],
  evidence: undefined,
  afterwards: expectTrace,
};
