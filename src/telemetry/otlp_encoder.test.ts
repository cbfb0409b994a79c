import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { describe, expect, test } from 'vitest';
import { decodeRequest } from '../../test/otlp_request.ts';
import { newSpanId, newTraceId } from './ids.ts';
import { OtlpEncoder } from './otlp_encoder.ts';
import { createReadableSpans } from './sdk_exporters.ts';
import { applyLimits, type SpanAttributeValue, type SpanData } from './span_data.ts';

const IDENTITY = {
  resource: [
    ['service.name', 'vitrine-gateway'],
    ['service.instance.id', 'gateway-0'],
  ] as [string, string][],
  scopeName: 'vitrine',
  scopeVersion: '1.2.3',
};

/** xorshift32: the same spans on every run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function randomSpan(random: () => number): SpanData {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const values: (() => SpanAttributeValue)[] = [
    () => 'text',
    () => '',
    () => 'ünï→☃ 🙂'.repeat(Math.floor(random() * 40)),
    () => Math.floor((random() - 0.5) * 2 ** 40),
    () => -1,
    () => 0,
    () => random() * 1e6,
    () => -0.5,
    () => true,
    () => false,
    () => ['a', 'b', ''],
    () => [1, 2.5, -3],
    () => [true, false],
    () => [],
  ];
  const attributes = (count: number): [string, SpanAttributeValue][] =>
    Array.from({ length: count }, (_, index) => [`key.${index}`, pick(values)()]);
  const parentSpanId = random() < 0.5 ? '' : newSpanId();
  const start = 1_790_000_000_000_000_000n + BigInt(Math.floor(random() * 1e15));
  return {
    traceId: newTraceId(),
    spanId: newSpanId(),
    parentSpanId,
    parentIsRemote: parentSpanId !== '' && random() < 0.5,
    traceState: '',
    name: pick(['infer langid', 'attempt', 'é'.repeat(100), 'x'.repeat(20_000)]),
    kind: 1 + Math.floor(random() * 5),
    startUnixNano: start,
    endUnixNano: start + BigInt(Math.floor(random() * 1e12)),
    attributes: attributes(Math.floor(random() * 40)),
    events: Array.from({ length: Math.floor(random() * 3) }, (_, index) => ({
      name: `event ${index}`,
      timeUnixNano: start + BigInt(index),
      attributes: attributes(2),
      droppedAttributes: index,
    })),
    links: Array.from({ length: Math.floor(random() * 200) }, () => ({
      traceId: newTraceId(),
      spanId: newSpanId(),
      flags: random() < 0.5 ? 1 : 0,
      attributes: attributes(1),
    })),
    statusCode: Math.floor(random() * 3),
    statusMessage: pick(['', 'deadline_exceeded']),
    droppedAttributes: Math.floor(random() * 300),
    droppedEvents: 0,
    droppedLinks: Math.floor(random() * 2),
    ...(random() < 0.2 ? { scope: { name: 'redis', version: '0.1' } } : {}),
  };
}

describe('OTLP encoder', () => {
  test('says what the SDK serializer says of the same spans', () => {
    const random = createRandom(0x5eed);
    const readable = createReadableSpans(IDENTITY);
    for (let round = 0; round < 40; round += 1) {
      const spans = Array.from({ length: 1 + Math.floor(random() * 12) }, () => randomSpan(random));
      const ours = decodeRequest(new OtlpEncoder(IDENTITY).encode(spans));
      const theirs = decodeRequest(
        ProtobufTraceSerializer.serializeRequest(spans.map(readable)) as Uint8Array,
      );
      expect(normalize(ours)).toEqual(normalize(theirs));
    }
  });

  test('reuses its buffer without leaking one batch into the next', () => {
    const random = createRandom(7);
    const encoder = new OtlpEncoder(IDENTITY);
    const large = Array.from({ length: 600 }, () => randomSpan(random));
    const small = [randomSpan(random)];
    const first = encoder.encode(large);
    const second = encoder.encode(small);
    expect(decodeRequest(second)).toEqual(decodeRequest(new OtlpEncoder(IDENTITY).encode(small)));
    expect(decodeRequest(first)).toEqual(decodeRequest(new OtlpEncoder(IDENTITY).encode(large)));
  });

  test('limits cut attributes, values, links and events, and count what they cut', () => {
    const span = applyLimits(
      {
        ...randomSpan(createRandom(3)),
        attributes: [
          ['a', 'x'.repeat(50)],
          ['b', 1],
          ['c', true],
        ],
        links: [{ traceId: newTraceId(), spanId: newSpanId(), flags: 1, attributes: [] }],
        events: [],
        droppedAttributes: 1,
        droppedLinks: 0,
      },
      { attributes: 2, attributeValueChars: 10, events: 1, links: 0 },
    );
    expect(span.attributes).toEqual([
      ['a', 'x'.repeat(10)],
      ['b', 1],
    ]);
    expect(span.droppedAttributes).toBe(2);
    expect(span.links).toEqual([]);
    expect(span.droppedLinks).toBe(1);
  });
});

/** The order of scopes is free, and the SDK writes a status that is unset. */
function normalize(request: unknown): unknown {
  const copy = structuredClone(request) as {
    resource_spans: {
      scope_spans: { scope: { name: string }; spans: { status?: unknown; links: { flags?: number }[] }[] }[];
    }[];
  };
  for (const resource of copy.resource_spans) {
    resource.scope_spans.sort((a, b) => a.scope.name.localeCompare(b.scope.name));
    for (const scope of resource.scope_spans) {
      for (const span of scope.spans) span.status ??= { message: '', code: 0 };
    }
  }
  return copy;
}
