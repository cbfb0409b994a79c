/**
 * Evidence for the alerts of messages: gathered for several at once, within a deadline, and shared by messages that
 * carry the same alert. An alert whose evidence is late goes without it; the next message that tells of the same
 * alert within a minute finds it ready.
 */
import { cleanText } from '../contract/clean_text.ts';
import type { Evidence } from '../contract/evidence.ts';
import type { Log } from '../contract/log.ts';
import type { EnricherMeters } from './enricher_metrics.ts';
import type { WebhookAlert } from './webhook_message.ts';

/** Annotations to add, by place of the alert in the message. Never throws. */
export type FindEvidence = (
  alerts: readonly WebhookAlert[],
  deadlineMs: number,
) => Promise<ReadonlyMap<number, Readonly<Record<string, string>>>>;

/**
 * Gathers and explains. @returns undefined when queries cannot explain such an alert, or it is none of ours
 * @throws when no source answered
 */
export type Investigate = (alert: WebhookAlert, signal: AbortSignal) => Promise<Evidence> | undefined;

export interface EvidenceDeskDeps {
  readonly investigate: Investigate;
  readonly meters: EnricherMeters;
  readonly log: Log;
  /** A clock that only goes forward, in milliseconds. */
  readonly nowMs: () => number;
}

/** Alerts looked into at once, over all messages; further ones go without evidence. */
const OPEN_LIMIT = 20;
/** Alerts of one message that are looked into: those of a group have the same cause, mostly. */
const PER_MESSAGE_LIMIT = 8;
/** How long evidence is given to further messages, in milliseconds. */
const KEPT_MS = 60_000;
const KEPT_LIMIT = 200;

interface Found {
  readonly evidence: Promise<Evidence | undefined>;
  readonly atMs: number;
}

/** Of the deadline, for the sources; the rest is for explaining with what the others gave. */
const SOURCES_SHARE = 0.9;

const LATE = Symbol('late');

function annotations(evidence: Evidence): Readonly<Record<string, string>> {
  const [slowest] = evidence.traces;
  return {
    evidence: cleanText(evidence.text),
    ...(slowest === undefined ? {} : { evidence_url: cleanText(slowest.url) }),
  };
}

export function createEvidenceDesk({ investigate, meters, log, nowMs }: EvidenceDeskDeps): FindEvidence {
  const kept = new Map<string, Found>();
  let open = 0;

  /** @returns undefined when the alert is not looked into */
  const evidenceOf = (alert: WebhookAlert, deadlineMs: number): Promise<Evidence | undefined> | undefined => {
    const key = `${alert.fingerprint} ${alert.startsAtMs}`;
    const known = kept.get(key);
    if (known !== undefined && nowMs() - known.atMs < KEPT_MS) return known.evidence;
    if (open >= OPEN_LIMIT) {
      meters.alert('skipped');
      return undefined;
    }
    const startMs = nowMs();
    const started = investigate(alert, AbortSignal.timeout(Math.round(deadlineMs * SOURCES_SHARE)));
    if (started === undefined) {
      meters.alert('not_asked');
      return undefined;
    }
    open += 1;
    const evidence = started
      .then(
        (found) => {
          meters.alert(found.cannotSay === undefined ? 'explained' : 'cannot_say');
          return found;
        },
        (error: unknown) => {
          meters.alert('failed');
          const reason = error instanceof Error ? error.message : String(error);
          log.warn('no evidence for an alert', { alert: alert.labels.alertname, reason });
          kept.delete(key);
          return undefined;
        },
      )
      .finally(() => {
        open -= 1;
        meters.evidence((nowMs() - startMs) / 1000);
      });
    kept.delete(key);
    kept.set(key, { evidence, atMs: startMs });
    if (kept.size > KEPT_LIMIT) {
      const [oldest] = kept.keys();
      if (oldest !== undefined) kept.delete(oldest);
    }
    return evidence;
  };

  return async (alerts, deadlineMs) => {
    const added = new Map<number, Readonly<Record<string, string>>>();
    const { promise: expired, resolve: expire } = Promise.withResolvers<typeof LATE>();
    const timer = setTimeout(() => expire(LATE), deadlineMs);
    let asked = 0;
    const waiting = alerts.map(async (alert, index) => {
      if (alert.status !== 'firing' || alert.annotations.evidence !== undefined)
        return meters.alert('not_asked');
      if (asked >= PER_MESSAGE_LIMIT) return meters.alert('skipped');
      const evidence = evidenceOf(alert, deadlineMs);
      if (evidence === undefined) return;
      asked += 1;
      const found = await Promise.race([evidence, expired]);
      if (found === LATE) {
        meters.alert('late');
        log.warn('evidence was late; the alert goes without', { alert: alert.labels.alertname, deadlineMs });
      } else if (found !== undefined) added.set(index, annotations(found));
    });
    try {
      await Promise.all(waiting);
    } finally {
      clearTimeout(timer);
    }
    return added;
  };
}
