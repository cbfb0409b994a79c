/** The notifier with its database, receivers and timers. */

import type { AlertInstance } from '../../contract/alerts.ts';
import { cleanText } from '../../contract/clean_text.ts';
import { VitrineError } from '../../contract/errors.ts';
import { createReceiver } from '../../lifecycle/outgoing_webhook.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { Evaluator } from '../evaluator/evaluator.ts';
import { fingerprintOf } from '../evaluator/fingerprint.ts';
import type { Clock } from '../evaluator/ticker.ts';
import { alertmanagerBody } from './alertmanager_body.ts';
import { createDeadMan } from './dead_man.ts';
import { type GroupMessage, groupLabelsOf } from './message.ts';
import { Notifier } from './notifier.ts';
import { openNotifierDatabase } from './notifier_database.ts';
import { slackBody } from './slack_body.ts';

export interface NotifierOptions {
  /** The trace store's; the notifier's file lies beside it. */
  readonly tracesPath: string;
  /** Empty: nobody is told. */
  readonly webhookUrl: string;
  readonly webhookFormat: 'slack' | 'alertmanager';
  /** Empty: no dead man's switch. */
  readonly deadManUrl: string;
  /** Before the time scale divides them. */
  readonly groupWaitS: number;
  readonly groupIntervalS: number;
  readonly repeatIntervalS: number;
  readonly deadManIntervalS: number;
  /** Where links in messages lead; no slash at the end. Asked at each message. */
  readonly consoleUrl: () => string;
}

/** What a receiver made of a test message. */
export interface TestResult {
  readonly receiver: string;
  readonly format: string;
  readonly delivered: boolean;
  /** What it answered, or why there is no good answer. */
  readonly answer: string;
}

export interface OpenedNotifier extends AsyncDisposable {
  readonly notifier: Notifier;
  /** Sends a message that is marked as a test, at once and once. @throws VitrineError without a receiver */
  test(by: string): Promise<TestResult>;
}

const TIMEOUT_MS = 10_000;
/** Between turns; a tenth of the group wait within these limits. */
const TURN_LIMITS_MS = [50, 1000] as const;

function testAlert(nowMs: number, by: string): AlertInstance {
  const labels = { alertname: 'VitrineTest', severity: 'info', system: 'vitrine' };
  return {
    fingerprint: fingerprintOf(labels),
    name: 'VitrineTest',
    severity: 'info',
    state: 'firing',
    labels,
    annotations: {
      summary: 'this is a test: alerts of Vitrine arrive here',
      description: `Sent by ${by}. Nothing is wrong, and nothing has to be done.`,
    },
    value: 1,
    pendingSinceMs: nowMs,
    firingSinceMs: nowMs,
    resolvedAtMs: undefined,
    evidence: undefined,
    acknowledged: undefined,
    silencedBy: undefined,
    inhibitedBy: undefined,
  };
}

/** The evaluator has to be restored; what it tells from now on is taken. */
export function openNotifier(
  {
    evaluator,
    telemetry,
    clock,
  }: {
    readonly evaluator: Evaluator;
    readonly telemetry: Telemetry;
    /** The evaluator's. */
    readonly clock: Clock;
  },
  options: NotifierOptions,
): OpenedNotifier {
  const { engine, plan } = evaluator;
  const { log } = telemetry;
  const ms = (seconds: number): number => (seconds * 1000) / plan.timeScale;
  const toBody = (message: GroupMessage): string =>
    (options.webhookFormat === 'slack' ? slackBody : alertmanagerBody)(message, options.consoleUrl());
  const receiverAt = (url: string) =>
    url === '' ? undefined : createReceiver(url, { timeoutMs: TIMEOUT_MS, nowMs: clock.wallMs });

  const store = openNotifierDatabase(options.tracesPath, (notice) => log.warn(notice), clock.wallMs());
  const receiver = receiverAt(options.webhookUrl);
  const waitMs = ms(options.groupWaitS);
  const notifier = new Notifier(
    { engine, store, receiver, toBody, log, clock },
    { waitMs, intervalMs: ms(options.groupIntervalS), repeatMs: ms(options.repeatIntervalS) },
  );
  const [leastMs, mostMs] = TURN_LIMITS_MS;
  const turns = setInterval(() => void notifier.tick(), Math.min(mostMs, Math.max(leastMs, waitMs / 10)));

  const deadManReceiver = receiverAt(options.deadManUrl);
  const deadMan =
    deadManReceiver &&
    createDeadMan({
      engine,
      receiver: deadManReceiver,
      toBody: (message) => alertmanagerBody(message, options.consoleUrl()),
      log,
    });
  const pingMs = Math.max(ms(options.deadManIntervalS), 2000 * plan.evaluationIntervalS);
  const pings = deadMan && setInterval(() => void deadMan.turn(), pingMs);

  const messages = telemetry.metrics.counter('vitrine_console_alert_messages_total');
  const delivered = messages.series({ outcome: 'delivered' });
  const failed = messages.series({ outcome: 'failed' });
  const waiting = telemetry.metrics.gauge('vitrine_console_alert_notices_waiting').series({});
  const lost = telemetry.metrics.counter('vitrine_console_alert_notices_lost_total');
  const givenUp = lost.series({ reason: 'age' });
  const dropped = lost.series({ reason: 'size' });
  const deadManPings = telemetry.metrics.counter('vitrine_console_dead_man_pings_total');
  const pingsSent = deadManPings.series({ outcome: 'delivered' });
  const pingsFailed = deadManPings.series({ outcome: 'failed' });
  telemetry.metrics.beforeRead(() => {
    const stats = notifier.stats();
    delivered.value = stats.delivered;
    failed.value = stats.failed;
    waiting.set(stats.waiting);
    givenUp.value = stats.givenUp;
    dropped.value = stats.dropped;
    pingsSent.value = deadMan?.pings.sent ?? 0;
    pingsFailed.value = deadMan?.pings.failed ?? 0;
  });

  return {
    notifier,
    async test(by) {
      if (receiver === undefined) {
        throw new VitrineError(
          'invalid_request',
          'no receiver of alerts is configured; set VITRINE_CONSOLE_ALERT_WEBHOOK_URL and start the console again',
        );
      }
      const alert = testAlert(clock.wallMs(), by);
      const outcome = await receiver.post(
        toBody({
          groupLabels: groupLabelsOf(alert.labels),
          alerts: [{ status: 'firing', instance: alert }],
          truncatedAlerts: 0,
        }),
      );
      return {
        receiver: receiver.origin,
        format: options.webhookFormat,
        delivered: outcome.kind === 'delivered',
        answer:
          outcome.kind === 'delivered'
            ? cleanText(`status ${outcome.status} ${outcome.answer}`).trim()
            : outcome.reason,
      };
    },
    async [Symbol.asyncDispose]() {
      clearInterval(turns);
      clearInterval(pings);
      await notifier.close();
      await deadManReceiver?.[Symbol.asyncDispose]();
      store[Symbol.dispose]();
    },
  };
}
