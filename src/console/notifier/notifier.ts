/**
 * Tells receivers of alerts. Listens to the engine, puts what has to be told into the outbox, and delivers it in
 * groups, at least once: what a receiver did not take is tried again, also by a later process, for as long as the
 * alert fires, and for MESSAGE_AGE_LIMIT_MS once it is over.
 *
 * The engine never waits: its events are queued and taken in a turn of their own. A turn (tick) takes events, decides
 * what is held back, and starts deliveries, of which one runs at a time. A message of one group that is refused holds
 * up its group alone; a receiver that is down holds up all.
 *
 * What is told: pages and tickets, not `info`. Held back: alerts under a silence, symptoms of a cause that fires.
 * An alert that was told is told to be over also when a silence holds it by then. Acknowledged ones are not repeated. A
 * page that was told without an explanation is told once more when there is one, at its group's next turn.
 */
import type { AlertEvent, AlertInstance, Silence } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import type { Outcome, Receiver } from '../../lifecycle/outgoing_webhook.ts';
import type { StateDatabase } from '../../traces/state_database.ts';
import type { AlertEngine } from '../evaluator/alert_engine.ts';
import type { Clock } from '../evaluator/ticker.ts';
import { backoffMs, type Group, type GroupIntervals, Groups } from './groups.ts';
import { findInhibited } from './inhibition.ts';
import { type GroupMessage, groupKeyOf, groupLabelsOf, isNewlyExplained } from './message.ts';
import { type Notice, Outbox } from './outbox.ts';
import { type SilenceRequest, Silences } from './silences.ts';

/** A message of an alert that is over is given up when nobody took it for so long. */
const MESSAGE_AGE_LIMIT_MS = 86_400_000;
const ALERTS_PER_MESSAGE_LIMIT = 100;
/** The first message of an alert waits so long for its evidence, and then goes without. */
const EVIDENCE_WAIT_MS = 3500;

export type AlertFeed = Pick<
  AlertEngine,
  'onChange' | 'active' | 'alert' | 'alerts' | 'ruleOf' | 'setHeld' | 'note'
>;

export interface NotifierDeps {
  readonly engine: AlertFeed;
  readonly store: StateDatabase;
  /** Undefined: nothing is told, and nothing is kept to be told; silences and inhibition hold all the same. */
  readonly receiver: Receiver | undefined;
  readonly toBody: (message: GroupMessage) => string;
  readonly log: Log;
  readonly clock: Clock;
  /** From 0 to 1; Math.random unless told. */
  readonly random?: () => number;
}

export interface NotifierStats {
  /** Messages by what came of them. */
  readonly delivered: number;
  readonly failed: number;
  /** Notices given up because of their age. */
  readonly givenUp: number;
  /** Notices that found no room. */
  readonly dropped: number;
  /** Notices that no receiver has taken yet. */
  readonly waiting: number;
}

interface Composed {
  readonly message: GroupMessage;
  /** What the message tells. */
  readonly notices: readonly Notice[];
  /** There is more to tell of the group, at once after this. */
  readonly more: boolean;
}

