/** Metrics of the console's evaluator: whether alerts can be believed. Part of the catalogue. */
import type { CatalogEntry } from './catalog_entry.ts';

export const EVALUATOR_METRICS = {
  vitrine_evaluator_evaluations_total: {
    type: 'counter',
    unit: '{evaluation}',
    description: 'Evaluations of all alert rules at one time.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.evaluator.evaluations',
  },
  vitrine_evaluator_rule_failures_total: {
    type: 'counter',
    unit: '{failure}',
    description: 'Evaluations of single rules that failed; such a rule kept its alerts as they were.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.evaluator.rule.failures',
  },
  vitrine_evaluator_duration_seconds: {
    type: 'gauge',
    unit: 's',
    description: 'How long the last evaluation of all rules took.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.evaluator.duration',
  },
  vitrine_evaluator_scrapes_total: {
    type: 'counter',
    unit: '{scrape}',
    description: 'Scrapes of single processes: ok, failed, or skipped because the one before had not ended.',
    attributes: ['outcome'],
    place: 'console',
    otelName: 'vitrine.evaluator.scrapes',
  },
  vitrine_evaluator_series: {
    type: 'gauge',
    unit: '{series}',
    description: 'Series that the evaluator holds samples of.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.evaluator.series',
  },
  vitrine_evaluator_dropped_total: {
    type: 'counter',
    unit: '{drop}',
    description:
      'Left out at a limit: samples of further series, or alerts of further label sets of one rule.',
    attributes: ['what'],
    place: 'console',
    otelName: 'vitrine.evaluator.dropped',
  },
  vitrine_evaluator_write_failures_total: {
    type: 'counter',
    unit: '{failure}',
    description: 'Writes that the database of the evaluator refused; samples and alerts went on in memory.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.evaluator.write.failures',
  },
  vitrine_evaluator_clock_jumps_total: {
    type: 'counter',
    unit: '{jump}',
    description: 'Times that the clock was set by more than a second.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.evaluator.clock.jumps',
  },
  vitrine_evaluator_alerts: {
    type: 'gauge',
    unit: '{alert}',
    description: 'Alerts that are pending or firing.',
    attributes: ['state'],
    place: 'console',
    otelName: 'vitrine.evaluator.alerts',
  },
} as const satisfies Record<string, CatalogEntry>;
