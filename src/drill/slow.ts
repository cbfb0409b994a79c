/** What the drills share that make queries slow. */
import { BURNS_FAST, type ExpectedAlert, MINUTE_S } from './drill.ts';

/** Beyond the catalogue's 500 ms, and so short that an inference thread keeps up by larger batches. */
export const SLOW_MS = 550;

export const SLOW_ALERTS: readonly ExpectedAlert[] = [
  { ...BURNS_FAST, of: 'latency_objective' },
  { name: 'VitrineLatencyP99High', of: 'model', firesS: 10 * MINUTE_S, clearsS: 6 * MINUTE_S },
];
