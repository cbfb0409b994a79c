/** What a load run does, its limits, and the check that turns wishes into a plan before anything is sent. */
import { VitrineError } from '../contract/errors.ts';
import { ARRIVAL_KINDS, type ArrivalKind } from './arrivals.ts';

/** One request, encoded once and sent many times. */
export interface LoadSample {
  readonly body: Uint8Array;
  /** `content-type`, and `inference-header-content-length` where tensors travel as bytes. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What a caller may ask for. Exactly one of `concurrency` and `ratePerS`; each limit is in LOAD_LIMITS. */
export interface LoadOptions {
  /** Address of the gateway, `http://localhost:8000`; a path in it goes before `/v2`. */
  readonly url: string;
  readonly model: string;
  readonly version?: string;
  /** Sent in turn; see samples.ts. */
  readonly samples: readonly LoadSample[];
  /** Sent with every request, over the samples' own: a key, `x-request-timeout-ms`, a `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Closed loop: so many requests at a time, each followed by the next. */
  readonly concurrency?: number;
  /** Open loop: so many requests per second are intended, whatever the answers do. */
  readonly ratePerS?: number;
  /** Open loop: the rate rises by so many requests per second each second; 0 unless told. */
  readonly rampPerS2?: number;
  /** Open loop; `poisson` unless told. */
  readonly arrivals?: ArrivalKind;
  /** Open loop: connections that carry requests; 128 unless told, and never more than `maxOutstanding`. */
  readonly connections?: number;
  /** Open loop: requests sent or waiting for a connection; an arrival beyond it is `notSent`. 1024 unless told. */
  readonly maxOutstanding?: number;
  /** Of the arrivals and generated inputs; 1 unless told. */
  readonly seed?: number;
  /** Seconds of the measured part. 10 unless told; with `requests`, how long they may take: 3600 unless told. */
  readonly durationS?: number;
  /** Requests of the measured part. The run ends with them or with `durationS`, whichever comes first. */
  readonly requests?: number;
  /** Seconds before the measured part: sent, answered, and left out of every figure. 0 unless told. */
  readonly warmupS?: number;
  /** Requests before the measured part, instead of `warmupS`. */
  readonly warmupRequests?: number;
  /** After so long without a whole answer a request is given up and counted as `timeout`. 10,000 unless told. */
  readonly timeoutMs?: number;
}

interface ClosedLoop {
  readonly kind: 'closed';
  readonly concurrency: number;
}

interface OpenLoop {
  readonly kind: 'open';
  readonly ratePerS: number;
  readonly rampPerS2: number;
  readonly arrivals: ArrivalKind;
  readonly connections: number;
  readonly maxOutstanding: number;
}

/** A checked plan: every field is there and in its limits. */
export interface LoadPlan {
  readonly origin: string;
  readonly path: string;
  readonly model: string;
  readonly version: string;
  readonly samples: readonly LoadSample[];
  readonly headers: Readonly<Record<string, string>>;
  readonly loop: ClosedLoop | OpenLoop;
  readonly seed: number;
  readonly durationS: number;
  readonly requests: number | undefined;
  readonly warmup: { readonly seconds: number } | { readonly requests: number };
  readonly timeoutMs: number;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly whole: boolean;
}

/** Bounds of each number of a plan. */
const LOAD_LIMITS = {
  concurrency: { from: 1, to: 1024, whole: true },
  ratePerS: { from: 0.01, to: 100_000, whole: false },
  rampPerS2: { from: 0, to: 100_000, whole: false },
  connections: { from: 1, to: 1024, whole: true },
  maxOutstanding: { from: 1, to: 65_536, whole: true },
  seed: { from: 0, to: 0xffff_ffff, whole: true },
  durationS: { from: 0.001, to: 3600, whole: false },
  requests: { from: 1, to: 100_000_000, whole: true },
  warmupS: { from: 0, to: 600, whole: false },
  warmupRequests: { from: 0, to: 1_000_000, whole: true },
  timeoutMs: { from: 1, to: 60_000, whole: false },
} as const satisfies Record<string, Range>;

/** Distinct samples of one run, and the bytes of all their bodies. */
const SAMPLE_LIMIT = 100_000;
const SAMPLE_LIMIT_BYTES = 512 * 2 ** 20;
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** What undici writes itself, or what would change the framing of a body that is already encoded. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The plan that the options ask for.
 * @throws VitrineError `invalid_request` with the option as `field`, and a message that names the fix
 */
export function planLoad(options: LoadOptions): LoadPlan {
  const address = readAddress(options.url);
  if (typeof options.model !== 'string' || options.model === '') {
    throw refuse('model', 'model must name the model to load');
  }
  const version = options.version ?? '';
  const versionPath = version === '' ? '' : `/versions/${encodeURIComponent(version)}`;
  const requests = options.requests === undefined ? undefined : inRange('requests', options.requests);
  const loop = readLoop(options);
  checkSamples(options.samples);
  return {
    origin: address.origin,
    path: `${address.prefix}/v2/models/${encodeURIComponent(options.model)}${versionPath}/infer`,
    model: options.model,
    version,
    samples: options.samples,
    headers: readHeaders(options.headers ?? {}, 'headers'),
    loop,
    seed: inRange('seed', options.seed ?? 1),
    durationS: inRange(
      'durationS',
      options.durationS ?? (requests === undefined ? 10 : LOAD_LIMITS.durationS.to),
    ),
    requests,
    warmup: readWarmup(options),
    timeoutMs: inRange('timeoutMs', options.timeoutMs ?? 10_000),
  };
}

function readAddress(given: unknown): { origin: string; prefix: string } {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw refuse('url', 'url must be the address of the gateway, such as http://localhost:8000');
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw refuse('url', 'url must be an address without user, query or fragment; send keys in headers');
  }
  return { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') };
}

function readLoop(options: LoadOptions): ClosedLoop | OpenLoop {
  if (options.concurrency !== undefined && options.ratePerS !== undefined) {
    throw refuse(
      'ratePerS',
      'give concurrency (closed loop: the next request waits for an answer) or ratePerS (open loop: it does not), not both',
    );
  }
  if (options.ratePerS === undefined) {
    for (const field of ['rampPerS2', 'arrivals', 'connections', 'maxOutstanding'] as const) {
      if (options[field] !== undefined) {
        throw refuse(field, `${field} belongs to the open loop; give ratePerS with it`);
      }
    }
    if (options.concurrency === undefined) {
      throw refuse('concurrency', 'give concurrency (closed loop) or ratePerS (open loop)');
    }
    return { kind: 'closed', concurrency: inRange('concurrency', options.concurrency) };
  }
  const arrivals = options.arrivals ?? 'poisson';
  if (!ARRIVAL_KINDS.includes(arrivals)) {
    throw refuse('arrivals', `arrivals must be one of ${ARRIVAL_KINDS.join(', ')}`);
  }
  const ratePerS = inRange('ratePerS', options.ratePerS);
  const rampPerS2 = inRange('rampPerS2', options.rampPerS2 ?? 0);
  const maxOutstanding = inRange('maxOutstanding', options.maxOutstanding ?? 1024);
  const connections = inRange('connections', options.connections ?? Math.min(128, maxOutstanding));
  if (connections > maxOutstanding) {
    throw refuse(
      'connections',
      `connections is ${connections}, more than maxOutstanding of ${maxOutstanding} can ever use; raise that or lower this`,
    );
  }
  return { kind: 'open', ratePerS, rampPerS2, arrivals, connections, maxOutstanding };
}

function readWarmup(options: LoadOptions): LoadPlan['warmup'] {
  if (options.warmupRequests === undefined) return { seconds: inRange('warmupS', options.warmupS ?? 0) };
  if (options.warmupS !== undefined) {
    throw refuse('warmupRequests', 'give warmupS or warmupRequests, not both');
  }
  return { requests: inRange('warmupRequests', options.warmupRequests) };
}

function checkSamples(samples: readonly LoadSample[]): void {
  if (!Array.isArray(samples) || samples.length === 0) {
    throw refuse('samples', 'samples is empty; a run needs at least one request to send');
  }
  if (samples.length > SAMPLE_LIMIT) {
    throw refuse('samples', `samples has ${samples.length} requests; at most ${SAMPLE_LIMIT} are allowed`);
  }
  let bytes = 0;
  for (const [index, sample] of samples.entries()) {
    if (!(sample.body instanceof Uint8Array)) {
      throw refuse(`samples[${index}].body`, `samples[${index}].body must be bytes`);
    }
    readHeaders(sample.headers, `samples[${index}].headers`);
    bytes += sample.body.byteLength;
  }
  if (bytes > SAMPLE_LIMIT_BYTES) {
    throw refuse(
      'samples',
      `the bodies of samples hold ${bytes} bytes; at most ${SAMPLE_LIMIT_BYTES} are allowed: use fewer or smaller ones`,
    );
  }
}

function readHeaders(
  headers: Readonly<Record<string, string>>,
  field: string,
): Readonly<Record<string, string>> {
  const lower: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER_NAME.test(name)) throw refuse(field, `${field} has a name that no HTTP header may have`);
    const key = name.toLowerCase();
    if (RESERVED_HEADERS.has(key)) {
      throw refuse(`${field}.${key}`, `${field} must leave ${key} to the generator`);
    }
    if (typeof value !== 'string' || !HEADER_VALUE.test(value)) {
      throw refuse(`${field}.${key}`, `the value of ${key} must be text without control characters`);
    }
    lower[key] = value;
  }
  return lower;
}

function inRange(field: keyof typeof LOAD_LIMITS, value: number): number {
  const { from, to, whole }: Range = LOAD_LIMITS[field];
  if (typeof value !== 'number' || !(value >= from && value <= to) || (whole && !Number.isInteger(value))) {
    const kind = whole ? 'a whole number' : 'a number';
    throw refuse(field, `${field} is ${String(value)}; it must be ${kind} from ${from} to ${to}`);
  }
  return value;
}

function refuse(field: string, message: string): VitrineError {
  return new VitrineError('invalid_request', message, { field });
}
