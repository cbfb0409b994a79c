/**
 * Runs one drill against a running service: load, quiet, fault, alerts, evidence, lifting, clearing. Every wait
 * has a limit, what was injected is lifted whatever happens, and the load stops with the drill.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { AlertInstance } from '../contract/alerts.ts';
import type { Evidence } from '../contract/evidence.ts';
import { runLoad } from '../loadgen/run.ts';
import type { ConsoleWatch } from './console_watch.ts';
import type { AlertOf, Drill, DrillContext, DrillTarget, ExpectedAlert } from './drill.ts';
import type { FaultDoors } from './fault_doors.ts';
import { judgeEvidence } from './judge_evidence.ts';
import { firstFelt } from './probe.ts';
import type { DrillAlertTimes, DrillReport, DrillStep, DrillStepKind } from './report.ts';

export interface DrillDeps {
  readonly doors: FaultDoors;
  readonly console: ConsoleWatch;
  /** Called for each line of the timeline, as it happens. */
  readonly onStep?: (step: DrillStep) => void;
  /** Called a few times a second with what is waited for. */
  readonly onProgress?: (text: string) => void;
  /** Lifts the fault and ends the drill. */
  readonly signal: AbortSignal;
}

const POLL_MS = 150;
/** What scraping, evaluating and a busy machine may add to any wait. */
const SLACK_MS = 20_000;
/** Evidence is due 3 s after firing. */
const EVIDENCE_WAIT_MS = 10_000;
/**
 * Load without fault. Evidence looks back over 600 s and compares with the 1200 s before that: all of it under the
 * same load, less the first queries of a service that has just started.
 */
const QUIET_FOR_EVIDENCE_S = 2100;
const QUIET_MIN_MS = 5000;
/**
 * Minima of traffic stay while the time scale divides windows: 100 answered queries in what were five minutes is
 * the largest, and this a third more. The floor makes evidence certain, the ceiling is below any capacity.
 */
const RATE_PER_SCALE = 0.45;
const RATE_MIN_PER_S = 20;
const RATE_MAX_PER_S = 200;
const LOAD_LIMIT_S = 3600;

/** The alert of this drill that is active now or was since `sinceMs`. */
function findAlert(
  alerts: readonly AlertInstance[],
  wanted: WantedAlert,
  sinceMs: number,
): AlertInstance | undefined {
  return alerts.find(
    (alert) =>
      alert.name === wanted.expected.name &&
      Object.entries(wanted.labels).every(([label, value]) => alert.labels[label] === value) &&
      alert.pendingSinceMs >= sinceMs,
  );
}

interface WantedAlert {
  readonly expected: ExpectedAlert;
  readonly labels: Readonly<Record<string, string>>;
}

class DrillRun {
  readonly #deps: DrillDeps;
  readonly #drill: Drill;
  readonly #target: DrillTarget;
  readonly #steps: DrillStep[] = [];
  readonly #missing: string[] = [];
  readonly #last = new Map<string, AlertInstance>();
  #timeScale = 1;
  #wanted: WantedAlert[] = [];
  #faultAtMs: number | undefined;
  #liftedAtMs: number | undefined;
  #evidence: Evidence | undefined;

  constructor(deps: DrillDeps, drill: Drill, target: DrillTarget) {
    this.#deps = deps;
    this.#drill = drill;
    this.#target = target;
  }

