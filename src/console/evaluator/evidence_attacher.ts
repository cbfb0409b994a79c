/**
 * Gives each firing alert its evidence: gathered at once, with a deadline, one alert at a time. Every firing of a
 * rule that queries can explain is followed by an event `evidence`, within the deadline: what was found, or why
 * nothing was. Alerts of other rules get no such event.
 *
 * An alert fires as early as it may, so its first evidence may have too little to go by. One that could not say is
 * looked at once more, after the rule's shortest window (within the limits below): the trouble has left more traces
 * by then. What is found then replaces the first, with a second event; what still cannot say changes nothing. An
 * alert that fired before a restart and has no explanation gets that second look too.
 */
import type { AlertInstance } from '../../contract/alerts.ts';
import { type Evidence, explains } from '../../contract/evidence.ts';
import type { Log } from '../../contract/log.ts';
import type { AlertRule } from '../../slo/alert.ts';
import { explain } from '../../slo/evidence.ts';
import { type Subject, subjectOf } from '../../slo/evidence_subject.ts';
import { readingsOf } from '../../slo/sample_needs.ts';
import type { AlertEngine } from './alert_engine.ts';
import { gatherFromStores, type StoredTelemetry } from './evidence_input.ts';

const EVIDENCE_DEADLINE_MS = 3000;
/** Firing alerts that wait for evidence; further ones go without. */
const WAITING_LIMIT = 50;
/** Alerts that wait for a second look; further ones get none. */
const SECOND_LOOKS_LIMIT = 50;
/** Traces are exported and stored in real time, at every time scale. */
const SECOND_LOOK_MIN_MS = 5000;
const SECOND_LOOK_MAX_MS = 120_000;

export interface EvidenceAttacherDeps {
  readonly engine: AlertEngine;
  readonly log: Log;
  /** As of that time. */
  readonly sources: (atMs: number) => StoredTelemetry;
  /** Unix milliseconds. */
  readonly nowMs: () => number;
}

export interface EvidenceTimes {
  readonly deadlineMs: number;
  /** Between firing and the second look. */
  readonly secondLookMs: (rule: AlertRule) => number;
}

class Late extends Error {}

/** A rule about queries: what there is to be explained. */
interface Explainable {
  readonly rule: AlertRule;
  readonly subject: Subject;
}

/** @param rule of a plan, so its windows are scaled already */
function afterShortestWindow(rule: AlertRule): number {
  const windowsMs = readingsOf(rule.expression).flatMap(({ windowS }) =>
    windowS === undefined ? [] : [windowS * 1000],
  );
  return Math.max(SECOND_LOOK_MIN_MS, Math.min(SECOND_LOOK_MAX_MS, ...windowsMs));
}

/** @returns what ends the looks that are still to come */
export function attachEvidence(
  { engine, log, sources, nowMs }: EvidenceAttacherDeps,
  { deadlineMs = EVIDENCE_DEADLINE_MS, secondLookMs = afterShortestWindow }: Partial<EvidenceTimes> = {},
): Disposable {
  let waiting = 0;
  let turn: Promise<void> = Promise.resolve();
  const secondLooks = new Set<NodeJS.Timeout>();

  const explainable = ({ fingerprint }: AlertInstance): Explainable | undefined => {
    const rule = engine.ruleOf(fingerprint)?.rule;
    const subject = rule && subjectOf(rule);
    return rule === undefined || subject === undefined ? undefined : { rule, subject };
  };

  /** In its turn, within the deadline. @returns the evidence, or why there is none */
  const look = (
    alert: AlertInstance,
    { rule, subject }: Explainable,
    atMs: number,
  ): Promise<Evidence | { readonly missing: string }> => {
    if (waiting >= WAITING_LIMIT)
      return Promise.resolve({ missing: `no evidence: ${WAITING_LIMIT} other alerts wait for theirs` });
    waiting += 1;
    const expiry = Promise.withResolvers<never>();
    // Its rejection is looked at only while the alert is in turn.
    expiry.promise.catch(() => {});
    const timer = setTimeout(() => expiry.reject(new Late()), deadlineMs);
    const looked = turn.then(async () => {
      try {
        const gathered = gatherFromStores(rule, alert, subject, sources(atMs));
        return explain(await Promise.race([gathered, expiry.promise]));
      } catch (error) {
        const missing =
          error instanceof Late
            ? `no evidence: the trace store gave none within ${deadlineMs} ms`
            : `no evidence: ${error instanceof Error ? error.message : String(error)}`;
        log.warn(missing, { alert: alert.name, fingerprint: alert.fingerprint });
        return { missing };
      } finally {
        clearTimeout(timer);
        waiting -= 1;
      }
    });
    turn = looked.then(() => {});
    return looked;
  };

  /** The alert is taken as it is by then: the clock may have been set, and its times with it. */
  const lookAgain = async (fingerprint: string): Promise<void> => {
    const alert = engine.alert(fingerprint);
    if (alert?.state !== 'firing' || alert.firingSinceMs === undefined || explains(alert.evidence)) return;
    const found = explainable(alert);
    const evidence = found && (await look(alert, found, nowMs()));
    if (evidence === undefined || 'missing' in evidence || !explains(evidence)) return;
    engine.setEvidence(fingerprint, alert.firingSinceMs, evidence);
  };

  const planSecondLook = ({ fingerprint }: AlertInstance, { rule }: Explainable): void => {
    if (secondLooks.size >= SECOND_LOOKS_LIMIT) return;
    const timer = setTimeout(() => {
      secondLooks.delete(timer);
      void lookAgain(fingerprint);
    }, secondLookMs(rule));
    secondLooks.add(timer);
  };

  for (const alert of engine.active()) {
    const found = alert.state === 'firing' && !explains(alert.evidence) ? explainable(alert) : undefined;
    if (found !== undefined) planSecondLook(alert, found);
  }
  let closed = false;
  engine.onChange((alert, { kind }) => {
    const { fingerprint, firingSinceMs } = alert;
    const found = kind === 'firing' ? explainable(alert) : undefined;
    if (found === undefined || firingSinceMs === undefined) return;
    void look(alert, found, firingSinceMs).then((evidence) => {
      const told = engine.setEvidence(fingerprint, firingSinceMs, evidence);
      if (!closed && told !== undefined && !explains(told.evidence)) planSecondLook(alert, found);
    });
  });

  return {
    [Symbol.dispose]() {
      closed = true;
      for (const timer of secondLooks) clearTimeout(timer);
      secondLooks.clear();
    },
  };
}
