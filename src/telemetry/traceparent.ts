/** W3C Trace Context, level 2: https://www.w3.org/TR/trace-context-2/#traceparent-header */
import { isTraceId } from './ids.ts';

export interface ParentContext {
  readonly traceId: string;
  readonly spanId: string;
  /** The caller's flags; bit 0 = sampled. */
  readonly flags: number;
  readonly traceState: string;
}

const FORM = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;
/** Where the parts of a header of that form lie; what follows is of a later version. */
const TRACE_AT = 3;
const SPAN_AT = 36;
const FLAGS_AT = 53;
const END = 55;
/** What the specification asks to be kept at least; beyond it the state is dropped whole. */
const TRACESTATE_LIMIT_CHARS = 512;

/** The parent, or undefined for a header that is none: a malformed header starts a new trace and disturbs nothing. */
export function parseTraceparent(header: string | undefined, traceState?: string): ParentContext | undefined {
  if (header === undefined || header.length > 128) return undefined;
  if (!FORM.test(header) || header.startsWith('ff')) return undefined;
  if (header.length > END && header.startsWith('00')) return undefined;
  const state = traceState !== undefined && traceState.length <= TRACESTATE_LIMIT_CHARS ? traceState : '';
  return {
    traceId: header.slice(TRACE_AT, SPAN_AT - 1),
    spanId: header.slice(SPAN_AT, FLAGS_AT - 1),
    flags: Number.parseInt(header.slice(FLAGS_AT, END), 16),
    traceState: state,
  };
}

export function formatTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** `X-Trace-Id` as a trace id: 32 hex digits, or a UUID, which loses its dashes. Anything else is none. */
export function traceIdFromHeader(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 64) return undefined;
  const text = (UUID.test(header) ? header.replaceAll('-', '') : header).toLowerCase();
  return isTraceId(text) ? text : undefined;
}
