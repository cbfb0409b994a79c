import { describe, expect, test } from 'vitest';
import { VitrineError } from '../contract/errors.ts';
import { DEFAULT_OTLP_LIMITS, rejectionMessage, VALUE_DEPTH_LIMIT } from './otlp_batch.ts';
import { decodeTraces } from './otlp_decode.ts';
import { jsonToProtobuf } from './otlp_json.ts';
import { decodeResource, decodeScope, decodeSpan } from './otlp_message.ts';
import { readSeriesKey } from './series_key.ts';
import type { Span } from './span.ts';
import {
  type DescribedSpan,
  describeSpan,
  expectedSpan,
  NOON_NS,
  randomSpans,
  SdkSpans,
  seededRandom,
  type Value,
} from './spans_for_tests.ts';

function spansOf(body: Buffer): Span[] {
  const { bytes, spans } = decodeTraces(body);
  return spans.map(({ start, end }) => decodeSpan(bytes.subarray(start, end)));
}

function byId(spans: readonly Span[]): Map<string, Span> {
  return new Map(spans.map((span) => [span.spanId, span]));
}

describe('what the SDK serializes', () => {
  const described = randomSpans(seededRandom(1), 60);

  test('comes back from protobuf with every field', () => {
    const decoded = byId(spansOf(new SdkSpans().protobuf(described)));
    expect(decoded.size).toBe(described.length);
    for (const span of described) expect(decoded.get(span.spanId)).toEqual(expectedSpan(span));
  });

  test('comes back from JSON with every field', () => {
    const decoded = byId(spansOf(jsonToProtobuf(new SdkSpans().json(described))));
    expect(decoded.size).toBe(described.length);
    for (const span of described) expect(decoded.get(span.spanId)).toEqual(expectedSpan(span));
  });

  test('is indexed by what its fields say', () => {
    const { bytes, spans, origins } = decodeTraces(new SdkSpans().protobuf(described));
    const expected = new Map(described.map((span) => [span.spanId, span]));
    for (const span of spans) {
      const given = expected.get(decodeSpan(bytes.subarray(span.start, span.end)).spanId) as DescribedSpan;
      const key = readSeriesKey(span.seriesKey);
      const route = given.attributes['http.route'];
      if (Buffer.byteLength(given.name) > 256 || (typeof route === 'object' && !key.known)) {
        expect(key.known).toBe(false);
      } else if (key.known) {
        expect(key).toMatchObject({
          name: given.name,
          kind: given.kind,
          status: given.statusCode,
          hasParent: given.parentSpanId !== '',
        });
      }
      expect(Buffer.from(span.traceId, 'latin1').toString('hex')).toBe(given.traceId);
      expect(span.startUs).toBe(Number(given.startNs / 1000n));
      expect(span.durationUs).toBe(
        given.endNs > given.startNs ? Number((given.endNs - given.startNs) / 1000n) : 0,
      );
      const origin = origins[span.originIndex];
      expect(decodeResource(origin?.resource ?? Buffer.alloc(0)).attributes).toContainEqual({
        key: 'service.name',
        value: { stringValue: given.service },
      });
      expect(decodeScope(origin?.scope ?? Buffer.alloc(0))).toMatchObject({
        name: given.scope,
        version: '1.2',
      });
    }
  });
});

