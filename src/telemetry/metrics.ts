/**
 * Instruments of the catalogue. A caller binds a series once and then only adds to plain numbers: no
 * attribute is hashed and nothing is serialized on the serving path. Values are read at scrape time.
 *
 * Limits: SERIES_LIMIT label sets per metric; beyond it measurements go to the label set in which every
 * value is `other`, and `vitrine_telemetry_series_overflow_total` counts each bind that ended there.
 */
import {
  CATALOG,
  type CatalogEntry,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type MetricName,
} from './catalog.ts';

export const SERIES_LIMIT = 2000;
const OVERFLOW = 'other';

/** The query that an observation belongs to: of a trace that was accepted for export, and of no other. */
export interface ExemplarSource {
  readonly traceId: string;
  readonly spanId: string;
  /** Unix time. */
  readonly timestampS: number;
}

export interface Exemplar extends ExemplarSource {
  /** In the metric's unit. */
  readonly value: number;
}

export class CounterSeries {
  readonly labels: readonly string[];
  value = 0;
  constructor(labels: readonly string[]) {
    this.labels = labels;
  }
  /** @param amount not negative, in the metric's unit */
  add(amount: number): void {
    this.value += amount;
  }
}

export class GaugeSeries {
  readonly labels: readonly string[];
  #value = 0;
  #read: (() => number) | undefined;
  constructor(labels: readonly string[]) {
    this.labels = labels;
  }
  set(value: number): void {
    this.#value = value;
  }
  add(amount: number): void {
    this.#value += amount;
  }
  /** From now on the value is read at scrape time. */
  observeWith(read: () => number): void {
    this.#read = read;
  }
  get value(): number {
    return this.#read ? this.#read() : this.#value;
  }
}

export class HistogramSeries {
  readonly labels: readonly string[];
  readonly edges: readonly number[];
  /** One count per edge, then +Inf; not cumulative. */
  readonly counts: number[];
  /** One for each bucket. One object serves all observations of a query, so that none makes its own. */
  readonly #sources: (ExemplarSource | undefined)[];
  readonly #values: Float64Array;
  /** Unix time of each; 0 where there is none. */
  readonly #timesS: Float64Array;
  sum = 0;
  count = 0;
  constructor(labels: readonly string[], edges: readonly number[]) {
    this.labels = labels;
    this.edges = edges;
    this.counts = new Array<number>(edges.length + 1).fill(0);
    this.#sources = new Array<ExemplarSource | undefined>(edges.length + 1).fill(undefined);
    this.#values = new Float64Array(edges.length + 1);
    this.#timesS = new Float64Array(edges.length + 1);
  }

  /** @param value in the metric's unit */
  observe(value: number, exemplar?: ExemplarSource): void {
    const edges = this.edges;
    let index = 0;
    while (index < edges.length && value > (edges[index] as number)) index += 1;
    (this.counts[index] as number) += 1;
    this.sum += value;
    this.count += 1;
    if (exemplar !== undefined && isDue(exemplar.timestampS - (this.#timesS[index] as number))) {
      this.#sources[index] = exemplar;
      this.#values[index] = value;
      this.#timesS[index] = exemplar.timestampS;
    }
  }

  /** A recent exemplar of a bucket, by its place among the edges, and then of +Inf. */
  exemplarAt(index: number): Exemplar | undefined {
    const source = this.#sources[index];
    return source === undefined ? undefined : { ...source, value: this.#values[index] as number };
  }
}

/**
 * A bucket's exemplar stands for so long: nobody reads them more often, and each one taken over is an object that
 * the garbage collector has to move.
 */
const EXEMPLAR_STANDS_S = 0.1;

/** @param ageS below zero after the clock was set back */
function isDue(ageS: number): boolean {
  return ageS >= EXEMPLAR_STANDS_S || ageS < 0;
}

type Series = CounterSeries | GaugeSeries | HistogramSeries;

/** One metric with its series, in the order in which they were bound. */
export class Instrument<N extends MetricName, S extends Series> {
  readonly name: N;
  readonly entry: CatalogEntry;
  readonly #series = new Map<string, S>();
  readonly #create: (labels: readonly string[]) => S;
  readonly #onOverflow: (name: MetricName) => void;

  constructor(name: N, create: (labels: readonly string[]) => S, onOverflow: (name: MetricName) => void) {
    this.name = name;
    this.entry = CATALOG[name];
    this.#create = create;
    this.#onOverflow = onOverflow;
  }

  /** Binds a series. Values appear from then on, so bind at start what must not be absent. */
  series(labels: LabelsOf<N>): S {
    const given = labels as Readonly<Record<string, string>>;
    let values = this.entry.attributes.map((attribute) => given[attribute] ?? '');
    let key = values.join('\u0000');
    let series = this.#series.get(key);
    if (series) return series;
    if (this.#series.size >= SERIES_LIMIT && values.length > 0) {
      this.#onOverflow(this.name);
      values = values.map(() => OVERFLOW);
      key = values.join('\u0000');
      series = this.#series.get(key);
      if (series) return series;
    }
    series = this.#create(values);
    this.#series.set(key, series);
    return series;
  }

  /** Ends a series whose subject is gone: it is exported no more. Whoever still holds it records into nothing. */
  remove(labels: LabelsOf<N>): void {
    const given = labels as Readonly<Record<string, string>>;
    this.#series.delete(this.entry.attributes.map((attribute) => given[attribute] ?? '').join('\u0000'));
  }

  all(): IterableIterator<S> {
    return this.#series.values();
  }
}

type AnyInstrument = Instrument<MetricName, Series>;

/** The instruments of one process. Asking for a name twice gives the same instrument. */
export class Metrics {
  readonly #instruments = new Map<MetricName, AnyInstrument>();
  readonly #beforeRead: (() => void)[] = [];

  counter<N extends CounterName>(name: N): Instrument<N, CounterSeries> {
    return this.#get(name, (labels) => new CounterSeries(labels));
  }

  gauge<N extends GaugeName>(name: N): Instrument<N, GaugeSeries> {
    return this.#get(name, (labels) => new GaugeSeries(labels));
  }

  histogram<N extends HistogramName>(name: N): Instrument<N, HistogramSeries> {
    const edges = CATALOG[name].buckets;
    return this.#get(name, (labels) => new HistogramSeries(labels, edges));
  }

  /** Runs before each read, to bring counters up to date that are kept elsewhere (shared memory, the process). */
  beforeRead(refresh: () => void): void {
    this.#beforeRead.push(refresh);
  }

  /** Every instrument, in the order of the catalogue. */
  read(): AnyInstrument[] {
    for (const refresh of this.#beforeRead) refresh();
    return (Object.keys(CATALOG) as MetricName[]).flatMap((name) => this.#instruments.get(name) ?? []);
  }

  #get<N extends MetricName, S extends Series>(
    name: N,
    create: (labels: readonly string[]) => S,
  ): Instrument<N, S> {
    let instrument = this.#instruments.get(name);
    if (!instrument) {
      const created = new Instrument<N, S>(name, create, (full) => {
        this.counter('vitrine_telemetry_series_overflow_total').series({ metric: full }).add(1);
      });
      instrument = created as unknown as AnyInstrument;
      this.#instruments.set(name, instrument);
    }
    return instrument as unknown as Instrument<N, S>;
  }
}
