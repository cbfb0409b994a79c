import { type Drill, MINUTE_S } from '../drill.ts';
import { holdFault } from '../hold.ts';
import { expectTrace } from '../recovery.ts';

export const CONSOLE_DISK_FULL: Drill = {
  name: 'console-disk-full',
  summary: 'the database of traces may grow no more',
  place: () => 'the page limit of the trace store of console-0',
  inject: ({ doors }) => holdFault(doors, ['console-0'], 'trace_store', { error: true }),
  lifted: 'it may grow again',
  feltFromMs: undefined,
  alerts: [{ name: 'VitrineConsoleStoreFull', of: 'console', firesS: 15 * MINUTE_S, clearsS: 22 * MINUTE_S }],
  evidence: undefined,
  // The oldest traces make room.
  whileFiring: expectTrace,
  afterwards: expectTrace,
};
