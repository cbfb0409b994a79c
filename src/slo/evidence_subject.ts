/** What an alert is about: which queries, or which processes, its evidence has to look at. */
import { SERVICE_GATEWAY, SERVICE_WORKER } from '../contract/attributes.ts';
import type { AlertRule } from './alert.ts';
import type { EvidenceInput } from './evidence_input.ts';
import type { Measure } from './expression.ts';

/** What processes are watched by, rather than queries. */
const OF_PROCESSES: ReadonlySet<string> = new Set([
  'up',
  'process_uptime_seconds',
  'vitrine_gateway_workers',
]);

export interface Subject {
  readonly subject: EvidenceInput['subject'];
  /** On serviceMs, where the rule has one. */
  readonly thresholdMs: number | undefined;
}

function baseMeasure(measure: Measure): Exclude<Measure, { kind: 'quotient' }> {
  return measure.kind === 'quotient' ? measure.numerator : measure;
}

/** What the rule is about; undefined when queries cannot explain it (telemetry itself, targets, the watchdog). */
export function subjectOf({ expression }: AlertRule): Subject | undefined {
  switch (expression.kind) {
    case 'burn_rate': {
      const { bad } = expression;
      return bad.kind === 'above'
        ? { subject: 'latency', thresholdMs: bad.edge * 1000 }
        : { subject: 'errors', thresholdMs: undefined };
    }
    case 'threshold':
    case 'against_past': {
      const measure = baseMeasure(expression.measure);
      const metric = measure.kind === 'increase' ? measure.of.metric : measure.metric;
      if (metric === 'inference_requests_total') return { subject: 'errors', thresholdMs: undefined };
      if (measure.kind === 'quantile') {
        const thresholdMs = expression.kind === 'threshold' ? expression.threshold * 1000 : undefined;
        return { subject: 'latency', thresholdMs };
      }
      if (OF_PROCESSES.has(metric)) return { subject: 'processes', thresholdMs: undefined };
      const aboutQueries = /^(?:inference_(?!repository)|nodejs_eventloop|hw_gpu_utilization)/;
      return aboutQueries.test(metric) ? { subject: 'other', thresholdMs: undefined } : undefined;
    }
    case 'absent':
    case 'vanished':
    case 'always':
      return undefined;
  }
}

/** Which processes a rule is about: those of the alert's job, or the workers where gateways tell of them. */
export function jobOf(rule: AlertRule, labels: Readonly<Record<string, string>>): string {
  const { job = SERVICE_WORKER } = labels;
  return rule.place === 'gateway' && job === SERVICE_GATEWAY ? SERVICE_WORKER : job;
}
