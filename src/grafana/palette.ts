/**
 * Colours that mean the same on every dashboard, and the same as on the console's page: those of its dark theme
 * (console/web/palette.css), which stand out on Grafana's light ground, too. A test compares them.
 */
import type { Outcome } from '../contract/outcomes.ts';
import type { Stage } from '../contract/stages.ts';

/** As it should be; look at it; act on it, and a limit; neither good nor bad. */
export const GOOD = '#72d699';
export const WARN = '#f0be67';
export const BAD = '#ff8e86';
export const NEUTRAL = '#9cb4fe';
export const MUTED = '#a2a8b5';

/** Good is green, what the caller did is grey and blue, what the service did is yellow to red. */
export const OUTCOME_COLORS: Readonly<Record<Outcome, string>> = {
  ok: GOOD,
  client_error: NEUTRAL,
  throttled: '#6290e7',
  cancelled: MUTED,
  rejected: WARN,
  expired: '#d58042',
  error: BAD,
};

/** Lost for good: answers, records, spans. */
export const LOST = '#d14c6e';

/** Of attempts at workers, as telemetry/attempt_outcomes.ts names them. */
export const ATTEMPT_COLORS = {
  ok: OUTCOME_COLORS.ok,
  error: OUTCOME_COLORS.error,
  lost: LOST,
  cancelled: OUTCOME_COLORS.cancelled,
  deadline: OUTCOME_COLORS.expired,
} as const;

export const QUANTILE_COLORS: Readonly<Record<'mean' | 'p50' | 'p95' | 'p99', string>> = {
  mean: MUTED,
  p50: '#81c6ee',
  p95: '#9ca2f5',
  p99: '#b776d4',
};

export const STAGE_COLORS: Readonly<Record<Stage | 'unattributed', string>> = {
  receive: '#81c6ee',
  admit: '#6290e7',
  cache: '#82e1ec',
  coalesce: '#3292b3',
  route: '#9ca2f5',
  retry: '#f66e60',
  network: '#abb1be',
  unreported: '#d14c6e',
  worker_receive: '#b776d4',
  preprocess: '#55bfb3',
  queue: '#eea840',
  batch_wait: '#f2e277',
  dispatch: '#d58042',
  compute: '#3cc36b',
  postprocess: '#afe168',
  worker_respond: '#eea0dc',
  respond: '#e6659e',
  unattributed: '#6f7278',
};
