/** Metrics of the process itself, under the names of OpenTelemetry's conventions for processes and runtimes. */
import { totalmem } from 'node:os';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import type { EventLoopDelay } from './event_loop.ts';
import type { Metrics } from './metrics.ts';

/** `detail.kind` of a gc entry. https://nodejs.org/api/perf_hooks.html#performance-entry-detail */
const GC_KINDS: Readonly<Record<number, string>> = { 1: 'minor', 4: 'major', 8: 'incremental', 16: 'weakcb' };
/**
 * The maximum of the event-loop delay forgets after this long, so that one old stall does not shine for ever: the
 * interval of scrapes, and divided by the time scale as that is.
 */
const DELAY_WINDOW_MS = 15_000;
/** Twice the shortest interval of scrapes. */
const DELAY_WINDOW_MIN_MS = 500;

/** What the process may have at most: its control group's limit, or the memory of the machine. */
export function processMemoryLimitBytes(): number {
  // 0 where there is no control group, and beyond the machine where that has no limit.
  const constrainedBytes = process.constrainedMemory();
  return constrainedBytes > 0 ? Math.min(constrainedBytes, totalmem()) : totalmem();
}

/** @param timeScale see VITRINE_SLO_TIME_SCALE: alerts average the maximum over windows that it divides */
export function observeProcess(metrics: Metrics, eventLoop: EventLoopDelay, timeScale = 1): Disposable {
  const cpu = metrics.counter('process_cpu_time_seconds_total');
  const user = cpu.series({ cpu_mode: 'user' });
  const system = cpu.series({ cpu_mode: 'system' });
  metrics
    .gauge('process_memory_usage_bytes')
    .series({})
    .observeWith(() => process.memoryUsage.rss());
  metrics.gauge('process_memory_limit_bytes').series({}).observeWith(processMemoryLimitBytes);
  metrics
    .gauge('process_uptime_seconds')
    .series({})
    .observeWith(() => process.uptime());
  metrics
    .gauge('v8js_memory_heap_used_bytes')
    .series({})
    .observeWith(() => process.memoryUsage().heapUsed);
  metrics.beforeRead(() => {
    const usage = process.cpuUsage();
    user.value = usage.user / 1e6;
    system.value = usage.system / 1e6;
  });

  const windowMs = Math.max(DELAY_WINDOW_MIN_MS, DELAY_WINDOW_MS / timeScale);
  metrics
    .gauge('nodejs_eventloop_delay_max_seconds')
    .series({})
    .observeWith(() => {
      const nowMs = performance.now();
      return eventLoop.maxBetweenMs(nowMs - windowMs, nowMs) / 1000;
    });

  let last = performance.eventLoopUtilization();
  metrics
    .gauge('nodejs_eventloop_utilization_ratio')
    .series({})
    .observeWith(() => {
      const now = performance.eventLoopUtilization();
      const since = performance.eventLoopUtilization(now, last);
      last = now;
      return since.utilization;
    });

  const collections = metrics.histogram('v8js_gc_duration_seconds');
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const kind = GC_KINDS[(entry as { detail?: { kind?: number } }).detail?.kind ?? 0] ?? 'other';
      collections.series({ v8js_gc_type: kind }).observe(entry.duration / 1000);
    }
  });
  observer.observe({ entryTypes: ['gc'] });

  return {
    [Symbol.dispose]() {
      observer.disconnect();
    },
  };
}