export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #intervals: GroupIntervals;
  readonly #outbox: Outbox;
  readonly #silences: Silences;
  readonly #groups: Groups;
  readonly #random: () => number;
  /** Bounded by the alerts of an engine: taken in the turn that follows each evaluation. */
  #inbox: { instance: AlertInstance; kind: AlertEvent['kind'] }[] = [];
  /** Fingerprints whose evidence is awaited, and until when (monotonic). */
  readonly #awaited = new Map<string, number>();
  #receiverFailures = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #delivering: Promise<void> | undefined;
  #wanted: NodeJS.Immediate | undefined;
  #closed = false;
  #delivered = 0;
  #failed = 0;
  #givenUp = 0;

  constructor(deps: NotifierDeps, intervals: GroupIntervals) {
    this.#deps = deps;
    this.#intervals = intervals;
    this.#random = deps.random ?? Math.random;
    this.#outbox = new Outbox(deps.store);
    this.#silences = new Silences(deps.store);
    this.#groups = new Groups(intervals);
    this.#reconcile();
    deps.engine.onChange((instance, { kind }) => {
      if (kind !== 'firing' && kind !== 'resolved' && kind !== 'evidence') return;
      this.#inbox.push({ instance, kind });
      this.#wanted ??= setImmediate(() => void this.tick());
    });
  }

  /** What an earlier process left: told and untold notices, against the alerts as they are now. */
  #reconcile(): void {
    const { engine, clock, receiver } = this.#deps;
    if (receiver === undefined) return;
    const [wallMs, monotonicMs] = [clock.wallMs(), clock.monotonicMs()];
    for (const { group, deliveredMs } of this.#outbox.all())
      this.#groups.restore(group, deliveredMs === undefined, monotonicMs);
    for (const instance of engine.active()) if (instance.state === 'firing') this.#fire(instance);
    for (const notice of this.#outbox.all()) {
      if (!this.#isOpen(notice)) continue;
      const now = engine.alert(notice.fingerprint);
      if (now?.state === 'firing') continue;
      this.#resolve(
        now?.state === 'resolved' ? now : { ...notice.instance, state: 'resolved', resolvedAtMs: wallMs },
      );
    }
  }

  /**
   * One turn. What goes wrong in it is logged, and the next turn goes on.
   * @returns when the deliveries that it started, or that were under way, have ended
   */
  async tick(): Promise<void> {
    clearImmediate(this.#wanted);
    this.#wanted = undefined;
    if (this.#closed) return;
    try {
      this.#turn();
      this.#delivering ??= this.#deliverDue().finally(() => {
        this.#delivering = undefined;
      });
      await this.#delivering;
    } catch (error) {
      this.#deps.log.error('the notifier failed', { error });
    }
  }

  #turn(): void {
    const wallMs = this.#deps.clock.wallMs();
    this.#silences.lapse(wallMs);
    this.#hold(wallMs);
    this.#takeInbox();
    this.#giveUp(wallMs);
    this.#outbox.expire(wallMs);
    this.#groups.keepOnly(
      new Set(
        this.#outbox
          .all()
          .filter((notice) => notice.deliveredMs === undefined || this.#isOpen(notice))
          .map(({ group }) => group),
      ),
    );
    this.#save();
  }

  #isOpen(notice: Notice): boolean {
    return this.#outbox.openOf(notice.fingerprint)?.key === notice.key;
  }

  #save(): void {
    this.#outbox.save();
    this.#silences.save();
  }

  /** Marks what silences and causes hold back. */
  #hold(wallMs: number): void {
    const { engine } = this.#deps;
    const active = engine.active();
    const inhibited = findInhibited(
      active.filter(({ state }) => state === 'firing'),
      (fingerprint) => engine.ruleOf(fingerprint)?.rule.inhibits ?? [],
    );
    for (const alert of active) {
      const silencedBy = this.#silences.of(alert, wallMs)?.id;
      const inhibitedBy = inhibited.get(alert.fingerprint);
      if (alert.silencedBy !== silencedBy || alert.inhibitedBy !== inhibitedBy)
        engine.setHeld(alert.fingerprint, { silencedBy, inhibitedBy });
    }
  }

  #takeInbox(): void {
    const news = this.#inbox;
    this.#inbox = [];
    if (this.#deps.receiver === undefined) return;
    for (const { instance, kind } of news) {
      if (kind === 'resolved') this.#resolve(instance);
      else if (kind === 'evidence') {
        this.#awaited.delete(instance.fingerprint);
        this.#outbox.refresh(instance);
      } else {
        // One that ended unseen: it is over, as the new one shows.
        const former = this.#outbox.openOf(instance.fingerprint);
        if (former !== undefined)
          this.#resolve({ ...former.instance, state: 'resolved', resolvedAtMs: instance.firingSinceMs });
        if (this.#fire(instance))
          this.#awaited.set(instance.fingerprint, this.#deps.clock.monotonicMs() + EVIDENCE_WAIT_MS);
      }
    }
  }

  /** @returns whether it is news */
  #fire(instance: AlertInstance): boolean {
    const { clock } = this.#deps;
    if (instance.severity === 'info' || this.#outbox.fire(instance, clock.wallMs()) === undefined)
      return false;
    this.#groups.news(groupKeyOf(instance.labels), clock.monotonicMs());
    return true;
  }

  #resolve(instance: AlertInstance): void {
    const { clock } = this.#deps;
    this.#awaited.delete(instance.fingerprint);
    const open = this.#outbox.openOf(instance.fingerprint);
    if (open === undefined) return;
    const isHeld = instance.silencedBy !== undefined || instance.inhibitedBy !== undefined;
    if (isHeld && open.deliveredMs === undefined) {
      this.#outbox.forget(open);
      return;
    }
    this.#outbox.resolve(instance, clock.wallMs());
    this.#groups.news(groupKeyOf(instance.labels), clock.monotonicMs());
  }

  #giveUp(wallMs: number): void {
    for (const notice of this.#outbox.all()) {
      const { status, deliveredMs, madeMs, fingerprint } = notice;
      if (status !== 'resolved' || deliveredMs !== undefined || wallMs - madeMs < MESSAGE_AGE_LIMIT_MS)
        continue;
      this.#givenUp += this.#outbox.firingOf(notice)?.deliveredMs === undefined ? 2 : 1;
      this.#outbox.forget(notice);
      this.#deps.engine.note(fingerprint, 'notify_failed', 'given up: nobody took it for a day');
      this.#deps.log.error('a message of an alert was given up', { fingerprint });
    }
  }

  async #deliverDue(): Promise<void> {
    const { receiver, clock } = this.#deps;
    if (receiver === undefined) return;
    for (;;) {
      const nowMs = clock.monotonicMs();
      if (this.#closed || this.#pausedUntilMs > nowMs) return;
      const group = this.#groups.due(nowMs).find((each) => !this.#awaitsEvidence(each, nowMs));
      if (group === undefined) return;
      const composed = this.#compose(group);
      if (composed === undefined) {
        this.#groups.sent(group, false, nowMs);
        continue;
      }
      const outcome = await receiver.post(this.#deps.toBody(composed.message));
      // Closed meanwhile: unknown whether it arrived, so it is told again.
      if (this.#closed) return;
      if (outcome.kind === 'delivered') this.#took(group, composed, receiver);
      else this.#refused(group, composed, outcome, receiver);
      this.#save();
    }
  }

  #awaitsEvidence(group: Group, nowMs: number): boolean {
    return this.#noticesOf(group).some(({ status, deliveredMs, fingerprint }) => {
      const untilMs = this.#awaited.get(fingerprint);
      return status === 'firing' && deliveredMs === undefined && untilMs !== undefined && untilMs > nowMs;
    });
  }

  #noticesOf(group: Group): Notice[] {
    return this.#outbox.all().filter((notice) => notice.group === group.key);
  }

  /** @returns undefined when there is nothing to say now */
  #compose(group: Group): Composed | undefined {
    const wallMs = this.#deps.clock.wallMs();
    const notices = this.#noticesOf(group).map((notice) => this.#asItIsNow(notice));
    const isOver = (notice: Notice): boolean => this.#outbox.resolvedOf(notice) !== undefined;
    const isHeld = ({ instance }: Notice): boolean =>
      instance.silencedBy !== undefined || instance.inhibitedBy !== undefined;
    const untold = notices.filter(({ deliveredMs }) => deliveredMs === undefined);
    const begun = untold.filter(
      (notice) => notice.status === 'firing' && (isOver(notice) || !isHeld(notice)),
    );
    // The end of an alert is told after its beginning.
    const ended = untold.filter(
      (notice) => notice.status === 'resolved' && this.#outbox.firingOf(notice)?.deliveredMs !== undefined,
    );
    const told = notices.filter(
      (notice) =>
        notice.status === 'firing' && notice.deliveredMs !== undefined && !isOver(notice) && !isHeld(notice),
    );
    const lastMs = Math.max(...told.map(({ deliveredMs }) => Math.min(deliveredMs ?? 0, wallMs)));
    const isRepeat =
      wallMs - lastMs >= this.#intervals.repeatMs &&
      told.some(({ instance }) => instance.acknowledged === undefined);
    const isExplained = told.some(({ instance }) => this.#isNewlyExplained(instance));
    if (begun.length + ended.length === 0 && !isRepeat && !isExplained) return undefined;
    const all = [...begun, ...ended, ...told];
    const shown = all.slice(0, ALERTS_PER_MESSAGE_LIMIT);
    return {
      notices: shown,
      more: begun.length + ended.length > shown.length || begun.some(isOver),
      message: {
        groupLabels: groupLabelsOf(shown[0]?.instance.labels ?? {}),
        alerts: shown.map(({ status, instance }) => ({ status, instance })),
        truncatedAlerts: all.length - shown.length,
      },
    };
  }

  #isNewlyExplained(now: AlertInstance): boolean {
    return isNewlyExplained(now, this.#outbox.openOf(now.fingerprint)?.instance);
  }

  /** Values, evidence and what holds it, of an alert that still fires. */
  #asItIsNow(notice: Notice): Notice {
    if (!this.#isOpen(notice)) return notice;
    const now = this.#deps.engine.alert(notice.fingerprint);
    return now?.state !== 'firing'
      ? notice
      : { ...notice, instance: { ...now, firingSinceMs: notice.startsAtMs } };
  }

  #took(group: Group, { notices, more }: Composed, receiver: Receiver): void {
    const { engine, clock } = this.#deps;
    this.#delivered += 1;
    this.#receiverFailures = 0;
    for (const notice of notices) {
      const { fingerprint, status, deliveredMs } = notice;
      const again = this.#isNewlyExplained(notice.instance) ? 'with its explanation' : 'still firing';
      const what = deliveredMs === undefined ? status : again;
      engine.note(fingerprint, 'notified', `${what}, to ${receiver.origin}`);
    }
    this.#outbox.delivered(notices, clock.wallMs());
    this.#groups.sent(group, more, clock.monotonicMs());
  }

  #refused(
    group: Group,
    { notices }: Composed,
    outcome: Exclude<Outcome, { kind: 'delivered' }>,
    receiver: Receiver,
  ): void {
    const { engine, clock, log } = this.#deps;
    const nowMs = clock.monotonicMs();
    this.#failed += 1;
    let pauseMs = backoffMs(group.failures + 1, this.#random());
    if (outcome.kind === 'unavailable') {
      this.#receiverFailures += 1;
      const receiverPauseMs = outcome.retryAfterMs ?? backoffMs(this.#receiverFailures, this.#random());
      this.#pausedUntilMs = nowMs + receiverPauseMs;
      pauseMs = receiverPauseMs;
    }
    this.#groups.failed(group, pauseMs, nowMs);
    // Told once in a row of failures.
    if (group.failures > 1) return;
    const detail = `${outcome.reason}, from ${receiver.origin}; it is tried again`;
    log.warn('a message of alerts was not taken', { receiver: receiver.origin, reason: outcome.reason });
    for (const { fingerprint } of notices) engine.note(fingerprint, 'notify_failed', detail);
  }

  silences(): readonly Silence[] {
    return this.#silences.active(this.#deps.clock.wallMs());
  }

  /** @throws VitrineError too_many_requests when there are too many */
  silence(request: SilenceRequest): Silence {
    const silence = this.#silences.create(request, this.#deps.clock.wallMs());
    this.#deps.log.info('alerts silenced', { ...silence });
    void this.tick();
    return silence;
  }

  /** @throws VitrineError not_found */
  endSilence(id: string, by: string): Silence {
    const silence = this.#silences.end(id, this.#deps.clock.wallMs());
    this.#deps.log.info('a silence was ended', { id, by });
    void this.tick();
    return silence;
  }

  stats(): NotifierStats {
    return {
      delivered: this.#delivered,
      failed: this.#failed,
      givenUp: this.#givenUp,
      dropped: this.#outbox.dropped,
      waiting: this.#outbox.waiting,
    };
  }

  /** Ends deliveries; what was not taken stays in the outbox. */
  async close(): Promise<void> {
    this.#takeInbox();
    this.#save();
    this.#closed = true;
    clearImmediate(this.#wanted);
    await this.#deps.receiver?.[Symbol.asyncDispose]();
    await this.#delivering;
  }
}
