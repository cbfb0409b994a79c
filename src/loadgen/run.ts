/** Runs a load plan: `runLoad`. */
import { type Arrivals, createArrivals } from './arrivals.ts';
import {
  type GeneratorMeasure,
  type GeneratorWatch,
  judgeGenerator,
  watchGenerator,
} from './generator_watch.ts';
import { GivenUp, Lane, type LaneResult, type PreparedRequest, prepareRequests } from './lane.ts';
import { createLatencyHistogram } from './latency_histogram.ts';
import { createPacer, type Pacer } from './pacer.ts';
import { type LoadOptions, type LoadPlan, planLoad } from './plan.ts';
import { createRandom } from './random.ts';
import { createRecorder, type Recorder } from './recorder.ts';
import { type LoadProgress, type LoadReport, planReport, REPORT_FORMAT } from './report.ts';
import { createWaiting, type Waiting } from './waiting.ts';

export interface RunHooks {
  /** Called about four times a second, and once at the end with phase `done`. What it throws ends the run. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Stops the run: nothing more is sent, what is on its way is cut and counted as `aborted`. */
  readonly signal?: AbortSignal;
}

const PROGRESS_INTERVAL_MS = 250;
/** How often requests are looked at for their timeout; a timeout comes at most so much late. */
const SWEEP_INTERVAL_MS = 25;
/** Closed loop: rest of a connection that failed, so that a dead service is not called in a tight loop. */
const REST_MS = 50;

/**
 * Sends the planned load to a running service and reports what came of it. Every request that is sent is
 * counted exactly once, whatever becomes of the service, and the promise settles by itself: at the latest
 * the warm-up, `durationS` and twice `timeoutMs` after the start.
 *
 * @returns the report, also of a run that was stopped (`aborted`) or in which nothing succeeded
 * @throws VitrineError `invalid_request`, before anything is sent, when the plan does not hold
 */
export async function runLoad(options: LoadOptions, hooks: RunHooks = {}): Promise<LoadReport> {
  const run = new LoadRun(planLoad(options), hooks);
  try {
    return await run.run();
  } finally {
    await run.dispose();
  }
}

/**
 * One run, from the first request to the report.
 *
 * It goes through `warming`, `measuring`, `draining`, `done`, in this order and never back; without a warm-up
 * it leaves `warming` with its first request. A request belongs to the part in which it was meant to go. In
 * `draining` no new request becomes due, those that are out or wait for a connection are brought to their
 * end, and `done` is reached when none is left. The signal leads to `draining` from anywhere.
 *
 * Open loop: an arrival takes an idle connection, or opens one up to `connections`, or waits in `#waiting`
 * up to `maxOutstanding`, or is counted as not sent. Closed loop: there are `concurrency` connections, none
 * waits, and each sends again when its request ends.
 */
class LoadRun {
  readonly #plan: LoadPlan;
  readonly #hooks: RunHooks;
  readonly #requests: readonly PreparedRequest[];
  readonly #arrivals: Arrivals | undefined;
  readonly #connections: number;

  #phase: LoadProgress['phase'] = 'warming';
  readonly #lanes: Lane[] = [];
  readonly #idle: Lane[] = [];
  /** Closed loop: connections that failed and rest; one timer wakes them all. */
  #resting: Lane[] = [];
  readonly #waiting: Waiting | undefined;
  #inFlight = 0;
  #nextRequest = 0;
  #aborted = false;

  /** Moments of performance.now(). */
  #startMs = 0;
  #measureStartMs = 0;
  #sendingEndMs = 0;

  #warmupSent = 0;
  #warmupNotSent = 0;
  #ended = 0;
  /** From the first moment of `measuring`. */
  #recorder: Recorder | undefined;
  #watch: GeneratorWatch | undefined;
  #measure: GeneratorMeasure | undefined;
  readonly #lateness = createLatencyHistogram();

  /** Open loop only. */
  #pacer: Pacer | undefined;
  #restTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  #progressTimer: NodeJS.Timeout | undefined;
  #lastProgress = { atMs: 0, ended: 0 };
  readonly #finished = Promise.withResolvers<void>();