describe('OTLP JSON beside what the SDK writes', () => {
  const ids = { traceId: '5B8EFFF798038103D269B633813FC60C', spanId: 'eee19b7ec3c1b174' };
  const decodeOne = (span: Record<string, unknown>): Span | undefined =>
    spansOf(
      jsonToProtobuf(
        Buffer.from(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ ...ids, ...span }] }] }] })),
      ),
    )[0];

  test('takes 64-bit integers as strings and as numbers, exactly', () => {
    const span = decodeOne({
      startTimeUnixNano: '1770000000123456789',
      endTimeUnixNano: 1_770_000_000_123_456,
      attributes: [
        { key: 'least', value: { intValue: '-9223372036854775808' } },
        { key: 'most', value: { intValue: '9223372036854775807' } },
        { key: 'number', value: { intValue: -5 } },
      ],
    });
    expect(span?.startTimeUnixNano).toBe('1770000000123456789');
    expect(span?.endTimeUnixNano).toBe('1770000000123456');
    expect(span?.attributes.map(({ value }) => value.intValue)).toEqual([
      '-9223372036854775808',
      '9223372036854775807',
      '-5',
    ]);
  });

  test('takes enums as numbers and as names, doubles as text, and ids in either case', () => {
    const span = decodeOne({
      kind: 'SPAN_KIND_CLIENT',
      status: { code: 'STATUS_CODE_ERROR', message: 'no' },
      attributes: [
        { key: 'nan', value: { doubleValue: 'NaN' } },
        { key: 'inf', value: { doubleValue: '-Infinity' } },
        { key: 'text', value: { doubleValue: '1.5' } },
      ],
    });
    expect(span).toMatchObject({
      kind: 3,
      statusCode: 2,
      statusMessage: 'no',
      traceId: ids.traceId.toLowerCase(),
    });
    expect(span?.attributes.map(({ value }) => value.doubleValue)).toEqual(['NaN', '-Infinity', 1.5]);
    expect(decodeOne({ kind: 5 })?.kind).toBe(5);
  });

  test('ignores unknown members, nulls and snake case', () => {
    const span = decodeOne({
      name: null,
      start_time_unix_nano: '1',
      colour: { deep: [1] },
      attributes: null,
    });
    expect(span).toMatchObject({ name: '', startTimeUnixNano: '0', attributes: [] });
  });

  test.each([
    [{ traceId: 'xyz' }, 'resourceSpans[0].scopeSpans[0].spans[0].traceId', 'hex digits'],
    [{ startTimeUnixNano: -1 }, 'spans[0].startTimeUnixNano', 'integer from 0'],
    [{ endTimeUnixNano: '18446744073709551616' }, 'spans[0].endTimeUnixNano', 'integer'],
    [{ kind: 'SPAN_KIND_ODD' }, 'spans[0].kind', 'integer'],
    [{ name: 5 }, 'spans[0].name', 'a string'],
    [{ attributes: {} }, 'spans[0].attributes', 'a list'],
    [{ attributes: [5] }, 'spans[0].attributes[0]', 'an object'],
    [{ attributes: [{ key: 'a', value: { intValue: '1.5' } }] }, 'attributes[0].value.intValue', 'integer'],
    [{ attributes: [{ key: 'a', value: { bytesValue: '*' } }] }, 'attributes[0].value.bytesValue', 'base64'],
    [{ events: [{ timeUnixNano: 'x' }] }, 'events[0].timeUnixNano', 'integer'],
  ])('names the member at fault: %j', (span, field, expected) => {
    const refusal = () => decodeOne(span);
    expect(refusal).toThrowError(VitrineError);
    expect(refusal).toThrowError(expected);
    try {
      refusal();
    } catch (error) {
      expect((error as VitrineError).field).toContain(field);
    }
  });

  test('refuses what is no JSON and no object', () => {
    for (const text of ['', '{', 'null', '[]', '"x"', '{"resourceSpans":{}}', '['.repeat(100_000)]) {
      expect(() => jsonToProtobuf(Buffer.from(text)), text.slice(0, 20)).toThrowError(
        expect.objectContaining({ status: 400 }) as Error,
      );
    }
  });

  test('refuses values that nest too deep, however deep', () => {
    const nest = (depth: number): unknown => {
      let value: unknown = { stringValue: 'x' };
      for (let level = 0; level < depth; level += 1) value = { arrayValue: { values: [value] } };
      return value;
    };
    const attributes = (depth: number) => ({ attributes: [{ key: 'k', value: nest(depth) }] });
    expect(decodeOne(attributes(VALUE_DEPTH_LIMIT))).toBeDefined();
    expect(() => decodeOne(attributes(VALUE_DEPTH_LIMIT + 1))).toThrowError(VitrineError);
    const levels = 20_000;
    const value = `${'{"arrayValue":{"values":['.repeat(levels)}${']}}'.repeat(levels)}`;
    const bomb = `{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":${value}}]}}]}`;
    expect(() => jsonToProtobuf(Buffer.from(bomb))).toThrowError(VitrineError);
  });
});

