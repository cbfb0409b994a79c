/** How an attempt at a worker ended: an answer, an answer that is an error, none, or stopped by us. */
export const ATTEMPT_OUTCOMES = ['ok', 'error', 'lost', 'cancelled', 'deadline'] as const;
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];
