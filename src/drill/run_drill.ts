/**
 * Runs one drill against a running service: load, quiet, fault, alerts, evidence, lifting, clearing. Every wait
 * has a limit, what was injected is lifted whatever happens, and the load stops with the drill.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { AlertInstance } from '../contract/alerts.ts';
import { runLoad } from '../loadgen/run.ts';
import { type AnswerWatch, watchAnswers } from './answer_watch.ts';
import type { ConsoleWatch, ObjectivesInForce } from './console_watch.ts';
import type { Drill, DrillContext, DrillTarget, ExpectedAlert, ExpectedEvidence } from './drill.ts';
import { DrillAlerts, wantedAlerts } from './drill_alerts.ts';
import type { FaultDoors } from './fault_doors.ts';
import { type FaultPlace, judgeEvidence } from './judge_evidence.ts';
import { firstFelt } from './probe.ts';
import type { DrillAlertTimes, DrillReport, DrillStep, DrillStepKind } from './report.ts';

export interface DrillDeps {
  readonly doors: FaultDoors;
  readonly console: ConsoleWatch;
  /** Called for each line of the timeline, as it happens. */
  readonly onStep?: (step: DrillStep) => void;
  /** Called a few times a second with what is waited for. */
  readonly onProgress?: (text: string) => void;
  /** performance.now() since which the service has had such a load without a fault; undefined when nobody knows. */
  readonly calmSinceMs?: number | undefined;
  /** Lifts the fault and ends the drill. */
  readonly signal: AbortSignal;
}

const POLL_MS = 150;
/** What scraping, evaluating and a busy machine may add to any wait. */
const SLACK_MS = 20_000;
/** Evidence is due 3 s after firing; what cannot say is looked at again after the shortest window of the rule, */
const EVIDENCE_WAIT_MS = 10_000;
/** which is so long at most. */
const SECOND_LOOK_S = 120;
/**
 * Load without fault. Evidence looks back over 600 s and compares with the 1200 s before that: all of it under the
 * same load, less the first queries of a service that has just started.
 */
const QUIET_FOR_EVIDENCE_S = 2100;
const QUIET_MIN_MS = 5000;
/** Of it, under the load of this drill, however calm it was before. */
const LOAD_MIN_MS = 2000;
/**
 * Minima of traffic stay while the time scale divides windows: 100 answered queries in what were five minutes is
 * the largest, and this a third more. The floor makes evidence certain, the ceiling is below any capacity.
 */
const RATE_PER_SCALE = 0.45;
const RATE_MIN_PER_S = 20;
const RATE_MAX_PER_S = 200;
const LOAD_LIMIT_S = 3600;

class DrillRun {
  readonly #deps: DrillDeps;
  readonly #drill: Drill;
  readonly #target: DrillTarget;
  readonly #steps: DrillStep[] = [];
  readonly #missing: string[] = [];
  readonly #timeScale: number;
  readonly #alerts: DrillAlerts;
  #faultAtMs: number | undefined;
  #liftedAtMs: number | undefined;
  #felt = false;
  #answers: AnswerWatch | undefined;

  constructor(
    deps: DrillDeps,
    { drill, target, inForce }: { drill: Drill; target: DrillTarget; inForce: ObjectivesInForce },
  ) {
    this.#deps = deps;
    this.#drill = drill;
    this.#target = target;
    this.#timeScale = inForce.timeScale;
    this.#alerts = new DrillAlerts(
      { console: deps.console, step: (kind, detail, atMs) => this.#step(kind, detail, atMs) },
      wantedAlerts(drill, target, inForce.objectives),
    );
  }

