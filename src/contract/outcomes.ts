/** How a query ended. The mapping from status to outcome, and to good, bad or excluded, is in docs/telemetry.md. */
export const OUTCOMES = [
  'ok',
  'client_error',
  'throttled',
  'rejected',
  'expired',
  'cancelled',
  'error',
] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** What an objective counts an outcome as. */
export type Verdict = 'good' | 'bad' | 'excluded';

/** Availability counts the service's own failures; what the caller did is excluded. */
export const OUTCOME_VERDICT: Readonly<Record<Outcome, Verdict>> = {
  ok: 'good',
  client_error: 'excluded',
  throttled: 'excluded',
  rejected: 'bad',
  expired: 'bad',
  cancelled: 'excluded',
  error: 'bad',
};

/**
 * The outcome of a finished query.
 * @param status the HTTP status that was decided (also when the client left before it was sent)
 * @param clientGone the client closed its connection before the answer was complete
 */
export function outcomeOf(status: number, clientGone: boolean): Outcome {
  if (clientGone) return 'cancelled';
  if (status < 400) return 'ok';
  if (status === 429) return 'throttled';
  if (status === 499) return 'cancelled';
  if (status === 503) return 'rejected';
  if (status === 504) return 'expired';
  if (status < 500) return 'client_error';
  return 'error';
}
