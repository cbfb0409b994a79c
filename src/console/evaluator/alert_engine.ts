/**
 * The alerts of a plan: evaluates every rule at one time, steps the states of its alerts, keeps their timelines,
 * and tells whoever listens. No timers and no I/O of its own.
 *
 * A rule whose evaluation throws changes nothing and is counted; the others go on. An alert that fires is told at
 * once; whoever attaches evidence does so by setEvidence, which is told as a change of its own.
 *
 * Bounded: ALERTS_PER_RULE_LIMIT active alerts of one rule (further label sets are left out and counted),
 * RESOLVED_LIMIT resolved alerts, EVENTS_LIMIT steps of timelines; the oldest go first.
 */
import type { AlertEvent, AlertInstance } from '../../contract/alerts.ts';
import type { Evidence } from '../../contract/evidence.ts';
import type { Log } from '../../contract/log.ts';
import { renderAnnotations } from '../../slo/annotation.ts';
import type { EvaluatorPlan, PlannedRule } from '../../slo/evaluator_plan.ts';
import { type ActiveAlert, stepAlerts } from './alert_states.ts';
import { evaluateExpression } from './evaluate.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { SampleSource } from './sample_source.ts';
import type { Vector } from './vector.ts';

const ALERTS_PER_RULE_LIMIT = 200;
const RESOLVED_LIMIT = 500;
const EVENTS_LIMIT = 5000;
const DETAIL_LIMIT_CHARS = 2000;

export type AlertListener = (instance: AlertInstance, event: AlertEvent) => void;

/** What is known of an alert besides its state. */
interface Remarks {
  readonly evidence: Evidence | undefined;
  readonly acknowledged: AlertInstance['acknowledged'];
  readonly silencedBy: string | undefined;
  readonly inhibitedBy: string | undefined;
}

const NO_REMARKS: Remarks = {
  evidence: undefined,
  acknowledged: undefined,
  silencedBy: undefined,
  inhibitedBy: undefined,
};

/** An alert as it is kept across a restart. */
export interface KeptAlert {
  readonly ruleId: string;
  readonly key: string;
  readonly goneSinceMs: number | undefined;
  readonly instance: AlertInstance;
}

export interface EngineStats {
  readonly evaluations: number;
  /** Evaluations of single rules that threw. */
  readonly failures: number;
  /** Elements beyond ALERTS_PER_RULE_LIMIT, summed over evaluations. */
  readonly droppedAlerts: number;
  readonly pending: number;
  readonly firing: number;
}

export class AlertEngine {
  readonly #plan: Pick<EvaluatorPlan, 'rules' | 'links' | 'lookbackS'>;
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #rules: ReadonlyMap<string, PlannedRule>;
  readonly #active = new Map<string, ReadonlyMap<string, ActiveAlert>>();
  readonly #remarks = new Map<string, Remarks>();
  /** Which rule and key an active fingerprint belongs to. */
  readonly #places = new Map<string, { readonly ruleId: string; readonly key: string }>();
  #resolved: AlertInstance[] = [];
  #events: AlertEvent[] = [];
  readonly #listeners: AlertListener[] = [];
  readonly #failing = new Set<string>();
  #evaluations = 0;
  #failures = 0;
  #droppedAlerts = 0;

  /** @param nowMs Unix time, for what people and deliveries add to timelines */
  constructor(
    plan: Pick<EvaluatorPlan, 'rules' | 'links' | 'lookbackS'>,
    log: Log,
    nowMs: () => number = Date.now,
  ) {
    this.#plan = plan;
    this.#log = log;
    this.#nowMs = nowMs;
    this.#rules = new Map(plan.rules.map((rule) => [rule.id, rule]));
  }

  /** Called after each change, when all rules of the evaluation have been stepped. */
  onChange(listener: AlertListener): void {
    this.#listeners.push(listener);
  }

