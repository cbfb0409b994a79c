/**
 * OTLP ExportTraceServiceRequest as protobuf, written straight from spans
 * (https://github.com/open-telemetry/opentelemetry-proto, trace/v1/trace.proto). About a third of the cost of
 * going through ReadableSpan and the SDK's serializer; a test holds both to the same decoded message.
 */
import { ProtoWriter } from './proto_writer.ts';
import type { SpanAttributeValue, SpanData, SpanEvent, SpanLink } from './span_data.ts';

const FLAG_SAMPLED = 1;
const FLAG_HAS_REMOTE = 0x100;
const FLAG_IS_REMOTE = 0x200;

function writeLink(writer: ProtoWriter, link: SpanLink): void {
  const at = writer.begin(13);
  writer.hex(1, link.traceId);
  writer.hex(2, link.spanId);
  for (const [key, value] of link.attributes) writer.keyValue(4, key, value);
  writer.fixed32(6, link.flags | FLAG_HAS_REMOTE);
  writer.end(at);
}

function writeEvent(writer: ProtoWriter, event: SpanEvent): void {
  const at = writer.begin(11);
  writer.fixed64(1, event.timeUnixNano);
  writer.text(2, event.name);
  for (const [key, value] of event.attributes) writer.keyValue(3, key, value);
  writer.uint(4, event.droppedAttributes);
  writer.end(at);
}

function writeSpan(writer: ProtoWriter, span: SpanData): void {
  const at = writer.begin(2);
  writer.hex(1, span.traceId);
  writer.hex(2, span.spanId);
  writer.text(3, span.traceState);
  writer.hex(4, span.parentSpanId);
  writer.text(5, span.name);
  writer.uint(6, span.kind);
  writer.fixed64(7, span.startUnixNano);
  writer.fixed64(8, span.endUnixNano);
  for (const [key, value] of span.attributes) writer.keyValue(9, key, value);
  writer.uint(10, span.droppedAttributes);
  for (const event of span.events) writeEvent(writer, event);
  writer.uint(12, span.droppedEvents);
  for (const link of span.links) writeLink(writer, link);
  writer.uint(14, span.droppedLinks);
  if (span.statusCode !== 0 || span.statusMessage !== '') {
    const status = writer.begin(15);
    writer.text(2, span.statusMessage);
    writer.uint(3, span.statusCode);
    writer.end(status);
  }
  writer.fixed32(16, FLAG_SAMPLED | FLAG_HAS_REMOTE | (span.parentIsRemote ? FLAG_IS_REMOTE : 0));
  writer.end(at);
}

/** In place of a position. */
const NOT_OPEN = -1;

export interface OtlpIdentity {
  readonly resource: readonly (readonly [string, SpanAttributeValue])[];
  readonly scopeName: string;
  readonly scopeVersion: string;
}

/**
 * Encodes batches of spans of one resource; reuses its buffer between batches. A batch is begun, given its spans one
 * by one, and finished, so that no span has to outlive its encoding: a batch of them costs the collector more than
 * the encoding.
 */
export class OtlpEncoder {
  readonly #writer = new ProtoWriter();
  readonly #identity: OtlpIdentity;
  /** Spans of other scopes than our own, which come last; few. */
  #foreign: SpanData[] = [];
  #resourceSpansAt = 0;
  #ownScopeAt = NOT_OPEN;

  constructor(identity: OtlpIdentity) {
    this.#identity = identity;
  }

  /** Begins a batch; what was added to one that was not finished is lost. */
  begin(): void {
    const writer = this.#writer;
    writer.reset();
    this.#foreign = [];
    this.#ownScopeAt = NOT_OPEN;
    this.#resourceSpansAt = writer.begin(1);
    const resource = writer.begin(1);
    for (const [key, value] of this.#identity.resource) writer.keyValue(1, key, value);
    writer.end(resource);
  }

  add(span: SpanData): void {
    if (span.scope !== undefined) {
      this.#foreign.push(span);
      return;
    }
    this.#openOwnScope();
    writeSpan(this.#writer, span);
  }

  /** Adds spans of our own scope that are encoded already, as elements of `ScopeSpans.spans`. */
  addEncoded(spans: Buffer, lengthBytes: number): void {
    this.#openOwnScope();
    this.#writer.append(spans, lengthBytes);
  }

  #openOwnScope(): void {
    if (this.#ownScopeAt !== NOT_OPEN) return;
    this.#ownScopeAt = this.#beginScope(this.#identity.scopeName, this.#identity.scopeVersion);
  }

  /** The batch, in the encoder's own memory: valid until the next begin(). */
  finish(): Buffer {
    const writer = this.#writer;
    if (this.#ownScopeAt !== NOT_OPEN) writer.end(this.#ownScopeAt);
    const groups = Map.groupBy(this.#foreign, (span) => `${span.scope?.name}\u0000${span.scope?.version}`);
    for (const group of groups.values()) {
      const scope = group[0]?.scope;
      const at = this.#beginScope(scope?.name ?? '', scope?.version ?? '');
      for (const span of group) writeSpan(writer, span);
      writer.end(at);
    }
    this.#foreign = [];
    writer.end(this.#resourceSpansAt);
    return writer.bytes();
  }

  /** A whole batch, in memory of its own. */
  encode(spans: readonly SpanData[]): Buffer {
    this.begin();
    for (const span of spans) this.add(span);
    return Buffer.from(this.finish());
  }

  #beginScope(name: string, version: string): number {
    const writer = this.#writer;
    const scopeSpans = writer.begin(2);
    const scope = writer.begin(1);
    writer.text(1, name);
    writer.text(2, version);
    writer.end(scope);
    return scopeSpans;
  }
}
