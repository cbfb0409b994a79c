/**
 * OTLP bodies of made-up traces, as gateway and worker would send them: eight spans a trace, six attributes a
 * span, in one body of each process. Encoded once; ids, times and durations are then written over in place, so
 * that making a body costs next to nothing beside storing it.
 */
import { ATTR, SERVICE_GATEWAY, SERVICE_WORKER, SPAN, stageAttribute } from '../src/contract/attributes.ts';
import { WORKER_STAGES } from '../src/contract/stages.ts';
import { seededUniform } from '../src/model/generated_models.ts';
import { OtlpEncoder } from '../src/telemetry/otlp_encoder.ts';
import { SPAN_KIND, type SpanAttributeValue, type SpanData, STATUS } from '../src/telemetry/span_data.ts';

const SPANS_PER_TRACE = 8;
/** Traces of one pair of bodies. */
const TRACES = 128;
export const SPANS_PER_PAIR = TRACES * SPANS_PER_TRACE;
export const MODELS = 8;
export const GATEWAY_OPERATION = `${SPAN.query} model-3`;
/** An attribute that the store does not index. */
export const PLAIN_TAG = 'bench.shard';
const MEDIAN_US = 5_000;
/** Of the durations' logarithm. */
const SIGMA = 0.8;
/** Between the starts of two pairs: a million spans are a little over an hour. */
const STEP_US = 4_000_000;

type Kind = 'trace' | 'span' | 'start' | 'end' | 'request';

/** A place in a body that is written over. */
interface Patch {
  readonly kind: Kind;
  readonly offset: number;
  readonly trace: number;
  readonly span: number;
}

interface Template {
  readonly bytes: Buffer;
  readonly patches: readonly Patch[];
}

export interface SpanBodies {
  /** One body of each process; valid until the next call. @param sequence another number, other traces */
  pair(sequence: number): readonly Buffer[];
  /** Hex id of a trace of a pair. */
  traceId(sequence: number, trace: number): string;
  requestId(sequence: number, trace: number): string;
}

/** 32 bits that look random and depend on nothing but the number. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** What stands in the template where something will be written over; found again by its bytes. */
function placeholderId(kind: number, trace: number, span: number, bytes: number): string {
  const id = Buffer.alloc(bytes, 0xc3);
  id.writeUInt32BE((kind << 28) | (trace << 8) | span, bytes - 4);
  return id.toString('hex');
}

function placeholderTime(kind: number, trace: number, span: number): bigint {
  return 0x1b2b_3b4b_0000_0000n | BigInt((kind << 28) | (trace << 8) | span);
}

function spansOfTrace(trace: number, durationUs: number): readonly (readonly SpanData[])[] {
  const model = `model-${trace % MODELS}`;
  const failed = trace % 40 === 39;
  const base = (index: number, parent: number | undefined, name: string, kind: number): SpanData => ({
    traceId: placeholderId(1, trace, 0, 16),
    spanId: placeholderId(2, trace, index, 8),
    parentSpanId: parent === undefined ? '' : placeholderId(2, trace, parent, 8),
    parentIsRemote: false,
    traceState: '',
    name,
    kind,
    startUnixNano: placeholderTime(3, trace, index),
    endUnixNano: placeholderTime(4, trace, index),
    attributes: [],
    events: [],
    links: [],
    statusCode: failed ? STATUS.error : STATUS.unset,
    statusMessage: '',
    droppedAttributes: 0,
    droppedEvents: 0,
    droppedLinks: 0,
  });
  const stage = (index: number, name: string): SpanData => ({
    ...base(index, 2, name, SPAN_KIND.internal),
    attributes: [
      ...common,
      [ATTR.rows, 1],
      [ATTR.batchSize, 1 + (trace % 16)],
      [stageAttribute(name), durationUs / 8e3],
    ],
  });
  const common: (readonly [string, SpanAttributeValue])[] = [
    [ATTR.model, model],
    [ATTR.version, '1'],
    [PLAIN_TAG, `shard-${trace % 64}`],
  ];
  const outcome = failed ? 'error' : 'ok';
  return [
    [
      {
        ...base(0, undefined, `${SPAN.query} ${model}`, SPAN_KIND.server),
        attributes: [
          ...common,
          [ATTR.outcome, outcome],
          [ATTR.httpResponseStatusCode, failed ? 500 : 200],
          [ATTR.requestId, placeholderId(5, trace, 0, 8)],
        ],
      },
      {
        ...base(1, 0, SPAN.attempt, SPAN_KIND.client),
        attributes: [
          ...common,
          [ATTR.worker, `worker-${1 + (trace % 2)}`],
          [ATTR.attemptOutcome, outcome],
          [ATTR.httpResponseStatusCode, failed ? 500 : 200],
        ],
      },
    ],
    [
      {
        ...base(2, 1, `${SPAN.work} ${model}`, SPAN_KIND.server),
        attributes: [
          ...common,
          [ATTR.outcome, outcome],
          [ATTR.worker, `worker-${1 + (trace % 2)}`],
          [ATTR.httpResponseStatusCode, failed ? 500 : 200],
        ],
      },
      ...WORKER_STAGES.slice(1, SPANS_PER_TRACE - 2).map((name, index) => stage(index + 3, name)),
    ],
  ];
}