  /** One evaluation of every rule. @param timeMs Unix milliseconds */
  evaluate(source: SampleSource, timeMs: number): void {
    this.#evaluations += 1;
    const moment = { source, timeMs, lookbackMs: this.#plan.lookbackS * 1000 };
    const told: { instance: AlertInstance; event: AlertEvent }[] = [];
    for (const planned of this.#plan.rules) {
      let elements: Vector;
      try {
        elements = evaluateExpression(planned.rule.expression, moment);
      } catch (error) {
        this.#failures += 1;
        if (!this.#failing.has(planned.id)) this.#log.error('a rule failed', { rule: planned.id, error });
        this.#failing.add(planned.id);
        continue;
      }
      this.#failing.delete(planned.id);
      told.push(...this.#step(planned, elements, timeMs));
    }
    for (const { instance, event } of told) this.#tell(instance, event);
  }

  #step(planned: PlannedRule, elements: Vector, timeMs: number) {
    const before = this.#active.get(planned.id) ?? new Map<string, ActiveAlert>();
    const { alerts, changes } = stepAlerts(planned.rule, before, this.#bounded(elements, before), timeMs);
    this.#active.set(planned.id, alerts);
    for (const [key, alert] of alerts) {
      if (!before.has(key)) this.#places.set(this.#fingerprint(planned, alert), { ruleId: planned.id, key });
    }
    const told = changes.map(({ kind, alert }) => {
      const instance = this.#instance(planned, alert, kind === 'resolved' ? timeMs : undefined);
      const heldS = Math.round((timeMs - alert.activeSinceMs) / 1000);
      const detail =
        kind === 'resolved'
          ? `after ${Math.round((timeMs - (alert.firingSinceMs ?? timeMs)) / 1000)} s`
          : kind === 'pending'
            ? `${instance.annotations.summary}; fires when it holds for ${planned.rule.forS} s`
            : `${instance.annotations.summary}${heldS === 0 ? '' : `, for ${heldS} s`}`;
      return { instance, event: this.#event(instance, kind, timeMs, detail) };
    });
    for (const [key, alert] of before) {
      if (alerts.has(key)) continue;
      const fingerprint = this.#fingerprint(planned, alert);
      this.#places.delete(fingerprint);
      this.#remarks.delete(fingerprint);
    }
    for (const { instance, event } of told) if (event.kind === 'resolved') this.#keepResolved(instance);
    return told;
  }

  /** Of a flood of label sets, those that are already known and the first others. */
  #bounded(elements: Vector, before: ReadonlyMap<string, ActiveAlert>): Vector {
    if (elements.size <= ALERTS_PER_RULE_LIMIT) return elements;
    this.#droppedAlerts += elements.size - ALERTS_PER_RULE_LIMIT;
    const known = [...elements].filter(([key]) => before.has(key));
    const others = [...elements].filter(([key]) => !before.has(key));
    return new Map([...known, ...others].slice(0, ALERTS_PER_RULE_LIMIT));
  }

  #labels(planned: PlannedRule, alert: ActiveAlert): Readonly<Record<string, string>> {
    return { ...alert.labels, ...planned.labels };
  }

  #fingerprint(planned: PlannedRule, alert: ActiveAlert): string {
    return fingerprintOf(this.#labels(planned, alert));
  }

  #instance(planned: PlannedRule, alert: ActiveAlert, resolvedAtMs?: number): AlertInstance {
    const labels = this.#labels(planned, alert);
    const fingerprint = fingerprintOf(labels);
    const { value, activeSinceMs, firingSinceMs } = alert;
    return {
      fingerprint,
      name: planned.rule.name,
      severity: planned.rule.severity,
      state: resolvedAtMs !== undefined ? 'resolved' : firingSinceMs !== undefined ? 'firing' : 'pending',
      labels,
      annotations: renderAnnotations(planned.rule, this.#plan.links, { value, labels }),
      value,
      pendingSinceMs: activeSinceMs,
      firingSinceMs,
      resolvedAtMs,
      ...(this.#remarks.get(fingerprint) ?? NO_REMARKS),
    };
  }

  #event(instance: AlertInstance, kind: AlertEvent['kind'], atMs: number, detail: string): AlertEvent {
    const { fingerprint } = instance;
    return { fingerprint, atMs, kind, detail: detail.slice(0, DETAIL_LIMIT_CHARS) };
  }

  #keepResolved(instance: AlertInstance): void {
    this.#resolved.push(instance);
    if (this.#resolved.length > RESOLVED_LIMIT) this.#resolved = this.#resolved.slice(-RESOLVED_LIMIT);
  }

  #tell(instance: AlertInstance, event: AlertEvent): void {
    this.#events.push(event);
    if (this.#events.length > EVENTS_LIMIT * 1.1) this.#events = this.#events.slice(-EVENTS_LIMIT);
    const { name, labels, fingerprint, annotations } = instance;
    const fields = { alert: name, fingerprint, labels };
    if (event.kind === 'firing') {
      const say = instance.severity === 'info' ? this.#log.info : this.#log.warn;
      say.call(this.#log, `alert firing: ${annotations.summary}`, fields);
    } else if (event.kind === 'resolved') this.#log.info(`alert resolved: ${annotations.summary}`, fields);
    for (const listener of this.#listeners) {
      try {
        listener(instance, event);
      } catch (error) {
        this.#log.error('a listener to alerts failed', { error });
      }
    }
  }

  /** Active and resolved alerts; of the resolved ones the newest first. */
  alerts(): AlertInstance[] {
    return [...this.active(), ...this.#resolved.toReversed()];
  }

  /** Pending and firing alerts. */
  active(): AlertInstance[] {
    return [...this.#active].flatMap(([ruleId, alerts]) => {
      const planned = this.#rules.get(ruleId);
      return planned === undefined ? [] : [...alerts.values()].map((alert) => this.#instance(planned, alert));
    });
  }

  /** The active alert, or the one that resolved last. */
  alert(fingerprint: string): AlertInstance | undefined {
    const place = this.#places.get(fingerprint);
    const planned = place && this.#rules.get(place.ruleId);
    const alert = place && this.#active.get(place.ruleId)?.get(place.key);
    if (planned !== undefined && alert !== undefined) return this.#instance(planned, alert);
    return this.#resolved.findLast((resolved) => resolved.fingerprint === fingerprint);
  }

  /** Oldest first. */
  timeline(fingerprint: string): AlertEvent[] {
    return this.#events.filter((event) => event.fingerprint === fingerprint);
  }

  /** The rule of an active alert. */
  ruleOf(fingerprint: string): PlannedRule | undefined {
    const place = this.#places.get(fingerprint);
    return place && this.#rules.get(place.ruleId);
  }

  /** @returns the alert as it is then; undefined when no such alert is pending or firing */
  acknowledge(fingerprint: string, by: string, comment: string): AlertInstance | undefined {
    const nowMs = this.#nowMs();
    return this.#remark(fingerprint, { acknowledged: { atMs: nowMs, by, comment } }, nowMs, {
      kind: 'acknowledged',
      detail: comment === '' ? `by ${by}` : `by ${by}: ${comment}`,
    });
  }

  /** Why notifications are held back; both undefined when they are not. */
  setHeld(
    fingerprint: string,
    held: { readonly silencedBy?: string | undefined; readonly inhibitedBy?: string | undefined },
  ): AlertInstance | undefined {
    const now = this.alert(fingerprint);
    if (now === undefined || now.state === 'resolved') return undefined;
    const { silencedBy, inhibitedBy } = held;
    if (now.silencedBy === silencedBy && now.inhibitedBy === inhibitedBy) return now;
    const step: Pick<AlertEvent, 'kind' | 'detail'> | undefined =
      silencedBy !== undefined && now.silencedBy !== silencedBy
        ? { kind: 'silenced', detail: `by silence ${silencedBy}` }
        : inhibitedBy !== undefined && now.inhibitedBy !== inhibitedBy
          ? { kind: 'inhibited', detail: `by its cause ${inhibitedBy}` }
          : now.silencedBy !== undefined && silencedBy === undefined
            ? { kind: 'silence_ended', detail: `silence ${now.silencedBy}` }
            : undefined;
    return this.#remark(fingerprint, { silencedBy, inhibitedBy }, this.#nowMs(), step);
  }

  /**
   * The evidence of a firing alert, or why there is none; told as an event either way.
   * @param firingSinceMs of the firing that it is about; nothing happens when that one is over
   */
  setEvidence(
    fingerprint: string,
    firingSinceMs: number,
    found: Evidence | { readonly missing: string },
  ): AlertInstance | undefined {
    const nowMs = this.#nowMs();
    const now = this.alert(fingerprint);
    if (now?.state !== 'firing' || now.firingSinceMs !== firingSinceMs) return undefined;
    return 'missing' in found
      ? this.#remark(fingerprint, {}, nowMs, { kind: 'evidence', detail: found.missing })
      : this.#remark(fingerprint, { evidence: found }, nowMs, { kind: 'evidence', detail: found.text });
  }

  /** A step of the notifier for the timeline. */
  note(fingerprint: string, kind: 'notified' | 'notify_failed', detail: string): void {
    const instance = this.alert(fingerprint);
    if (instance !== undefined) this.#tell(instance, this.#event(instance, kind, this.#nowMs(), detail));
  }

  #remark(
    fingerprint: string,
    changed: Partial<Remarks>,
    nowMs: number,
    step: Pick<AlertEvent, 'kind' | 'detail'> | undefined,
  ): AlertInstance | undefined {
    if (!this.#places.has(fingerprint)) return undefined;
    this.#remarks.set(fingerprint, { ...(this.#remarks.get(fingerprint) ?? NO_REMARKS), ...changed });
    const instance = this.alert(fingerprint);
    if (instance !== undefined && step !== undefined) {
      this.#tell(instance, this.#event(instance, step.kind, nowMs, step.detail));
    }
    return instance;
  }

  stats(): EngineStats {
    let [pending, firing] = [0, 0];
    for (const alerts of this.#active.values()) {
      for (const { firingSinceMs } of alerts.values()) {
        if (firingSinceMs === undefined) pending += 1;
        else firing += 1;
      }
    }
    return {
      evaluations: this.#evaluations,
      failures: this.#failures,
      droppedAlerts: this.#droppedAlerts,
      pending,
      firing,
    };
  }

  /** The clock was set by so much: what holds has held as long as before. */
  shift(deltaMs: number): void {
    const moved = (timeMs: number | undefined): number | undefined =>
      timeMs === undefined ? undefined : timeMs + deltaMs;
    for (const [ruleId, alerts] of this.#active) {
      this.#active.set(
        ruleId,
        new Map(
          [...alerts].map(([key, alert]) => [
            key,
            {
              ...alert,
              activeSinceMs: alert.activeSinceMs + deltaMs,
              firingSinceMs: moved(alert.firingSinceMs),
              goneSinceMs: moved(alert.goneSinceMs),
            },
          ]),
        ),
      );
    }
  }

  /** Everything that has to survive a restart. */
  kept(): KeptAlert[] {
    return [...this.#active].flatMap(([ruleId, alerts]) => {
      const planned = this.#rules.get(ruleId);
      if (planned === undefined) return [];
      return [...alerts.values()].map((alert) => ({
        ruleId,
        key: alert.key,
        goneSinceMs: alert.goneSinceMs,
        instance: this.#instance(planned, alert),
      }));
    });
  }

