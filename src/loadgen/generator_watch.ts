/**
 * Whether the generator itself was the limit. A generator that has no processor time left, or whose event
 * loop is late, measures itself: its figures must not be read as the service's.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

/** Node's monitor ticks so often, and counts that tick into every delay it reports. */
const MONITOR_RESOLUTION_MS = 10;
/** A loop that is busy for so much of the time has no room for a faster service. */
const UTILIZATION_LIMIT = 0.9;
/** The process's processor time per second of run, in cores; above it one thread cannot do more. */
const CPU_LIMIT_CORES = 0.95;
/** A loop that is always busy on less than this waits for the processor rather than works. */
const STARVED_CORES = 0.7;
/** Delay of the event loop at p99 above which latencies of a few milliseconds are the generator's own. */
const LOOP_DELAY_LIMIT_MS = 20;
/** Open loop: p99 of how late the generator came to an intended send. */
const LATENESS_LIMIT_MS = 20;

/** What was measured of the generator over the measured part of a run. */
export interface GeneratorMeasure {
  /** Processor time of the whole process per second of run, in cores. */
  readonly cpuCores: number;
  /** Part of the time (0 to 1) in which the event loop was busy. */
  readonly loopUtilization: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** Open loop: p99 of actual less intended moment of acting on an arrival; 0 in a closed loop. */
  readonly latenessP99Ms: number;
}

export interface GeneratorReport extends GeneratorMeasure {
  /** Whether the generator itself was the limit. */
  readonly limited: boolean;
  /** Why, one sentence each; empty when it was not. */
  readonly reasons: readonly string[];
}

/** The verdict on a measure; pure. */
export function judgeGenerator(measure: GeneratorMeasure): GeneratorReport {
  const reasons: string[] = [];
  if (measure.loopUtilization >= UTILIZATION_LIMIT) {
    const starved = measure.cpuCores < STARVED_CORES;
    reasons.push(
      `its event loop was busy ${percent(measure.loopUtilization)} of the time` +
        (starved ? ` on ${measure.cpuCores.toFixed(2)} cores: other processes took the processor` : ''),
    );
  } else if (measure.cpuCores >= CPU_LIMIT_CORES) {
    reasons.push(`it used ${measure.cpuCores.toFixed(2)} cores, and sends from one`);
  }
  if (measure.loopDelayP99Ms >= LOOP_DELAY_LIMIT_MS) {
    reasons.push(`its event loop was ${measure.loopDelayP99Ms.toFixed(0)} ms late at p99`);
  }
  if (measure.latenessP99Ms >= LATENESS_LIMIT_MS) {
    reasons.push(`it came ${measure.latenessP99Ms.toFixed(0)} ms late to an intended send at p99`);
  }
  return { ...measure, limited: reasons.length > 0, reasons };
}

export interface GeneratorWatch extends Disposable {
  /** What was measured since the watch was created. @param latenessP99Ms see GeneratorMeasure */
  measure(latenessP99Ms: number): GeneratorMeasure;
}

/** Starts to watch this process and its event loop. Disposing stops the monitor. */
export function watchGenerator(): GeneratorWatch {
  const delays = monitorEventLoopDelay({ resolution: MONITOR_RESOLUTION_MS });
  delays.enable();
  const startCpu = process.cpuUsage();
  const startLoop = performance.eventLoopUtilization();
  const startMs = performance.now();
  const beyondTickMs = (delayNs: number): number =>
    delays.count === 0 ? 0 : Math.max(0, delayNs / 1e6 - MONITOR_RESOLUTION_MS);
  return {
    measure(latenessP99Ms) {
      const elapsedMs = Math.max(performance.now() - startMs, 0.001);
      const cpu = process.cpuUsage(startCpu);
      return {
        cpuCores: (cpu.user + cpu.system) / 1e3 / elapsedMs,
        loopUtilization: performance.eventLoopUtilization(startLoop).utilization,
        loopDelayP99Ms: beyondTickMs(delays.percentile(99)),
        loopDelayMaxMs: beyondTickMs(delays.max),
        latenessP99Ms,
      };
    },
    [Symbol.dispose]() {
      delays.disable();
    },
  };
}

function percent(part: number): string {
  return `${(part * 100).toFixed(0)} %`;
}
