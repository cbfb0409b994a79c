/**
 * The standard `OTEL_*` variables, read once; they mean what OpenTelemetry's specification says
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and .../protocol/exporter/).
 * As the specification asks, a value that cannot be read is told as a warning and the default is used.
 */
type Environment = Readonly<Record<string, string | undefined>>;

export interface OtlpConfig {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly gzip: boolean;
  readonly protocol: 'http/protobuf' | 'http/json' | 'grpc';
}

export interface OtelConfig {
  readonly disabled: boolean;
  /** OTEL_SERVICE_NAME; undefined leaves each process its own name. */
  readonly serviceName: string | undefined;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** `otlp`, `console`, `zipkin`; empty = none. */
  readonly tracesExporters: readonly string[];
  /** `otlp`, `prometheus`, `console`; empty = /metrics alone. */
  readonly metricsExporters: readonly string[];
  readonly otlp: OtlpConfig;
  /** Undefined: VITRINE_TELEMETRY_MODE decides. */
  readonly sampler: { readonly name: string; readonly ratio: number } | undefined;
  readonly propagators: readonly string[];
  readonly limits: {
    readonly attributes: number;
    readonly attributeValueChars: number;
    readonly events: number;
    readonly links: number;
  };
  readonly warnings: readonly string[];
}

const PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const;
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
];
const PROPAGATORS = ['tracecontext', 'baggage', 'b3', 'b3multi', 'none'];

/** `key=value` pairs, percent-encoded, separated by commas (as W3C Baggage). */
function pairs(text: string | undefined): Record<string, string> {
  const result: Record<string, string> = {};
  for (const part of (text ?? '').split(',')) {
    const at = part.indexOf('=');
    if (at <= 0) continue;
    try {
      result[decodeURIComponent(part.slice(0, at).trim())] = decodeURIComponent(part.slice(at + 1).trim());
    } catch {
      // Not percent-encoding: the pair is left out, as the specification asks for invalid ones.
    }
  }
  return result;
}

/** @param defaultEndpoint where OTLP goes when no variable names a place: the embedded console */
export function readOtelConfig(
  env: Environment = process.env,
  defaultEndpoint = 'http://localhost:4318',
): OtelConfig {
  const warnings: string[] = [];
  const text = (name: string): string | undefined => {
    const value = env[name]?.trim();
    return value === undefined || value === '' ? undefined : value;
  };
  const number = (names: readonly string[], fallback: number): number => {
    for (const name of names) {
      const value = text(name);
      if (value === undefined) continue;
      if (/^\d{1,12}$/.test(value)) return Number(value);
      warnings.push(
        `${name}: ${JSON.stringify(value.slice(0, 40))} is not a whole number; ${fallback} is used`,
      );
    }
    return fallback;
  };
  const among = (name: string, value: string | undefined, known: readonly string[]): string | undefined => {
    if (value === undefined || known.includes(value)) return value;
    warnings.push(
      `${name}: ${JSON.stringify(value.slice(0, 40))} is not one of ${known.join(', ')}; the default is used`,
    );
    return undefined;
  };
  const names = (name: string, fallback: readonly string[], known: readonly string[]): string[] => {
    const given = text(name);
    if (given === undefined) return [...fallback];
    const list = given
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '' && among(name, item, known) !== undefined);
    return list.includes('none') ? [] : [...new Set(list)];
  };

  const base = text('OTEL_EXPORTER_OTLP_ENDPOINT') ?? defaultEndpoint;
  const url = text('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? `${base.replace(/\/+$/, '')}/v1/traces`;
  const protocol = among(
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    text('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? text('OTEL_EXPORTER_OTLP_PROTOCOL'),
    PROTOCOLS,
  ) as OtlpConfig['protocol'] | undefined;
  const compression = text('OTEL_EXPORTER_OTLP_TRACES_COMPRESSION') ?? text('OTEL_EXPORTER_OTLP_COMPRESSION');
  const samplerName = among('OTEL_TRACES_SAMPLER', text('OTEL_TRACES_SAMPLER'), SAMPLERS);
  const ratioText = text('OTEL_TRACES_SAMPLER_ARG');
  const ratio = ratioText === undefined ? 1 : Number(ratioText);
  if (!(ratio >= 0 && ratio <= 1)) {
    warnings.push(
      `OTEL_TRACES_SAMPLER_ARG: ${JSON.stringify(ratioText?.slice(0, 40))} is not a ratio from 0 to 1; 1 is used`,
    );
  }
  return {
    disabled: text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true',
    serviceName: text('OTEL_SERVICE_NAME'),
    resourceAttributes: pairs(text('OTEL_RESOURCE_ATTRIBUTES')),
    tracesExporters: names('OTEL_TRACES_EXPORTER', ['otlp'], ['otlp', 'console', 'zipkin', 'none']),
    metricsExporters: names('OTEL_METRICS_EXPORTER', [], ['otlp', 'prometheus', 'console', 'none']),
    otlp: {
      url,
      headers: {
        ...pairs(text('OTEL_EXPORTER_OTLP_HEADERS')),
        ...pairs(text('OTEL_EXPORTER_OTLP_TRACES_HEADERS')),
      },
      timeoutMs: number(['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT'], 10_000),
      gzip: compression === 'gzip',
      protocol: protocol ?? 'http/protobuf',
    },
    sampler:
      samplerName === undefined
        ? undefined
        : { name: samplerName, ratio: ratio >= 0 && ratio <= 1 ? ratio : 1 },
    propagators: names('OTEL_PROPAGATORS', ['tracecontext', 'baggage', 'b3', 'b3multi'], PROPAGATORS),
    limits: {
      attributes: number(['OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT'], 128),
      attributeValueChars: number(
        ['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT'],
        Number.POSITIVE_INFINITY,
      ),
      events: number(['OTEL_SPAN_EVENT_COUNT_LIMIT'], 128),
      links: number(['OTEL_SPAN_LINK_COUNT_LIMIT'], 128),
    },
    warnings,
  };
}