  /**
   * Takes up where an earlier process left off; before the first evaluation. Alerts of rules that are no longer in
   * the plan end.
   */
  restore(
    active: readonly KeptAlert[],
    resolved: readonly AlertInstance[],
    events: readonly AlertEvent[],
    nowMs: number,
  ): void {
    this.#resolved = resolved.slice(-RESOLVED_LIMIT);
    this.#events = events.slice(-EVENTS_LIMIT);
    for (const { ruleId, key, goneSinceMs, instance } of active) {
      const planned = this.#rules.get(ruleId);
      if (planned === undefined) {
        if (instance.state !== 'firing') continue;
        const ended: AlertInstance = { ...instance, state: 'resolved', resolvedAtMs: nowMs };
        this.#keepResolved(ended);
        this.#tell(ended, this.#event(ended, 'resolved', nowMs, 'its rule is no longer in use'));
        continue;
      }
      const own = new Set(Object.keys(planned.labels));
      const labels = Object.fromEntries(Object.entries(instance.labels).filter(([name]) => !own.has(name)));
      const alert: ActiveAlert = {
        key,
        labels,
        value: instance.value,
        activeSinceMs: instance.pendingSinceMs,
        firingSinceMs: instance.firingSinceMs,
        goneSinceMs,
      };
      this.#active.set(ruleId, new Map([...(this.#active.get(ruleId) ?? []), [key, alert]]));
      const fingerprint = this.#fingerprint(planned, alert);
      this.#places.set(fingerprint, { ruleId, key });
      const { evidence, acknowledged, silencedBy, inhibitedBy } = instance;
      this.#remarks.set(fingerprint, { evidence, acknowledged, silencedBy, inhibitedBy });
    }
  }
}
