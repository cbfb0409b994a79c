/** The console as a process of its own, and spans sent to it as any exporter sends them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const ENTRY = new URL('../../src/bin/console.ts', import.meta.url).pathname;

export interface ConsoleProcess extends AsyncDisposable {
  readonly url: string;
  /** Resolves when the spans are stored. */
  send(...spans: readonly SentSpan[]): Promise<void>;
  kill(): Promise<void>;
}

type AttributeValue = string | number | boolean;

export interface SentSpan {
  readonly service: string;
  readonly instance?: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** OTLP's number: 2 = server, 3 = client. */
  readonly kind?: number;
  /** Unix time. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly events?: readonly {
    readonly name: string;
    readonly attributes: Readonly<Record<string, AttributeValue>>;
  }[];
  readonly error?: string;
}

function attributes(values: Readonly<Record<string, AttributeValue>>): object[] {
  return Object.entries(values).map(([key, value]) => ({
    key,
    value:
      typeof value === 'string'
        ? { stringValue: value }
        : typeof value === 'boolean'
          ? { boolValue: value }
          : Number.isInteger(value)
            ? { intValue: String(value) }
            : { doubleValue: value },
  }));
}

function nanos(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n);
}

function resourceSpans(span: SentSpan): object {
  const { traceId, spanId, parentSpanId = '', name, kind = 1, startMs, durationMs } = span;
  return {
    resource: {
      attributes: attributes({ 'service.name': span.service, 'service.instance.id': span.instance ?? '' }),
    },
    scopeSpans: [
      {
        scope: { name: 'test' },
        spans: [
          {
            traceId,
            spanId,
            parentSpanId,
            name,
            kind,
            startTimeUnixNano: nanos(startMs),
            endTimeUnixNano: nanos(startMs + durationMs),
            attributes: attributes(span.attributes ?? {}),
            links: span.links ?? [],
            events: (span.events ?? []).map((event) => ({
              name: event.name,
              timeUnixNano: nanos(startMs),
              attributes: attributes(event.attributes),
            })),
            ...(span.error === undefined ? {} : { status: { code: 2, message: span.error } }),
          },
        ],
      },
    ],
  };
}

/** Resolves with the ports of its log's line when it is ready. */
async function portsOf(child: ChildProcess): Promise<{ http: number; otlp: number }> {
  const output: string[] = [];
  if (child.stdout === null) throw new Error('the console has no output');
  for await (const line of createInterface({ input: child.stdout })) {
    output.push(line);
    const { ports } = JSON.parse(line) as { ports?: { http: number; otlp: number } };
    if (ports !== undefined) {
      child.stdout.resume();
      return ports;
    }
  }
  throw new Error(`the console ended before it was ready:\n${output.join('\n')}`);
}

export async function startConsole(env: Readonly<Record<string, string>> = {}): Promise<ConsoleProcess> {
  const child = spawn(process.execPath, [ENTRY], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      VITRINE_TELEMETRY_LOG_FORMAT: 'json',
      VITRINE_CONSOLE_HTTP_PORT: '0',
      VITRINE_CONSOLE_OTLP_PORT: '0',
      VITRINE_CONSOLE_DATABASE_PATH: ':memory:',
      ...env,
    },
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  try {
    const ports = await portsOf(child);
    return {
      url: `http://localhost:${ports.http}`,
      async send(...spans) {
        const response = await fetch(`http://localhost:${ports.otlp}/v1/traces`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ resourceSpans: spans.map(resourceSpans) }),
        });
        const body = await response.text();
        if (!response.ok || body.includes('rejectedSpans')) throw new Error(`spans were refused: ${body}`);
      },
      kill: () => end('SIGKILL'),
      [Symbol.asyncDispose]: () => end('SIGTERM'),
    };
  } catch (error) {
    await end('SIGKILL');
    throw error;
  }
}

/** `1` → `0000000000000001` */
export function spanId(number: number): string {
  return number.toString(16).padStart(16, '0');
}

export function traceId(number: number): string {
  return number.toString(16).padStart(32, '0');
}

/** A gateway's span for one query. */
export function querySpan(
  number: number,
  more: Partial<SentSpan> & { readonly model?: string; readonly outcome?: string } = {},
): SentSpan {
  const { model = 'langid', outcome = 'ok', ...span } = more;
  return {
    service: 'vitrine-gateway',
    instance: 'gateway-0',
    traceId: traceId(number),
    spanId: spanId(number),
    name: `infer ${model}`,
    kind: 2,
    startMs: Date.now() - 60_000 + number,
    durationMs: 10,
    ...span,
    attributes: { 'inference.model.name': model, 'inference.outcome': outcome, ...span.attributes },
  };
}