  async run(): Promise<DrillReport> {
    const { url, model, samples } = this.#target;
    const scaledPerS = this.#timeScale * RATE_PER_SCALE * (this.#drill.loadFactor ?? 1);
    const ratePerS = Math.min(RATE_MAX_PER_S, Math.max(RATE_MIN_PER_S, scaledPerS));
    const stopLoad = new AbortController();
    const signal = AbortSignal.any([stopLoad.signal, this.#deps.signal]);
    this.#step('load', `${ratePerS} queries a second to ${model}`);
    const load = runLoad(
      { url, model, samples, ratePerS, maxOutstanding: 512, durationS: LOAD_LIMIT_S },
      { signal },
    );
    // A load that ends early is told by the alerts that stay away; its own error is thrown at the end.
    load.catch(() => {});
    try {
      if (this.#drill.feltFromMs === undefined) this.#answers = watchAnswers(this.#target, signal);
      const ready = await this.#try(this.#drill.prepare);
      if (ready && (await this.#quiet())) await this.#withFault();
    } finally {
      stopLoad.abort();
      await load;
    }
    if (this.#answers !== undefined) this.#judgeAnswers(this.#answers, (await load).failed);
    if (this.#deps.signal.aborted) this.#miss('the drill was stopped before its end');
    return this.#report();
  }

  #step(kind: DrillStepKind, detail: string, atMs = Date.now()): void {
    const step = { kind, atMs, detail };
    this.#steps.push(step);
    this.#deps.onStep?.(step);
  }

  #miss(sentence: string): void {
    this.#missing.push(sentence);
    this.#step('missing', sentence);
  }

  /** Polls until `done` says so. @returns false when the limit or the signal came first */
  async #until(what: string, limitMs: number, done: () => Promise<boolean>): Promise<boolean> {
    const startMs = performance.now();
    for (;;) {
      if (this.#deps.signal.aborted) return false;
      if (await done()) return true;
      const elapsedMs = performance.now() - startMs;
      if (elapsedMs > limitMs) return false;
      this.#deps.onProgress?.(
        `${this.#drill.name}: ${what}, ${Math.round(elapsedMs / 1000)} of at most ${Math.round(limitMs / 1000)} s`,
      );
      await pause(POLL_MS);
    }
  }

  #scaledMs(seconds: number): number {
    return (seconds * 1000) / this.#timeScale;
  }

  /** Load without fault until none of the alerts has been active for a while. */
  async #quiet(): Promise<boolean> {
    const { evidence } = this.#drill;
    const compares = evidence !== undefined && evidence.subject !== 'processes';
    const comparedMs = compares ? this.#scaledMs(QUIET_FOR_EVIDENCE_S) : 0;
    const quietMs = Math.max(QUIET_MIN_MS, comparedMs);
    const clearsMs = this.#clearsMs();
    const startMs = performance.now();
    let sinceMs = this.#deps.calmSinceMs ?? startMs;
    let active: AlertInstance | undefined;
    const isQuiet = await this.#until('load without fault', quietMs * 2 + clearsMs + SLACK_MS, async () => {
      active = await this.#alerts.active();
      if (active !== undefined) sinceMs = performance.now();
      const nowMs = performance.now();
      return nowMs - sinceMs >= quietMs && nowMs - startMs >= LOAD_MIN_MS;
    });
    if (!isQuiet && !this.#deps.signal.aborted) {
      this.#miss(
        `without any fault, ${active?.name ?? 'an alert'} is ${active?.state ?? 'active'}; find its cause first`,
      );
    }
    return isQuiet;
  }

  /** A step of the drill's own. @returns false when it said that something is wrong */
  async #try(step: ((context: DrillContext) => Promise<void>) | undefined): Promise<boolean> {
    try {
      await step?.(this.#context());
      return true;
    } catch (error) {
      this.#miss((error as Error).message);
      return false;
    }
  }

  /** Of a fault that no query may show. @param failed queries of the load */
  #judgeAnswers({ problems, medianMs }: AnswerWatch, failed: number): void {
    for (const problem of problems) this.#miss(problem);
    if (failed > 0) this.#miss(`${failed} queries of the load failed`);
    if (problems.length > 0 || failed > 0 || medianMs.fault === undefined) return;
    this.#step(
      'checked',
      `every query was answered, and as before; median ${medianMs.calm?.toFixed(1)} ms before, ${medianMs.fault.toFixed(1)} ms with the fault`,
    );
  }

  #context(): DrillContext {
    const { doors, console, signal } = this.#deps;
    return {
      target: this.#target,
      doors,
      console,
      timeScale: this.#timeScale,
      checked: (what) => this.#step('checked', what),
      haveFired: () => this.#alerts.haveFired(),
      until: (what, limitMs, done) => this.#until(what, limitMs, done),
      signal,
    };
  }

  async #withFault(): Promise<void> {
    const drill = this.#drill;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#deps.signal]);
    this.#faultAtMs = Date.now();
    this.#alerts.sinceMs = this.#faultAtMs;
    this.#step('fault', `${drill.summary}, at ${drill.place(this.#target)}`);
    this.#answers?.setPhase('fault');
    const told = this.#tellFirstFelt(signal);
    try {
      await this.#inject();
    } catch (error) {
      this.#miss((error as Error).message);
    } finally {
      stop.abort();
      await told;
    }
    this.#liftedAtMs = Date.now();
    this.#step('lifted', drill.lifted);
    this.#answers?.setPhase('lifted');
    await this.#awaitCleared();
    await this.#try(drill.afterwards);
  }

  /** From inject to lift. @throws Error when the fault could not be injected */
  async #inject(): Promise<void> {
    const injected = await this.#drill.inject(this.#context());
    try {
      await this.#awaitFiring(this.#drill.alerts);
      await this.#awaitEvidence();
      await this.#awaitFelt();
      await this.#try(this.#drill.whileFiring);
    } finally {
      await injected[Symbol.asyncDispose]();
      if (injected.problem !== undefined) this.#miss(injected.problem);
    }
  }

  /** Ends with the first query that shows the fault, or with the signal. */
  async #tellFirstFelt(signal: AbortSignal): Promise<void> {
    const { feltFromMs } = this.#drill;
    if (feltFromMs === undefined) return;
    const first = await firstFelt(this.#target, feltFromMs, {
      together: 2 * this.#target.workers.length + 1,
      signal,
    });
    if (first === undefined) return;
    const { ms, status, atMs } = first;
    const took = `${Math.round(ms)} ms`;
    const what =
      status === undefined
        ? `not answered after ${took}`
        : status === 200
          ? took
          : status === 0
            ? 'its connection broke'
            : `status ${status}`;
    this.#step('first_slow', what, atMs);
    this.#felt = true;
  }

  async #awaitFiring(alerts: readonly ExpectedAlert[]): Promise<void> {
    const limitMs = this.#scaledMs(Math.max(...alerts.map(({ firesS }) => firesS))) + SLACK_MS;
    const fired = await this.#until('waiting for its alerts', limitMs, () => this.#alerts.haveFired());
    if (fired || this.#deps.signal.aborted) return;
    for (const { expected } of this.#alerts.notFired()) {
      this.#miss(`${expected.name} did not fire within ${Math.round(limitMs / 1000)} s`);
    }
  }

  async #awaitEvidence(): Promise<void> {
    const expected = this.#drill.evidence;
    const alert = this.#alerts.judged();
    if (expected === undefined || !alert?.firingSinceMs) return;
    const limitMs = EVIDENCE_WAIT_MS + this.#scaledMs(SECOND_LOOK_S);
    await this.#until('waiting for evidence', limitMs, async () => {
      await this.#alerts.look();
      return this.#alerts.isExplained();
    });
    const { evidence } = this.#alerts;
    if (evidence !== undefined) {
      for (const problem of judgeEvidence(evidence, expected, this.#faultPlace(expected.at))) {
        this.#miss(problem);
      }
    } else if (!this.#deps.signal.aborted) {
      const told = (await this.#deps.console.timeline(alert.fingerprint)).findLast(
        ({ kind }) => kind === 'evidence',
      );
      this.#miss(`${alert.name} came without evidence${told === undefined ? '' : `: ${told.detail}`}`);
    }
  }

  async #awaitFelt(): Promise<void> {
    const { feltFromMs, feltWithoutOthers = false } = this.#drill;
    if (feltFromMs === undefined || (feltWithoutOthers && this.#target.workers.length > 1)) return;
    const felt = await this.#until('waiting for a query that shows it', SLACK_MS, async () => this.#felt);
    if (!felt && !this.#deps.signal.aborted) this.#miss('no query showed the fault');
  }

  #faultPlace(at: ExpectedEvidence['at']): FaultPlace {
    const { model, workers } = this.#target;
    const struck = at === 'workers' ? workers : at === 'first_worker' ? workers.slice(0, 1) : [];
    return { model, workers: struck, all: struck.length === workers.length };
  }

  #clearsMs(): number {
    return this.#scaledMs(Math.max(...this.#drill.alerts.map(({ clearsS }) => clearsS)));
  }

  async #awaitCleared(): Promise<void> {
    const limitMs = this.#clearsMs() + SLACK_MS;
    const cleared = await this.#until('waiting for its alerts to clear', limitMs, async () => {
      await this.#alerts.look();
      return this.#alerts.open().length === 0;
    });
    if (cleared || this.#deps.signal.aborted) return;
    for (const { name } of this.#alerts.open()) {
      this.#miss(`${name} did not clear within ${Math.round(limitMs / 1000)} s`);
    }
  }

  #report(): DrillReport {
    const since = (timeMs: number | null | undefined, zeroMs: number | undefined): number | null =>
      timeMs && zeroMs !== undefined ? timeMs - zeroMs : null;
    const alerts = this.#alerts.seen().map(
      (alert): DrillAlertTimes => ({
        name: alert.name,
        fingerprint: alert.fingerprint,
        labels: alert.labels,
        pendingAfterMs: since(alert.pendingSinceMs, this.#faultAtMs),
        firingAfterMs: since(alert.firingSinceMs, this.#faultAtMs),
        clearedAfterMs: since(alert.resolvedAtMs, this.#liftedAtMs),
      }),
    );
    return {
      drill: this.#drill.name,
      model: this.#target.model,
      timeScale: this.#timeScale,
      passed: this.#missing.length === 0,
      missing: this.#missing,
      steps: this.#steps,
      faultAtMs: this.#faultAtMs ?? null,
      alerts,
      evidence: this.#alerts.evidence?.text ?? null,
    };
  }
}

/**
 * @returns the report, also of a drill that failed or was stopped
 * @throws ClientError when the console cannot be asked; the fault is lifted before
 */
export async function runDrill(deps: DrillDeps, drill: Drill, target: DrillTarget): Promise<DrillReport> {
  const inForce = await deps.console.objectives();
  return new DrillRun(deps, { drill, target, inForce }).run();
}
