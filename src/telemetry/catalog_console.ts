/** Metrics of the console: its trace store, its receiver and its notifier. Part of the catalogue. */
import type { CatalogEntry } from './catalog_entry.ts';

export const CONSOLE_METRICS = {
  vitrine_console_spans_total: {
    type: 'counter',
    unit: '{span}',
    description:
      'Spans that reached the trace store: stored, rejected (over a limit), failed (the database refused; senders retry).',
    attributes: ['outcome'],
    place: 'console',
    otelName: 'vitrine.console.spans',
  },
  vitrine_console_otlp_requests_total: {
    type: 'counter',
    unit: '{request}',
    description: 'OTLP requests, by the status that answered them.',
    attributes: ['status'],
    place: 'console',
    otelName: 'vitrine.console.otlp.requests',
  },
  vitrine_console_store_usage_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Bytes of the trace store that hold data.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.console.store.usage',
  },
  vitrine_console_store_limit_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Size beyond which the oldest traces are evicted.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.console.store.limit',
  },
  vitrine_console_store_full_total: {
    type: 'counter',
    unit: '{refusal}',
    description:
      'Times that the database had no room, on its disk or by its page limit; the oldest traces then made some.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.console.store.full',
  },
  vitrine_console_store_evicted_traces_total: {
    type: 'counter',
    unit: '{trace}',
    description: 'Traces evicted, by why: age or size.',
    attributes: ['reason'],
    place: 'console',
    otelName: 'vitrine.console.store.evicted.traces',
  },
  vitrine_console_store_restarts_total: {
    type: 'counter',
    unit: '{restart}',
    description: "Crashes of the store's thread.",
    attributes: [],
    place: 'console',
    otelName: 'vitrine.console.store.restarts',
  },
  vitrine_console_store_queue_bytes: {
    type: 'gauge',
    unit: 'By',
    description: 'Bytes of OTLP bodies that wait for the store.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.console.store.queue.usage',
  },
  vitrine_console_alert_messages_total: {
    type: 'counter',
    unit: '{message}',
    description: 'Messages of alerts: delivered, or failed (they are tried again).',
    attributes: ['outcome'],
    place: 'console',
    otelName: 'vitrine.console.alert.messages',
  },
  vitrine_console_alert_notices_waiting: {
    type: 'gauge',
    unit: '{notice}',
    description: 'Beginnings and ends of alerts that no receiver has taken yet.',
    attributes: [],
    place: 'console',
    otelName: 'vitrine.console.alert.notices.waiting',
  },
  vitrine_console_alert_notices_lost_total: {
    type: 'counter',
    unit: '{notice}',
    description:
      'Beginnings and ends of alerts that nobody was told, by why they were given up: age or size.',
    attributes: ['reason'],
    place: 'console',
    otelName: 'vitrine.console.alert.notices.lost',
  },
  vitrine_console_dead_man_pings_total: {
    type: 'counter',
    unit: '{ping}',
    description: "Pings of the dead man's switch: delivered or failed.",
    attributes: ['outcome'],
    place: 'console',
    otelName: 'vitrine.console.dead_man.pings',
  },
} as const satisfies Record<string, CatalogEntry>;