  async run(): Promise<DrillReport> {
    await this.#plan();
    const { url, model, samples } = this.#target;
    const ratePerS = Math.min(RATE_MAX_PER_S, Math.max(RATE_MIN_PER_S, this.#timeScale * RATE_PER_SCALE));
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
      if (await this.#quiet()) await this.#withFault();
    } finally {
      stopLoad.abort();
      await load;
    }
    if (this.#deps.signal.aborted) this.#miss('the drill was stopped before its end');
    return this.#report();
  }

  async #plan(): Promise<void> {
    const { timeScale, objectives } = await this.#deps.console.objectives();
    this.#timeScale = timeScale;
    const { model, workers } = this.#target;
    const sloOf = (kind: 'latency' | 'availability'): string | undefined =>
      objectives.find((objective) => objective.model === model && objective.kind === kind)?.name;
    const labelsOf = (of: AlertOf): Record<string, string> | undefined => {
      switch (of) {
        case 'model':
          return { model };
        case 'worker':
          return { instance: workers[0] ?? '' };
        case 'gateway':
          return { instance: 'gateway-0' };
        case 'console':
          return { instance: 'console-0' };
        case 'latency_objective':
        case 'availability_objective': {
          const slo = sloOf(of === 'latency_objective' ? 'latency' : 'availability');
          return slo === undefined ? undefined : { slo };
        }
      }
    };
    // A model without an objective has no alert of its budget; the others stay.
    this.#wanted = this.#drill.alerts.flatMap((expected) => {
      const labels = labelsOf(expected.of);
      return labels === undefined ? [] : [{ expected, labels }];
    });
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
    const comparedMs = this.#drill.evidence === undefined ? 0 : this.#scaledMs(QUIET_FOR_EVIDENCE_S);
    const quietMs = Math.max(QUIET_MIN_MS, comparedMs);
    const clearsMs = this.#scaledMs(Math.max(...this.#wanted.map(({ expected }) => expected.clearsS)));
    let sinceMs = performance.now();
    let active: AlertInstance | undefined;
    const isQuiet = await this.#until('load without fault', quietMs * 2 + clearsMs + SLACK_MS, async () => {
      const now = (await this.#deps.console.alerts()).filter(({ state }) => state !== 'resolved');
      active = this.#wanted.map((wanted) => findAlert(now, wanted, 0)).find((alert) => alert !== undefined);
      if (active !== undefined) sinceMs = performance.now();
      return performance.now() - sinceMs >= quietMs;
    });
    if (!isQuiet && !this.#deps.signal.aborted) {
      this.#miss(
        `without any fault, ${active?.name ?? 'an alert'} is ${active?.state ?? 'active'}; find its cause first`,
      );
    }
    return isQuiet;
  }

  #context(): DrillContext {
    const { doors, console, signal } = this.#deps;
    return {
      target: this.#target,
      doors,
      console,
      timeScale: this.#timeScale,
      haveFired: () => this.#haveFired(),
      until: (what, limitMs, done) => this.#until(what, limitMs, done),
      signal,
    };
  }

  async #withFault(): Promise<void> {
    const drill = this.#drill;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#deps.signal]);
    this.#faultAtMs = Date.now();
    this.#step('fault', `${drill.summary}, at ${drill.place(this.#target)}`);
    const told = this.#tellFirstFelt(signal);
    try {
      const injected = await drill.inject(this.#context());
      try {
        await this.#awaitFiring(drill.alerts);
        await this.#awaitEvidence();
      } finally {
        await injected[Symbol.asyncDispose]();
        if (injected.problem !== undefined) this.#miss(injected.problem);
      }
    } finally {
      stop.abort();
      await told;
    }
    this.#liftedAtMs = Date.now();
    this.#step('lifted', drill.lifted);
    await this.#awaitCleared();
  }

  /** Ends with the first query that shows the fault, or with the signal. */
  async #tellFirstFelt(signal: AbortSignal): Promise<void> {
    const [sample] = this.#target.samples;
    const { feltFromMs } = this.#drill;
    if (sample === undefined || feltFromMs === undefined) return;
    const first = await firstFelt({ ...this.#target, sample }, feltFromMs, signal);
    if (first === undefined) return;
    const what = first.status === 200 ? `${Math.round(first.ms)} ms` : `status ${first.status}`;
    this.#step('first_slow', what, first.atMs);
  }

  /** Looks at the alerts that belong to this fault, and tells what changed. */
  async #look(): Promise<void> {
    const alerts = await this.#deps.console.alerts();
    for (const wanted of this.#wanted) {
      const found = findAlert(alerts, wanted, this.#faultAtMs ?? 0);
      if (found === undefined) continue;
      const before = this.#last.get(wanted.expected.name);
      this.#last.set(wanted.expected.name, found);
      const text = `${found.name} ${Object.values(wanted.labels).join(' ')}`;
      if (before === undefined) this.#step('pending', text, found.pendingSinceMs);
      if (found.firingSinceMs && !before?.firingSinceMs) {
        this.#step('firing', `${text}: ${found.annotations.summary ?? ''}`, found.firingSinceMs);
      }
      if (wanted === this.#wanted[0] && found.evidence && this.#evidence === undefined) {
        this.#evidence = found.evidence;
        this.#step('evidence', found.evidence.text, found.evidence.atMs);
      }
      if (found.resolvedAtMs && !before?.resolvedAtMs) this.#step('cleared', text, found.resolvedAtMs);
    }
  }

  #notFired(): WantedAlert[] {
    return this.#wanted.filter(({ expected }) => !this.#last.get(expected.name)?.firingSinceMs);
  }

  async #haveFired(): Promise<boolean> {
    await this.#look();
    return this.#notFired().length === 0;
  }

  async #awaitFiring(alerts: readonly ExpectedAlert[]): Promise<void> {
    const limitMs = this.#scaledMs(Math.max(...alerts.map(({ firesS }) => firesS))) + SLACK_MS;
    const fired = await this.#until('waiting for its alerts', limitMs, () => this.#haveFired());
    if (fired || this.#deps.signal.aborted) return;
    for (const { expected } of this.#notFired()) {
      this.#miss(`${expected.name} did not fire within ${Math.round(limitMs / 1000)} s`);
    }
  }

  async #awaitEvidence(): Promise<void> {
    const [first] = this.#wanted;
    const expected = this.#drill.evidence;
    const alert = first && this.#last.get(first.expected.name);
    if (expected === undefined || !alert?.firingSinceMs) return;
    await this.#until('waiting for evidence', EVIDENCE_WAIT_MS, async () => {
      await this.#look();
      return this.#evidence !== undefined;
    });
    if (this.#evidence !== undefined) {
      const place = { model: this.#target.model, workers: this.#target.workers };
      for (const problem of judgeEvidence(this.#evidence, expected, place)) this.#miss(problem);
    } else if (!this.#deps.signal.aborted) {
      const told = (await this.#deps.console.timeline(alert.fingerprint)).findLast(
        ({ kind }) => kind === 'evidence',
      );
      this.#miss(`${alert.name} came without evidence${told === undefined ? '' : `: ${told.detail}`}`);
    }
  }

  async #awaitCleared(): Promise<void> {
    const limitMs =
      this.#scaledMs(Math.max(...this.#wanted.map(({ expected }) => expected.clearsS))) + SLACK_MS;
    const open = () => [...this.#last.values()].filter((alert) => alert.firingSinceMs && !alert.resolvedAtMs);
    const cleared = await this.#until('waiting for its alerts to clear', limitMs, async () => {
      await this.#look();
      return open().length === 0;
    });
    if (cleared || this.#deps.signal.aborted) return;
    for (const { name } of open()) this.#miss(`${name} did not clear within ${Math.round(limitMs / 1000)} s`);
  }

  #report(): DrillReport {
    const since = (timeMs: number | null | undefined, zeroMs: number | undefined): number | null =>
      timeMs && zeroMs !== undefined ? timeMs - zeroMs : null;
    const alerts = [...this.#last.values()].map(
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
      evidence: this.#evidence?.text ?? null,
    };
  }
}

/**
 * @returns the report, also of a drill that failed or was stopped
 * @throws ClientError when the console cannot be asked; the fault is lifted before
 */
export function runDrill(deps: DrillDeps, drill: Drill, target: DrillTarget): Promise<DrillReport> {
  return new DrillRun(deps, drill, target).run();
}
