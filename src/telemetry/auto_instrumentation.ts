/**
 * Auto mode: OpenTelemetry's auto-instrumentations for those who want their spans. A preload, because ESM can
 * only be instrumented before it is loaded: `node --import <this file> src/bin/gateway.ts`, which the
 * supervisor does for VITRINE_TELEMETRY_INSTRUMENTATION=auto. Costs several times the CPU of a query.
 *
 * Ours is left out: incoming queries have their record, Express would tell them twice (its router and its
 * layers), and a call that carries a traceparent of ours must not get a second one.
 */
import { register } from 'import-in-the-middle/register-hooks.mjs';

register();
const { getNodeAutoInstrumentations } = await import('@opentelemetry/auto-instrumentations-node');
const { registerInstrumentations } = await import('@opentelemetry/instrumentation');

registerInstrumentations({
  instrumentations: [
    getNodeAutoInstrumentations({
      '@opentelemetry/instrumentation-http': { ignoreIncomingRequestHook: () => true },
      '@opentelemetry/instrumentation-undici': {
        ignoreRequestHook: (request) => String(request.headers).toLowerCase().includes('traceparent'),
      },
      '@opentelemetry/instrumentation-express': { enabled: false },
      '@opentelemetry/instrumentation-router': { enabled: false },
      // Correlation is the logger's own; sending logs from here would parse each line on the serving thread.
      '@opentelemetry/instrumentation-pino': { enabled: false },
      '@opentelemetry/instrumentation-fs': { enabled: false },
    }),
  ],
});
