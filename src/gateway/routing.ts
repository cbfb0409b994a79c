/**
 * Where queries meet workers: a query takes a usable worker at once or waits, in the order of arrival, until
 * one comes. A worker comes when it gets ready, when one of its connections is free again, or when its
 * probation lane is.
 *
 * The room has a limit; who finds it full is refused. How long a query waits is its own business: it leaves
 * the room at its deadline, when its client goes, or when it has waited long enough for a worker that is not
 * there.
 */
import { type Candidate, fewestInFlight, type Wish } from './balancer.ts';

export interface Waiter<W> extends Wish<W> {
  /** Workers where the query's model is ready; may change while it waits. */
  readonly workers: readonly W[];
  /** Called once, after the waiter has left the room. */
  assigned(worker: W): void;
}

export class Routing<W extends Candidate> {
  readonly #limit: number;
  readonly #waiters = new Set<Waiter<W>>();
  #turn = 0;
  #serving = false;
  #again = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** A worker for the query now, or undefined. */
  take(query: Waiter<W>): W | undefined {
    // Served in order: whoever waits and could use the worker had it already when it became free.
    this.#turn += 1;
    return fewestInFlight(query.workers, this.#turn, query);
  }

  /** @returns false when the room is full */
  wait(query: Waiter<W>): boolean {
    if (this.#waiters.size >= this.#limit) return false;
    this.#waiters.add(query);
    return true;
  }

  leave(query: Waiter<W>): void {
    this.#waiters.delete(query);
  }

  /** Something changed: lets in whoever can be served now. */
  serve(): void {
    if (this.#waiters.size === 0) return;
    // assigned() can fail at once and so change a worker again: one more round, not a deeper one.
    this.#again = true;
    if (this.#serving) return;
    this.#serving = true;
    try {
      while (this.#again) {
        this.#again = false;
        this.#round();
      }
    } finally {
      this.#serving = false;
    }
  }

  #round(): void {
    let exhausted: readonly W[] | undefined;
    for (const waiter of this.#waiters) {
      // Most wait for the same model: when its workers have no room left, none of these needs asking again.
      if (waiter.workers === exhausted) continue;
      const worker = this.take(waiter);
      if (worker === undefined) {
        if (!waiter.needsLane && waiter.avoid === undefined) exhausted = waiter.workers;
        continue;
      }
      this.#waiters.delete(waiter);
      waiter.assigned(worker);
    }
  }
}
