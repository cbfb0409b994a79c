/**
 * Gives each firing alert its evidence: gathered at once, with a deadline, one alert at a time. Every firing of a
 * rule that queries can explain is followed by exactly one event `evidence`, within the deadline: what was
 * found, or why nothing was. Alerts of other rules get no such event.
 */
import type { AlertInstance } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import { explain } from '../../slo/evidence.ts';
import type { AlertEngine } from './alert_engine.ts';
import { type EvidenceSources, gatherEvidence, subjectOf } from './evidence_input.ts';

const EVIDENCE_DEADLINE_MS = 3000;
/** Firing alerts that wait for evidence; further ones go without. */
const WAITING_LIMIT = 50;

export interface EvidenceAttacherDeps {
  readonly engine: AlertEngine;
  readonly log: Log;
  /** As of the evaluation at which the alert fired. */
  readonly sources: (atMs: number) => EvidenceSources;
}

class Late extends Error {}

export function attachEvidence(
  { engine, log, sources }: EvidenceAttacherDeps,
  deadlineMs: number = EVIDENCE_DEADLINE_MS,
): void {
  let waiting = 0;
  let turn: Promise<void> = Promise.resolve();

  const attach = async (alert: AlertInstance, expired: Promise<never>): Promise<void> => {
    const { fingerprint, firingSinceMs } = alert;
    const planned = engine.ruleOf(fingerprint);
    const subject = planned && subjectOf(planned.rule);
    if (planned === undefined || subject === undefined || firingSinceMs === undefined) return;
    try {
      const gathered = gatherEvidence(planned.rule, alert, subject, sources(firingSinceMs));
      engine.setEvidence(fingerprint, firingSinceMs, explain(await Promise.race([gathered, expired])));
    } catch (error) {
      const missing =
        error instanceof Late
          ? `no evidence: the trace store gave none within ${deadlineMs} ms`
          : `no evidence: ${error instanceof Error ? error.message : String(error)}`;
      log.warn(missing, { alert: alert.name, fingerprint });
      engine.setEvidence(fingerprint, firingSinceMs, { missing });
    }
  };

  engine.onChange((alert, { kind }) => {
    if (kind !== 'firing') return;
    const planned = engine.ruleOf(alert.fingerprint);
    if (planned === undefined || subjectOf(planned.rule) === undefined) return;
    const { fingerprint, firingSinceMs } = alert;
    if (waiting >= WAITING_LIMIT) {
      const missing = `no evidence: ${WAITING_LIMIT} other alerts wait for theirs`;
      if (firingSinceMs !== undefined) engine.setEvidence(fingerprint, firingSinceMs, { missing });
      return;
    }
    waiting += 1;
    const expiry = Promise.withResolvers<never>();
    // Its rejection is looked at only while the alert is in turn.
    expiry.promise.catch(() => {});
    const timer = setTimeout(() => expiry.reject(new Late()), deadlineMs);
    turn = turn
      .then(() => attach(alert, expiry.promise))
      .finally(() => {
        clearTimeout(timer);
        waiting -= 1;
      });
  });
}
