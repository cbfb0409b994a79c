/** Everything that is counted of the measured part of a run. */

import { readErrorBody } from '../contract/oip_error.ts';
import type { Lane, LaneResult } from './lane.ts';
import { GivenUp } from './lane.ts';
import { createLatencyHistogram, type LatencyHistogram } from './latency_histogram.ts';
import type { LatencyReport, LoadReport } from './report.ts';
import { createSeries } from './series.ts';
import { createStageLedger } from './stage_ledger.ts';
import { createTally } from './tally.ts';

/** The part of a report that comes from counting. */
type Recorded = Pick<
  LoadReport,
  | 'sent'
  | 'notSent'
  | 'ok'
  | 'failed'
  | 'receivedBytes'
  | 'outcomes'
  | 'latency'
  | 'latencyOfAll'
  | 'ledger'
  | 'outsideMeanMs'
  | 'series'
>;

/** Moments are of performance.now(). */
export interface Recorder {
  readonly sentCount: number;
  readonly notSentCount: number;
  readonly okCount: number;
  readonly failedCount: number;
  /** When the last ok answer came; the start before the first. */
  readonly lastOkMs: number;
  /** Response time of ok answers. @param percentile 0 to 100 */
  responseQuantileMs(percentile: number): number;
  wantsErrorText(status: number): boolean;
  sent(nowMs: number): void;
  notSent(nowMs: number): void;
  ended(lane: Lane, result: LaneResult, nowMs: number): void;
  report(): Recorded;
}

interface LatencyPair {
  readonly response: LatencyHistogram;
  readonly service: LatencyHistogram;
}

/** @param startMs when the measured part began */
export function createRecorder(startMs: number): Recorder {
  const tally = createTally();
  const series = createSeries();
  const ledger = createStageLedger();
  const okLatency: LatencyPair = { response: createLatencyHistogram(), service: createLatencyHistogram() };
  const allLatency: LatencyPair = { response: createLatencyHistogram(), service: createLatencyHistogram() };
  let sent = 0;
  let notSent = 0;
  let ok = 0;
  let failed = 0;
  let lastOkMs = startMs;
  let receivedBytes = 0;
  let serviceSumMs = 0;

  return {
    get sentCount() {
      return sent;
    },
    get notSentCount() {
      return notSent;
    },
    get okCount() {
      return ok;
    },
    get failedCount() {
      return failed;
    },
    get lastOkMs() {
      return lastOkMs;
    },
    responseQuantileMs: (percentile) => okLatency.response.quantileMs(percentile),
    wantsErrorText: (status) => tally.wantsMessage(status),
    sent(nowMs) {
      sent += 1;
      series.sent(nowMs - startMs);
    },
    notSent(nowMs) {
      notSent += 1;
      series.notSent(nowMs - startMs);
    },
    ended(lane, result, nowMs) {
      const responseMs = nowMs - lane.intendedMs;
      const serviceMs = nowMs - lane.sentMs;
      receivedBytes += result.receivedBytes;
      const { error } = result;
      const givenUp = error instanceof GivenUp ? error.kind : undefined;
      if (givenUp !== 'aborted') {
        allLatency.response.recordMs(responseMs);
        allLatency.service.recordMs(serviceMs);
      }
      if (error !== undefined) {
        failed += 1;
        series.failed(nowMs - startMs);
        tally.failed(givenUp ?? 'connection', givenUp === undefined ? codeOf(error) : '', error.message);
        return;
      }
      const outcome = tally.answered(
        result.status,
        result.errorText === undefined
          ? undefined
          : (readErrorBody(result.errorText) ?? result.errorText.toString('utf8')),
      );
      if (outcome !== 'ok') {
        failed += 1;
        series.failed(nowMs - startMs);
        return;
      }
      ok += 1;
      lastOkMs = nowMs;
      okLatency.response.recordMs(responseMs);
      okLatency.service.recordMs(serviceMs);
      series.ok(nowMs - startMs, responseMs);
      ledger.record(result.serverTiming);
      serviceSumMs += serviceMs;
    },
    report() {
      const ledgerReport = ledger.report();
      const { total } = ledgerReport;
      return {
        sent,
        notSent,
        ok,
        failed,
        receivedBytes,
        outcomes: tally.counts(),
        latency: latencyReport(okLatency),
        latencyOfAll: latencyReport(allLatency),
        ledger: ledgerReport,
        // Only where every answer had a total do the two means speak of the same answers.
        outsideMeanMs: total === null || total.count !== ok ? null : serviceSumMs / ok - total.meanMs,
        series: series.points(),
      };
    },
  };
}

function latencyReport(pair: LatencyPair): LatencyReport {
  return {
    response: pair.response.summary(),
    service: pair.service.summary(),
    distribution: pair.response.distribution(),
    serviceDistribution: pair.service.distribution(),
  };
}

/** The operating system's or undici's code of an error: `ECONNREFUSED`, `UND_ERR_SOCKET`. */
function codeOf(error: Error): string {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' && code !== '' ? code : error.name;
}
