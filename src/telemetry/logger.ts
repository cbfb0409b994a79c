/**
 * Logs: JSON lines on stdout with the trace and span id of the context they are written in, or readable lines
 * on a terminal. Lines about queries are limited per second, so that a burst of failures cannot slow the
 * queries that it is about; what was left out is counted.
 */
import { context as contextApi, isSpanContextValid, trace } from '@opentelemetry/api';
import { pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** An `error` field that holds an Error is written with type, message and stack. */
  error(message: string, fields?: LogFields): void;
  /** A line about one query: at most QUERY_LINES_PER_SECOND of them. */
  query(level: LogLevel, message: string, fields: LogFields): void;
}

export interface LoggerOptions {
  readonly level: LogLevel | 'silent';
  readonly format: 'auto' | 'json' | 'pretty';
  readonly serviceName: string;
  readonly instanceId: string;
  /** Is told of each line about a query that was left out. */
  readonly onSuppressed?: () => void;
  /** Where lines go; stdout by default. */
  readonly destination?: { write(line: string): void };
}

const QUERY_LINES_PER_SECOND = 50;

function activeIds(): Record<string, string> {
  const span = trace.getSpanContext(contextApi.active());
  if (span === undefined || !isSpanContextValid(span)) return {};
  return { trace_id: span.traceId, span_id: span.spanId };
}

export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const pretty =
    options.format === 'pretty' ||
    (options.format === 'auto' && options.destination === undefined && process.stdout.isTTY);
  const stream = pretty
    ? (await import('pino-pretty')).default({
        colorize: process.stdout.isTTY,
        ignore: 'pid,hostname,service\\.name,service\\.instance\\.id',
        messageFormat: (line, key) => `${String(line['service.instance.id'])}: ${String(line[key])}`,
        singleLine: true,
        translateTime: 'HH:MM:ss.l',
        sync: true,
        destination:
          options.destination === undefined ? 1 : (options.destination as unknown as NodeJS.WritableStream),
      })
    : (options.destination ?? pino.destination({ fd: 1, sync: true }));
  const target = pino(
    {
      level: options.level,
      base: { 'service.name': options.serviceName, 'service.instance.id': options.instanceId },
      messageKey: 'msg',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      mixin: activeIds,
      // What a line says of its own query wins over the context's ids.
      mixinMergeStrategy: (own, mixed) => ({ ...mixed, ...own }),
    },
    stream,
  );

  let second = -1;
  let written = 0;
  const write = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    try {
      target[level](fields, message);
    } catch {
      // A closed stdout must not take a query down; there is nowhere left to say it.
    }
  };
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    query(level, message, fields) {
      const now = Math.floor(performance.now() / 1000);
      if (now !== second) {
        second = now;
        written = 0;
      }
      written += 1;
      if (written > QUERY_LINES_PER_SECOND) {
        options.onSuppressed?.();
        return;
      }
      write(level, message, fields);
    },
  };
}
