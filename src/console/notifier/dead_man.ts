/**
 * The dead man's switch: pings its own receiver for as long as the rule that always fires does fire, and the
 * evaluator goes on evaluating. When the pings end, the receiver knows that alerting itself is broken. A ping that
 * fails is not repeated: a late one would say that all was well when it was not.
 */
import type { AlertInstance } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import type { Receiver } from '../../lifecycle/outgoing_webhook.ts';
import type { AlertEngine } from '../evaluator/alert_engine.ts';
import type { GroupMessage } from './message.ts';
import { groupLabelsOf } from './message.ts';

export interface DeadManDeps {
  readonly engine: Pick<AlertEngine, 'active' | 'ruleOf' | 'stats'>;
  readonly receiver: Receiver;
  readonly toBody: (message: GroupMessage) => string;
  readonly log: Log;
}

export interface DeadMan {
  readonly pings: { readonly sent: number; readonly failed: number };
  /** One turn, each interval; the interval is longer than that of evaluations. */
  turn(): Promise<void>;
}

export function createDeadMan({ engine, receiver, toBody, log }: DeadManDeps): DeadMan {
  const pings = { sent: 0, failed: 0 };
  let evaluations = 0;
  let silentReason: string | undefined;

  const watchdog = (): AlertInstance | undefined =>
    engine
      .active()
      .find(
        ({ state, fingerprint }) =>
          state === 'firing' && engine.ruleOf(fingerprint)?.rule.expression.kind === 'always',
      );

  const ping = async (): Promise<string | undefined> => {
    const before = evaluations;
    evaluations = engine.stats().evaluations;
    if (evaluations === before) return 'the evaluator stands still';
    const alert = watchdog();
    if (alert === undefined) return 'the rule that always fires does not';
    const message: GroupMessage = {
      groupLabels: groupLabelsOf(alert.labels),
      alerts: [{ status: 'firing', instance: alert }],
      truncatedAlerts: 0,
    };
    const outcome = await receiver.post(toBody(message));
    pings[outcome.kind === 'delivered' ? 'sent' : 'failed'] += 1;
    return outcome.kind === 'delivered' ? undefined : outcome.reason;
  };

  return {
    pings,
    async turn() {
      const reason = await ping();
      if (reason !== undefined && silentReason === undefined)
        log.warn("no ping for the dead man's switch", { receiver: receiver.origin, reason });
      silentReason = reason;
    },
  };
}