  constructor(plan: LoadPlan, hooks: RunHooks) {
    this.#plan = plan;
    this.#hooks = hooks;
    this.#requests = prepareRequests(plan);
    // It may be rejected before anyone waits for it.
    this.#finished.promise.catch(() => {});
    const { loop } = plan;
    if (loop.kind === 'open') {
      this.#connections = loop.connections;
      this.#waiting = createWaiting(loop.maxOutstanding - loop.connections);
      this.#arrivals = createArrivals(loop.arrivals, loop.ratePerS, createRandom(plan.seed), loop.rampPerS2);
    } else {
      this.#connections = loop.concurrency;
    }
  }

  async run(): Promise<LoadReport> {
    if (this.#arrivals !== undefined) {
      this.#pacer = await createPacer(
        () => this.#pump(),
        (error) => this.#finished.reject(error),
      );
    }
    const startedAt = new Date().toISOString();
    this.#startMs = performance.now();
    this.#measureStartMs = this.#startMs;
    this.#lastProgress = { atMs: this.#startMs, ended: 0 };
    const { signal } = this.#hooks;
    const onAbort = () => this.#abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      this.#sweepTimer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
      if (this.#hooks.onProgress !== undefined) {
        this.#progressTimer = setInterval(() => this.#tell(), PROGRESS_INTERVAL_MS);
      }
      if (signal?.aborted) this.#abort();
      else this.#pump();
      await this.#finished.promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    this.#hooks.onProgress?.(this.#progress());
    return this.#report(startedAt);
  }

  /** Also after an error in the middle: what ends from here on is neither counted nor followed by more. */
  async dispose(): Promise<void> {
    this.#phase = 'done';
    clearTimeout(this.#restTimer);
    clearInterval(this.#sweepTimer);
    clearInterval(this.#progressTimer);
    this.#watch?.[Symbol.dispose]();
    await Promise.all([this.#pacer?.[Symbol.asyncDispose](), ...this.#lanes.map((lane) => lane.destroy())]);
  }

  /** Sends all that is due now. */
  #pump(): void {
    const nowMs = performance.now();
    if (this.#arrivals === undefined) this.#pumpClosed(nowMs);
    else this.#pumpOpen(this.#arrivals, nowMs);
    this.#finishIfDrained();
  }

  #pumpClosed(nowMs: number): void {
    while (this.#phase !== 'draining' && this.#phase !== 'done') {
      const lane = this.#takeLane();
      if (lane === undefined) return;
      this.#measureIfDue(nowMs);
      if (this.#isOver(nowMs)) {
        this.#idle.push(lane);
        this.#stopSending(nowMs);
        return;
      }
      this.#send(lane, nowMs, this.#phase === 'measuring', nowMs);
    }
  }

  #pumpOpen(arrivals: Arrivals, nowMs: number): void {
    while (this.#phase !== 'draining' && this.#phase !== 'done') {
      const intendedMs = this.#startMs + arrivals.peekMs();
      if (intendedMs > nowMs) {
        this.#measureIfDue(nowMs);
        if (this.#isOver(nowMs)) this.#stopSending(nowMs);
        else this.#pacer?.wakeIn(Math.min(intendedMs, this.#phaseEndMs()) - nowMs);
        return;
      }
      this.#measureIfDue(intendedMs);
      if (this.#isOver(intendedMs)) {
        this.#stopSending(nowMs);
        return;
      }
      arrivals.takeMs();
      this.#arrive(intendedMs, nowMs);
    }
  }

  #arrive(intendedMs: number, nowMs: number): void {
    const measured = this.#phase === 'measuring';
    if (measured) this.#lateness.recordMs(nowMs - intendedMs);
    const lane = this.#takeLane();
    if (lane !== undefined) {
      this.#send(lane, intendedMs, measured, nowMs);
    } else if (this.#waiting === undefined || !this.#waiting.push(intendedMs, measured)) {
      this.#countNotSent(measured, nowMs);
    }
  }

  #takeLane(): Lane | undefined {
    const idle = this.#idle.pop();
    if (idle !== undefined || this.#lanes.length >= this.#connections) return idle;
    const lane = new Lane(this.#plan.origin, {
      timeoutMs: this.#plan.timeoutMs,
      wantsErrorText: (status) => this.#recorder?.wantsErrorText(status) ?? false,
      done: (ended, result) => this.#onDone(ended, result),
    });
    this.#lanes.push(lane);
    return lane;
  }

  #send(lane: Lane, intendedMs: number, measured: boolean, nowMs: number): void {
    const request = this.#requests[this.#nextRequest];
    if (request === undefined) throw new Error('a plan has at least one sample');
    this.#nextRequest = (this.#nextRequest + 1) % this.#requests.length;
    this.#inFlight += 1;
    if (measured) this.#recorder?.sent(nowMs);
    else this.#warmupSent += 1;
    lane.send(request, intendedMs, measured);
  }

  #onDone(lane: Lane, result: LaneResult): void {
    const nowMs = performance.now();
    this.#inFlight -= 1;
    if (this.#phase === 'done') return;
    this.#ended += 1;
    if (lane.measured) this.#recorder?.ended(lane, result, nowMs);
    const next = this.#aborted ? undefined : this.#waiting?.shift();
    if (next !== undefined) {
      this.#send(lane, next.intendedMs, next.measured, nowMs);
      return;
    }
    if (this.#arrivals !== undefined || result.error === undefined) this.#idle.push(lane);
    else this.#rest(lane);
    if (this.#arrivals === undefined) this.#pumpClosed(nowMs);
    this.#finishIfDrained();
  }

  #rest(lane: Lane): void {
    this.#resting.push(lane);
    this.#restTimer ??= setTimeout(() => {
      this.#restTimer = undefined;
      this.#idle.push(...this.#resting);
      this.#resting = [];
      this.#pump();
    }, REST_MS);
  }

  /** Ends the warm-up at `atMs` when it has lasted or sent what the plan says. */
  #measureIfDue(atMs: number): void {
    if (this.#phase !== 'warming') return;
    const { warmup } = this.#plan;
    if ('seconds' in warmup) {
      if (atMs - this.#startMs < warmup.seconds * 1000) return;
      this.#measureStartMs = this.#startMs + warmup.seconds * 1000;
    } else {
      if (this.#warmupSent + this.#warmupNotSent < warmup.requests) return;
      this.#measureStartMs = atMs;
    }
    this.#beginMeasuring();
  }

  #beginMeasuring(): void {
    this.#phase = 'measuring';
    this.#recorder = createRecorder(this.#measureStartMs);
    this.#watch = watchGenerator();
  }

  /** Whether the measured part ends before a request that would go at `atMs`. */
  #isOver(atMs: number): boolean {
    if (this.#phase !== 'measuring' || this.#recorder === undefined) return false;
    const { requests, durationS } = this.#plan;
    const due =
      this.#recorder.sentCount + this.#recorder.notSentCount + (this.#waiting?.measuredCount() ?? 0);
    return (requests !== undefined && due >= requests) || atMs - this.#measureStartMs >= durationS * 1000;
  }

  /** When time alone ends the phase. */
  #phaseEndMs(): number {
    const { warmup, durationS } = this.#plan;
    if (this.#phase === 'measuring') return this.#measureStartMs + durationS * 1000;
    return 'seconds' in warmup ? this.#startMs + warmup.seconds * 1000 : Number.POSITIVE_INFINITY;
  }

  #stopSending(nowMs: number): void {
    if (this.#phase === 'draining' || this.#phase === 'done') return;
    this.#phase = 'draining';
    this.#sendingEndMs = nowMs;
    this.#measure = this.#watch?.measure(this.#lateness.quantileMs(99));
  }

  #countNotSent(measured: boolean, nowMs: number): void {
    if (measured) this.#recorder?.notSent(nowMs);
    else this.#warmupNotSent += 1;
  }

  #sweep(): void {
    const nowMs = performance.now();
    const { timeoutMs } = this.#plan;
    for (const lane of this.#lanes) {
      if (lane.busy && nowMs - lane.dispatchedMs >= timeoutMs) {
        lane.giveUp(new GivenUp('timeout', `no whole answer within timeoutMs of ${timeoutMs}`));
      }
    }
    // A closed loop whose requests all hang must still see its end.
    if (this.#arrivals === undefined && this.#isOver(nowMs)) this.#stopSending(nowMs);
  }

  #abort(): void {
    if (this.#phase === 'done') return;
    const nowMs = performance.now();
    this.#aborted = true;
    this.#stopSending(nowMs);
    for (let next = this.#waiting?.shift(); next !== undefined; next = this.#waiting?.shift()) {
      this.#countNotSent(next.measured, nowMs);
    }
    for (const lane of this.#lanes) {
      if (!lane.busy) continue;
      lane.giveUp(new GivenUp('aborted', 'the run was stopped'));
      // Also ends a request whose connection does not stand yet.
      void lane.destroy();
    }
    this.#finishIfDrained();
  }

  #finishIfDrained(): void {
    if (this.#phase !== 'draining' || this.#inFlight > 0 || (this.#waiting?.count() ?? 0) > 0) return;
    this.#phase = 'done';
    this.#finished.resolve();
  }

  #tell(): void {
    try {
      this.#hooks.onProgress?.(this.#progress());
    } catch (error) {
      this.#finished.reject(error);
    }
  }

  #progress(): LoadProgress {
    const nowMs = performance.now();
    const { atMs, ended } = this.#lastProgress;
    const recorder = this.#recorder;
    this.#lastProgress = { atMs: nowMs, ended: this.#ended };
    return {
      phase: this.#phase,
      elapsedS: (nowMs - this.#startMs) / 1000,
      done: this.#partDone(nowMs),
      sent: recorder?.sentCount ?? 0,
      ok: recorder?.okCount ?? 0,
      errors: recorder?.failedCount ?? 0,
      notSent: recorder?.notSentCount ?? 0,
      inFlight: this.#inFlight,
      waiting: this.#waiting?.count() ?? 0,
      ratePerS: ((this.#ended - ended) * 1000) / Math.max(nowMs - atMs, 1),
      p50Ms: recorder?.responseQuantileMs(50) ?? 0,
      p99Ms: recorder?.responseQuantileMs(99) ?? 0,
    };
  }

  #partDone(nowMs: number): number {
    if (this.#phase === 'done' || this.#phase === 'draining') return 1;
    if (this.#phase === 'warming' || this.#recorder === undefined) return 0;
    const { requests, durationS } = this.#plan;
    const byTime = (nowMs - this.#measureStartMs) / (durationS * 1000);
    const byCount =
      requests === undefined ? 0 : (this.#recorder.sentCount + this.#recorder.notSentCount) / requests;
    return Math.min(1, Math.max(byTime, byCount));
  }

  #report(startedAt: string): LoadReport {
    // A run that was stopped before its measured part has an empty one.
    const recorder = this.#recorder ?? createRecorder(this.#startMs);
    const sendingMs = this.#recorder === undefined ? 0 : this.#sendingEndMs - this.#measureStartMs;
    const answeringMs = Math.max(sendingMs, recorder.lastOkMs - this.#measureStartMs);
    const measure = this.#measure ?? {
      cpuCores: 0,
      loopUtilization: 0,
      loopDelayP99Ms: 0,
      loopDelayMaxMs: 0,
      latenessP99Ms: 0,
    };
    return {
      format: REPORT_FORMAT,
      plan: planReport(this.#plan),
      startedAt,
      aborted: this.#aborted,
      warmup: { sent: this.#warmupSent, notSent: this.#warmupNotSent },
      sendingS: sendingMs / 1000,
      sentPerS: sendingMs === 0 ? 0 : (recorder.sentCount * 1000) / sendingMs,
      okPerS: answeringMs === 0 ? 0 : (recorder.okCount * 1000) / answeringMs,
      ...recorder.report(),
      generator: judgeGenerator(measure),
    };
  }
}