describe('limits', () => {
  const sdk = new SdkSpans();
  const many = (count: number): Record<string, Value> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));
  const reject = (spans: readonly DescribedSpan[], limits: Partial<typeof DEFAULT_OTLP_LIMITS>) =>
    decodeTraces(sdk.protobuf(spans), { ...DEFAULT_OTLP_LIMITS, ...limits });
  const good = describeSpan({ spanId: '00f067aa0ba902b7' });

  test('reject the spans beyond the number of one request', () => {
    const batch = reject([good, good, good], { spansPerRequest: 2 });
    expect(batch.spans).toHaveLength(2);
    expect(batch.rejectedSpans).toBe(1);
    expect(rejectionMessage(batch.rejections)).toContain('beyond 2 spans');
  });

  test.each([
    ['attributes', describeSpan({ attributes: many(6) }), { attributesPerSpan: 5 }, 'more than 5 attributes'],
    [
      'attributes of an event',
      describeSpan({ events: [{ timeNs: NOON_NS, name: 'e', attributes: many(6) }] }),
      { attributesPerSpan: 5 },
      'more than 5 attributes',
    ],
    [
      'a value',
      describeSpan({ attributes: { k: 'x'.repeat(41) } }),
      { valueBytes: 40 },
      'longer than 40 bytes',
    ],
    ['a name', describeSpan({ name: 'x'.repeat(41) }), { valueBytes: 40 }, 'longer than 40 bytes'],
    [
      'a nested value',
      describeSpan({ attributes: { k: [{ deep: 'x'.repeat(41) }] } }),
      { valueBytes: 40 },
      'longer than 40 bytes',
    ],
    ['a span', describeSpan({ attributes: many(40) }), { spanBytes: 300 }, 'larger than 300 bytes'],
  ])('reject a span for %s and keep its neighbours', (_, bad, limits, message) => {
    const batch = reject([good, bad, good], limits);
    expect(batch.spans).toHaveLength(2);
    expect(batch.rejectedSpans).toBe(1);
    expect(rejectionMessage(batch.rejections)).toBe(`1 rejected: ${[...batch.rejections.keys()][0] ?? ''}`);
    expect(rejectionMessage(batch.rejections)).toContain(message);
  });

  test('hold exactly at the limit', () => {
    const span = describeSpan({ attributes: { ...many(4), k: 'x'.repeat(40) } });
    expect(reject([span], { attributesPerSpan: 5, valueBytes: 40 }).rejectedSpans).toBe(0);
  });

  test('reject spans without valid ids and with times beyond reach', () => {
    const spans = [
      { traceId: '00'.repeat(16), spanId: '01'.repeat(8) },
      { traceId: '01'.repeat(8), spanId: '01'.repeat(8) },
      { traceId: '01'.repeat(16), spanId: '00'.repeat(8) },
      { traceId: '01'.repeat(16) },
      { traceId: '01'.repeat(16), spanId: '01'.repeat(8), parentSpanId: '01' },
      { traceId: '01'.repeat(16), spanId: '01'.repeat(8), startTimeUnixNano: '18446744073709551615' },
      { traceId: '01'.repeat(16), spanId: '01'.repeat(8), parentSpanId: '00'.repeat(8) },
    ];
    const batch = decodeTraces(
      jsonToProtobuf(Buffer.from(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }))),
    );
    expect(batch.spans).toHaveLength(1);
    expect(batch.rejectedSpans).toBe(6);
    expect([...batch.rejections.values()].reduce((sum, count) => sum + count, 0)).toBe(6);
  });
});

