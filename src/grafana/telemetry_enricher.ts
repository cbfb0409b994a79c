/** The enricher behind Alertmanager; collapsed, because it runs only there. */
import { BAD, GOOD, LOST, MUTED, NEUTRAL, QUANTILE_COLORS, WARN } from './palette.ts';
import { type SizedPanel, series } from './panel.ts';
import { each, level, perSecond, quantile } from './promql.ts';

export const ENRICHER: readonly SizedPanel[] = [
  series({
    title: 'Messages of Alertmanager',
    shows:
      'Messages a second, by what came of them. duplicate: delivered before. unavailable and overloaded: Alertmanager tries again.',
    bad: 'refused or unreadable: a receiver does not want what it is sent. unavailable for long: nobody is told.',
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_enricher_messages_total', { by: ['outcome'] }), legend: '{{outcome}}' },
    ],
    colors: {
      forwarded: GOOD,
      duplicate: MUTED,
      unavailable: WARN,
      overloaded: WARN,
      refused: BAD,
      unreadable: BAD,
    },
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Evidence of alerts',
    shows:
      'Alerts a second, by whether evidence was found. cannot_say: nothing to claim. not_asked: resolved, or no query can explain it. late: a message did not wait.',
    bad: 'failed, skipped or late: alerts go on without evidence.',
    unit: 'ops',
    queries: [
      { expr: perSecond('vitrine_enricher_alerts_total', { by: ['evidence'] }), legend: '{{evidence}}' },
    ],
    colors: {
      explained: GOOD,
      cannot_say: NEUTRAL,
      not_asked: MUTED,
      late: WARN,
      skipped: WARN,
      failed: BAD,
    },
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Questions of the enricher',
    shows: 'Questions a second to Prometheus and to the trace store.',
    bad: 'failed: no answer in time, or none that can be read.',
    unit: 'ops',
    queries: [
      {
        expr: perSecond('vitrine_enricher_source_requests_total', { by: ['source', 'outcome'] }),
        legend: '{{source}} {{outcome}}',
      },
    ],
    colorsByPattern: { ' ok$': GOOD, ' failed$': BAD },
    stacked: true,
    width: 8,
  }),
  series({
    title: 'Time to evidence',
    shows: 'From an alert to its evidence, of those that were looked at.',
    bad: 'near 3 s: then the message goes on without it.',
    unit: 's',
    queries: (
      [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const
    ).map(([legend, share]) => ({
      expr: quantile(share, 'vitrine_enricher_evidence_duration_seconds'),
      legend,
    })),
    colors: QUANTILE_COLORS,
    width: 8,
  }),
  series({
    title: 'Time to the receiver, p99',
    shows: "From the end of the wait for evidence to the receiver's answer.",
    bad: 'seconds: the receiver is slow, and messages wait for it.',
    unit: 's',
    queries: [
      {
        expr: quantile(0.99, 'vitrine_enricher_forward_duration_seconds', { by: ['receiver'] }),
        legend: '{{receiver}}',
      },
    ],
    width: 8,
  }),
  series({
    title: 'Messages in work, and remembered',
    shows:
      'Messages in work, dashed the most that may be; messages that are remembered so that none is sent twice, and those forgotten early, a second.',
    bad: 'at the dashed line new messages are sent back. Forgotten early: one could be sent twice.',
    unit: 'short',
    queries: [
      { expr: each('vitrine_enricher_in_flight_messages'), legend: 'in work at {{instance}}' },
      { expr: each('vitrine_enricher_in_flight_limit_messages'), legend: 'limit of {{instance}}' },
      { expr: level('sum', 'vitrine_enricher_known_messages'), legend: 'remembered' },
      {
        expr: perSecond('vitrine_enricher_known_messages_forgotten_total'),
        legend: 'forgotten early, a second',
      },
    ],
    colors: { remembered: MUTED, 'forgotten early, a second': LOST },
    colorsByPattern: { '^limit of ': BAD },
    dashedPattern: '^limit of ',
    width: 8,
  }),
];
