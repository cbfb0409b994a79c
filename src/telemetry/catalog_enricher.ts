/** Metrics of the enricher: whether alerts go on, and whether they take evidence along. Part of the catalogue. */
import type { CatalogEntry } from './catalog_entry.ts';

const BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 3.05, 5.5, 10.5] as const;

export const ENRICHER_METRICS = {
  vitrine_enricher_messages_total: {
    type: 'counter',
    unit: '{message}',
    description:
      'Messages of Alertmanager, by the receiver they were for and what came of them: forwarded; duplicate (delivered before, not sent again); unavailable (the receiver gave no good answer, Alertmanager tries again); refused (the receiver does not want it); overloaded (too many at once, Alertmanager tries again); unreadable (forwarded as it came).',
    attributes: ['receiver', 'outcome'],
    place: 'enricher',
    otelName: 'vitrine.enricher.messages',
  },
  vitrine_enricher_alerts_total: {
    type: 'counter',
    unit: '{alert}',
    description:
      'Looks for the evidence of an alert, by what came of them: explained; cannot_say (nothing to claim); failed (no source answered); skipped (too many at once); not_asked (resolved, or no rule that queries can explain). late counts each message that did not wait longer.',
    attributes: ['evidence'],
    place: 'enricher',
    otelName: 'vitrine.enricher.alerts',
  },
  vitrine_enricher_evidence_duration_seconds: {
    type: 'histogram',
    unit: 's',
    description: 'From an alert to its evidence, of those that were looked at.',
    attributes: [],
    buckets: BUCKETS_S,
    place: 'enricher',
    otelName: 'vitrine.enricher.evidence.duration',
  },
  vitrine_enricher_forward_duration_seconds: {
    type: 'histogram',
    unit: 's',
    description: "From the end of the wait for evidence to the receiver's answer.",
    attributes: ['receiver'],
    buckets: BUCKETS_S,
    place: 'enricher',
    otelName: 'vitrine.enricher.forward.duration',
  },
  vitrine_enricher_source_requests_total: {
    type: 'counter',
    unit: '{request}',
    description:
      'Questions to Prometheus and to the trace store: ok, or failed (no answer in time, or none that can be read).',
    attributes: ['source', 'outcome'],
    place: 'enricher',
    otelName: 'vitrine.enricher.source.requests',
  },
  vitrine_enricher_in_flight_messages: {
    type: 'gauge',
    unit: '{message}',
    description: 'Messages in work.',
    attributes: [],
    place: 'enricher',
    otelName: 'vitrine.enricher.in_flight',
  },
  vitrine_enricher_in_flight_limit_messages: {
    type: 'gauge',
    unit: '{message}',
    description: 'Most messages in work at once.',
    attributes: [],
    place: 'enricher',
    otelName: 'vitrine.enricher.in_flight.limit',
  },
  vitrine_enricher_known_messages: {
    type: 'gauge',
    unit: '{message}',
    description: 'Messages that are remembered, so that none is sent twice.',
    attributes: [],
    place: 'enricher',
    otelName: 'vitrine.enricher.known_messages',
  },
  vitrine_enricher_known_messages_forgotten_total: {
    type: 'counter',
    unit: '{message}',
    description:
      'Remembered messages that were forgotten early, to make room; such a one could be sent twice.',
    attributes: [],
    place: 'enricher',
    otelName: 'vitrine.enricher.known_messages.forgotten',
  },
} as const satisfies Record<string, CatalogEntry>;