describe('bytes that are no OTLP', () => {
  /** Decodes as the store's thread does; what is accepted must be readable in full. */
  function accept(body: Buffer): number {
    const { bytes, spans, origins } = decodeTraces(body);
    for (const { resource, scope } of origins) {
      decodeResource(resource);
      decodeScope(scope);
    }
    for (const span of spans) {
      decodeSpan(bytes.subarray(span.start, span.end));
      readSeriesKey(span.seriesKey);
    }
    return spans.length;
  }

  function attempt(body: Buffer): 'accepted' | 'refused' {
    try {
      accept(body);
      return 'accepted';
    } catch (error) {
      if (!(error instanceof VitrineError) || error.status !== 400) throw error;
      return 'refused';
    }
  }

  test('are refused with 400 or accepted in full, never anything else', () => {
    const random = seededRandom(7);
    const whole = new SdkSpans().protobuf(randomSpans(random, 3));
    const outcomes = { accepted: 0, refused: 0 };
    for (let round = 0; round < 8_000; round += 1) {
      const body = Buffer.from(whole);
      const at = Math.floor(random() * body.length);
      const kind = round % 4;
      if (kind === 0) body[at] = Math.floor(random() * 256);
      else if (kind === 1) body[at] = (body[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      else if (kind === 2) body.fill(Math.floor(random() * 256), at, Math.min(body.length, at + 12));
      outcomes[attempt(kind === 3 ? body.subarray(0, at) : body)] += 1;
    }
    // Both must happen, or the fuzzing says nothing.
    expect(outcomes.accepted).toBeGreaterThan(500);
    expect(outcomes.refused).toBeGreaterThan(500);
  });

  test('are refused with 400 when they are random', () => {
    const random = seededRandom(11);
    for (let round = 0; round < 5_000; round += 1) {
      attempt(
        Buffer.from(Array.from({ length: Math.floor(random() * 64) }, () => Math.floor(random() * 256))),
      );
    }
    expect(attempt(Buffer.alloc(0))).toBe('accepted');
  });

  test('are refused with 400 when they are mutated JSON', () => {
    const random = seededRandom(13);
    const whole = new SdkSpans().json(randomSpans(random, 2));
    const outcomes = { accepted: 0, refused: 0 };
    for (let round = 0; round < 2_000; round += 1) {
      const body = Buffer.from(whole);
      for (let count = 1 + Math.floor(random() * 3); count > 0; count -= 1) {
        body[Math.floor(random() * body.length)] = pickByte(random);
      }
      try {
        accept(jsonToProtobuf(body));
        outcomes.accepted += 1;
      } catch (error) {
        if (!(error instanceof VitrineError) || error.status !== 400) throw error;
        outcomes.refused += 1;
      }
    }
    expect(outcomes.accepted).toBeGreaterThan(5);
    expect(outcomes.refused).toBeGreaterThan(500);
  });

  function pickByte(random: () => number): number {
    const bytes = Buffer.from('0123456789"{}[],:x-.eEn\\\u0001');
    return bytes[Math.floor(random() * bytes.length)] ?? 0;
  }

  test('are refused when a field runs past the end of its message into the next', () => {
    const request = (nameLength: number): Buffer => {
      const span = Buffer.concat([Buffer.from([0x2a, nameLength]), Buffer.from('abc')]);
      return wrap(0x0a, wrap(0x12, Buffer.concat([wrap(0x12, span), wrap(0x12, span)])));
    };
    expect(decodeTraces(request(3)).rejectedSpans).toBe(2);
    // One byte too many, and exactly the span that follows.
    for (const length of [4, 3 + 7]) expect(() => decodeTraces(request(length))).toThrowError(VitrineError);
  });

  test('are refused when a list nests deeper than values may', () => {
    let value = Buffer.from([0x0a, 0x01, 0x78]);
    for (let level = 0; level < 5_000; level += 1) {
      const list = Buffer.concat([Buffer.from([0x0a]), varint(value.length), value]);
      value = Buffer.concat([Buffer.from([0x2a]), varint(list.length), list]);
    }
    const body = wrap(0x0a, wrap(0x0a, wrap(0x0a, wrap(0x12, value))));
    expect(attempt(body)).toBe('refused');
  });

  function wrap(tag: number, inner: Buffer): Buffer {
    return Buffer.concat([Buffer.from([tag]), varint(inner.length), inner]);
  }

  function varint(value: number): Buffer {
    const bytes: number[] = [];
    let left = value;
    while (left > 0x7f) {
      bytes.push((left & 0x7f) | 0x80);
      left >>>= 7;
    }
    return Buffer.from([...bytes, left]);
  }
});
