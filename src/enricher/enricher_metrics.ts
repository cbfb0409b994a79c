/** The enricher's instruments, bound once; every series is there from the start. */
import type { Metrics } from '../telemetry/metrics.ts';
import type { JsonSource } from './json_source.ts';

const MESSAGE_OUTCOMES = [
  'forwarded',
  'duplicate',
  'unavailable',
  'refused',
  'overloaded',
  'unreadable',
] as const;
export type MessageOutcome = (typeof MESSAGE_OUTCOMES)[number];

const EVIDENCE_RESULTS = ['explained', 'cannot_say', 'late', 'failed', 'skipped', 'not_asked'] as const;
export type EvidenceResult = (typeof EVIDENCE_RESULTS)[number];

export interface EnricherMeters {
  message(receiver: string, outcome: MessageOutcome): void;
  alert(evidence: EvidenceResult): void;
  /** @param seconds until there was evidence, or none to be had */
  evidence(seconds: number): void;
  forwarded(receiver: string, seconds: number): void;
}

/** @param receivers every name that messages can be for */
export function createEnricherMeters(metrics: Metrics, receivers: readonly string[]): EnricherMeters {
  const messages = metrics.counter('vitrine_enricher_messages_total');
  const alerts = metrics.counter('vitrine_enricher_alerts_total');
  const evidenceS = metrics.histogram('vitrine_enricher_evidence_duration_seconds').series({});
  const forwardS = metrics.histogram('vitrine_enricher_forward_duration_seconds');
  for (const receiver of receivers) {
    for (const outcome of MESSAGE_OUTCOMES) messages.series({ receiver, outcome });
    forwardS.series({ receiver });
  }
  for (const evidence of EVIDENCE_RESULTS) alerts.series({ evidence });
  return {
    message: (receiver, outcome) => messages.series({ receiver, outcome }).add(1),
    alert: (evidence) => alerts.series({ evidence }).add(1),
    evidence: (seconds) => evidenceS.observe(seconds),
    forwarded: (receiver, seconds) => forwardS.series({ receiver }).observe(seconds),
  };
}

export interface ObservedEnricher {
  readonly inFlight: () => number;
  readonly inFlightLimit: number;
  /** Over all receivers. */
  readonly known: () => { readonly size: number; readonly forgotten: number };
  readonly sources: Readonly<Record<string, JsonSource | undefined>>;
}

/** What is bounded, how full it is, what had to go; and how its sources answer. */
export function observeEnricher(metrics: Metrics, of: ObservedEnricher): void {
  metrics.gauge('vitrine_enricher_in_flight_messages').series({}).observeWith(of.inFlight);
  metrics
    .gauge('vitrine_enricher_in_flight_limit_messages')
    .series({})
    .observeWith(() => of.inFlightLimit);
  metrics
    .gauge('vitrine_enricher_known_messages')
    .series({})
    .observeWith(() => of.known().size);
  const forgotten = metrics.counter('vitrine_enricher_known_messages_forgotten_total').series({});
  const asked = metrics.counter('vitrine_enricher_source_requests_total');
  const sources = Object.entries(of.sources).flatMap(([source, json]) =>
    json === undefined
      ? []
      : [
          {
            json,
            ok: asked.series({ source, outcome: 'ok' }),
            failed: asked.series({ source, outcome: 'failed' }),
          },
        ],
  );
  metrics.beforeRead(() => {
    forgotten.value = of.known().forgotten;
    for (const { json, ok, failed } of sources) {
      ok.value = json.asked.ok;
      failed.value = json.asked.failed;
    }
  });
}
