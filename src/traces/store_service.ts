/**
 * Answers the messages of store_messages.ts with a store: what the store's thread runs, free of threads.
 *
 * Batches that wait are stored together in one transaction, since a commit costs more than a batch. Between
 * transactions, questions are answered and one slice at most is evicted, so that none of them waits long.
 */
import { asVitrineError } from '../contract/errors.ts';
import { answerJaeger } from './jaeger_api.ts';
import type { DecodedBatch, OtlpLimits } from './otlp_batch.ts';
import { decodeTraces } from './otlp_decode.ts';
import { jsonToProtobuf } from './otlp_json.ts';
import type { TraceStore } from './store.ts';
import type { FromStore, OtlpEncoding, StoreCalls, StoreCallType, ToStore } from './store_messages.ts';

/** Spans of one transaction; more wait for the next, so that questions come in between. */
const TRANSACTION_SPAN_LIMIT = 8_192;

export interface StoreServiceOptions {
  readonly limits: OtlpLimits;
  readonly nowMs?: () => number;
}

interface WaitingBatch {
  readonly id: number;
  readonly batch: DecodedBatch;
}

/** Gives a body's memory back at once: it is the thread's own, and the collector would let many gather. */
function release({ bytes }: DecodedBatch): void {
  if (bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength)
    bytes.buffer.transfer(0);
}

export class StoreService {
  private readonly store: TraceStore;
  private readonly limits: OtlpLimits;
  private readonly nowMs: () => number;
  private readonly reply: (message: FromStore) => void;
  /** Bounded by the client, which refuses further bodies. */
  private readonly waiting: WaitingBatch[] = [];
  private turn: NodeJS.Immediate | undefined;
  private evictionDue = false;
  private told = { lastError: '', notice: '' };

  constructor(store: TraceStore, options: StoreServiceOptions, reply: (message: FromStore) => void) {
    this.store = store;
    this.limits = options.limits;
    this.nowMs = options.nowMs ?? Date.now;
    this.reply = reply;
  }

  receive(message: ToStore): void {
    switch (message.type) {
      case 'close':
        this.close();
        return;
      case 'ingest':
        this.answer(message.id, () => {
          this.waiting.push({ id: message.id, batch: this.decode(message.input) });
          this.takeTurn();
        });
        return;
      case 'query':
        this.answer(message.id, () =>
          this.done(message.id, answerJaeger(this.store, message.input, this.nowMs())),
        );
        return;
      case 'trace':
        this.answer(message.id, () => this.done(message.id, this.store.trace(message.input.traceId)));
        return;
      case 'recent': {
        const { limit, filters } = message.input;
        this.answer(message.id, () => this.done(message.id, this.store.recent(limit, filters)));
        return;
      }
      case 'ledgers':
        this.answer(message.id, () => this.done(message.id, this.store.ledgers(message.input)));
        return;
      case 'stats':
        this.answer(message.id, () => this.done(message.id, this.store.stats()));
        return;
      case 'setFull':
        this.answer(message.id, () => {
          this.store.setFull(message.input.full);
          this.done(message.id, undefined);
        });
        return;
      default:
        message satisfies never;
    }
  }

  /** Looks whether age or size ask for eviction; to be called now and then. */
  checkRetention(): void {
    this.evictionDue = true;
    this.takeTurn();
  }

  /** Sends a notice when the store's condition changed since the last one. */
  tellCondition(): void {
    const { lastError, notice } = this.store.condition();
    if (notice !== this.told.notice && notice !== '') this.tell(notice);
    if (lastError !== this.told.lastError) {
      this.tell(
        lastError === '' ? 'the trace store can write again' : `the trace store is in trouble: ${lastError}`,
      );
    }
    this.told = { lastError, notice };
  }

  private tell(notice: string): void {
    this.reply({ type: 'notice', notice });
  }

  private decode(input: { readonly body: ArrayBuffer; readonly encoding: OtlpEncoding }): DecodedBatch {
    const body = Buffer.from(input.body);
    return decodeTraces(input.encoding === 'json' ? jsonToProtobuf(body) : body, this.limits);
  }

  private takeTurn(): void {
    this.turn ??= setImmediate(() => {
      this.turn = undefined;
      this.work();
    });
  }

  private work(): void {
    if (this.waiting.length > 0) {
      this.insertWaiting();
      this.evictionDue = true;
    }
    if (this.evictionDue) this.evictionDue = this.store.evict(this.nowMs());
    this.tellCondition();
    if (this.waiting.length > 0 || this.evictionDue) this.takeTurn();
  }

  private insertWaiting(): void {
    let count = 0;
    let spans = 0;
    for (const { batch } of this.waiting) {
      if (count > 0 && spans + batch.spans.length > TRANSACTION_SPAN_LIMIT) break;
      count += 1;
      spans += batch.spans.length;
    }
    const taken = this.waiting.splice(0, count);
    try {
      const results = this.store.insert(taken.map(({ batch }) => batch));
      for (const [index, { id }] of taken.entries()) {
        const result = results[index];
        if (result !== undefined) this.done(id, result);
      }
    } catch (error) {
      for (const { id } of taken) this.failed(id, error);
    }
    for (const { batch } of taken) release(batch);
  }

  private answer(id: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failed(id, error);
    }
  }

  private done(id: number, output: StoreCalls[StoreCallType]['output']): void {
    this.reply({ type: 'done', id, output });
  }

  private failed(id: number, thrown: unknown): void {
    const { code, message, field, retryAfterS } = asVitrineError(thrown);
    if (code === 'internal') this.tell(`unexpected error in the trace store: ${String(thrown)}`);
    this.reply({ type: 'failed', id, code, message, field, retryAfterS });
  }

  /** Stores what waits, then closes the store. */
  private close(): void {
    while (this.waiting.length > 0) this.insertWaiting();
    clearImmediate(this.turn);
    this.store[Symbol.dispose]();
  }
}