function createTemplate(service: string, spans: readonly SpanData[]): Template {
  const encoder = new OtlpEncoder({
    resource: [
      [ATTR.serviceName, service],
      [ATTR.serviceInstanceId, `${service}-0`],
    ],
    scopeName: 'bench',
    scopeVersion: '1',
  });
  const bytes = encoder.encode(spans);
  const patches: Patch[] = [];
  const find = (kind: Kind, needle: Buffer, trace: number, span: number): void => {
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + needle.length)) {
      patches.push({ kind, offset: at, trace, span });
    }
  };
  const time = (value: bigint): Buffer => {
    const needle = Buffer.alloc(8);
    needle.writeBigUInt64LE(value);
    return needle;
  };
  for (let trace = 0; trace < TRACES; trace += 1) {
    find('trace', Buffer.from(placeholderId(1, trace, 0, 16), 'hex'), trace, 0);
    find('request', Buffer.from(placeholderId(5, trace, 0, 8)), trace, 0);
    for (let span = 0; span < SPANS_PER_TRACE; span += 1) {
      find('span', Buffer.from(placeholderId(2, trace, span, 8), 'hex'), trace, span);
      find('start', time(placeholderTime(3, trace, span)), trace, span);
      find('end', time(placeholderTime(4, trace, span)), trace, span);
    }
  }
  return { bytes, patches };
}

/** @param startUs microseconds since 1970 of the first pair */
export function createSpanBodies(startUs: number): SpanBodies {
  const uniform = seededUniform(11);
  const durations = Array.from({ length: TRACES }, () => {
    // Box and Muller's transform: a normal variate from two uniform ones.
    const normal = Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return MEDIAN_US * Math.exp(SIGMA * normal);
  });
  const traces = durations.map((durationUs, trace) => spansOfTrace(trace, durationUs));
  const templates = [SERVICE_GATEWAY, SERVICE_WORKER].map((service, part) =>
    createTemplate(
      service,
      traces.flatMap((parts) => parts[part] ?? []),
    ),
  );
  const numberOf = (sequence: number, trace: number): number => sequence * TRACES + trace;
  const writeTraceId = (bytes: Buffer, offset: number, number: number): void => {
    for (let word = 0; word < 4; word += 1)
      bytes.writeUInt32BE(mix(number * 4 + word + 1), offset + word * 4);
  };
  const requestId = (sequence: number, trace: number): string =>
    `r${mix(numberOf(sequence, trace)).toString(16).padStart(8, '0')}${String(numberOf(sequence, trace)).padStart(7, '0').slice(-7)}`;
  /** Durations differ from pair to pair by up to a factor of two either way. */
  const durationUs = (sequence: number, trace: number): number =>
    (durations[trace] ?? MEDIAN_US) * 2 ** (mix(numberOf(sequence, trace)) / 2 ** 31 - 1);

  return {
    pair(sequence) {
      const pairStartUs = startUs + sequence * STEP_US;
      for (const { bytes, patches } of templates) {
        for (const { kind, offset, trace, span } of patches) {
          switch (kind) {
            case 'trace':
              writeTraceId(bytes, offset, numberOf(sequence, trace));
              break;
            case 'span':
              bytes.writeUInt32BE(mix(numberOf(sequence, trace) * 16 + span), offset);
              bytes.writeUInt32BE(mix(numberOf(sequence, trace) * 16 + span + 0x4000_0000), offset + 4);
              break;
            case 'request':
              bytes.write(requestId(sequence, trace), offset, 'latin1');
              break;
            default: {
              // Spans lie one within the other; the query's own has the whole duration.
              const wholeUs = durationUs(sequence, trace);
              const insetUs = (wholeUs * span) / 40;
              const fromUs = pairStartUs + trace * (STEP_US / TRACES);
              const atUs = kind === 'start' ? fromUs + insetUs : fromUs + wholeUs - insetUs;
              bytes.writeBigUInt64LE(BigInt(Math.round(atUs)) * 1000n, offset);
            }
          }
        }
      }
      return templates.map(({ bytes }) => bytes);
    },
    traceId(sequence, trace) {
      const id = Buffer.alloc(16);
      writeTraceId(id, 0, numberOf(sequence, trace));
      return id.toString('hex');
    },
    requestId,
  };
}
