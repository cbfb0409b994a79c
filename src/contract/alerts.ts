/** Alerts as the console keeps them and the page, the commands and the webhooks show them. */
import type { Evidence } from './evidence.ts';

export type AlertSeverity = 'page' | 'ticket' | 'info';
export type AlertState = 'pending' | 'firing' | 'resolved';

/** One alert of one label set, from pending to resolved. */
export interface AlertInstance {
  /** Hash of name and labels; the same in every delivery of this alert. */
  readonly fingerprint: string;
  readonly name: string;
  readonly severity: AlertSeverity;
  readonly state: AlertState;
  readonly labels: Readonly<Record<string, string>>;
  /** `summary`, `description` with humanised values, `runbook_url`, `dashboard_url`. */
  readonly annotations: Readonly<Record<string, string>>;
  /** The value that was compared, at the last evaluation. */
  readonly value: number;
  /** Unix milliseconds. */
  readonly pendingSinceMs: number;
  readonly firingSinceMs: number | undefined;
  readonly resolvedAtMs: number | undefined;
  readonly evidence: Evidence | undefined;
  readonly acknowledged: { readonly atMs: number; readonly by: string; readonly comment: string } | undefined;
  /** Id of the silence that holds its notifications back. */
  readonly silencedBy: string | undefined;
  /** Fingerprint of the cause that holds its notifications back. */
  readonly inhibitedBy: string | undefined;
}

/** One step of an alert's life, for its timeline. */
export interface AlertEvent {
  readonly fingerprint: string;
  readonly atMs: number;
  readonly kind:
    | 'pending'
    | 'firing'
    | 'resolved'
    | 'notified'
    | 'notify_failed'
    | 'acknowledged'
    | 'silenced'
    | 'silence_ended'
    | 'inhibited'
    | 'evidence';
  readonly detail: string;
}

/** Label equalities that an alert must all meet; `name` stands for the alert's name. */
export type AlertMatcher = Readonly<Record<string, string>>;

export interface Silence {
  readonly id: string;
  readonly matcher: AlertMatcher;
  readonly reason: string;
  readonly by: string;
  readonly startsAtMs: number;
  readonly endsAtMs: number;
}

/** Burn and budget of one objective, as `vitrine slo status` and the page show them. */
export interface ObjectiveStatus {
  readonly name: string;
  readonly service: string;
  readonly model: string;
  readonly kind: 'latency' | 'availability';
  /** 0 to 1. */
  readonly target: number;
  readonly thresholdMs: number | undefined;
  readonly windowS: number;
  /** Traffic-weighted over the period, 0 to 1; undefined without traffic. */
  readonly good: number | undefined;
  /** Share of the error budget that is left, may be below 0; undefined without traffic. */
  readonly budgetLeft: number | undefined;
  /** Burn rate per window: 1 = the budget lasts exactly for the period. */
  readonly burn: readonly { readonly windowS: number; readonly rate: number | undefined }[];
  /** Budget over time, for a small chart: at most 200 points, oldest first. */
  readonly history: readonly { readonly atMs: number; readonly budgetLeft: number }[];
}
