/**
 * The queue of one model version, and when a batch of it closes. Pure: it takes the time as an argument and
 * returns decisions; timers and executors are batcher.ts's.
 *
 * An entry is `waiting` from offer() on and leaves exactly once: `batched`, when a batch closes with it;
 * `expired`, when its deadline passes first; `cancelled`, when whoever asked is gone. Expired and cancelled
 * entries leave before a batch closes, so no executor works for them.
 *
 * Only entries with the same groupKey share a batch, and an entry's rows are never split. Within a group,
 * entries are taken in the order of `enqueuedMs + handicap`, where the handicap is 0 for priority 1, one
 * second for the default (0 and 2) and two for 3 and beyond. So a higher priority goes first, equal
 * priorities go first in, first out, and nobody starves: a query that has waited a handicap longer overtakes.
 * The same order decides between groups, and between models that want the same executor. Taking stops at the
 * first entry that does not fit, so a large query is not overtaken for ever by small ones.
 *
 * A batch closes only when an executor is free for it, and then for the first of these reasons:
 *
 *   full      the group has maxBatchRows rows or more
 *   drain     the process is stopping; nobody will join
 *   deadline  waiting longer would make a member miss its deadline, by the expected time of the run
 *   delay     an executor has been free for the group's oldest member for maxQueueDelayMs
 *
 * The delay counts while an executor stands free, not while all are busy: company is worth waiting for when
 * the run could start, and what a query waits for it (its stage `batch_wait`) is at most maxQueueDelayMs. A
 * group that saw an executor go to another keeps the time that it was offered one, so it need not begin anew.
 *
 * Nor does a query wait for company that does not come: after eight waits in a row that nobody joined, one that
 * finds an executor free runs at once. One that had to queue still waits, since others are about, and the first
 * batch of several brings all waiting back. So a single caller pays no delay, and many lose no batching.
 */
import type { CloseReason } from '../contract/attributes.ts';
import type { ByteBudget } from './byte_budget.ts';
import type { ServiceTime } from './service_time.ts';

/** What a waiting second is worth against a step of priority. */
const HANDICAP_MS = 1000;
export const PRIORITY_CLASSES = ['high', 'default', 'low'] as const;
export type PriorityClass = (typeof PRIORITY_CLASSES)[number];

/** Waits in a row without company after which a free executor is taken at once. */
const VAIN_WAITS = 8;

const RETRY_AFTER_MIN_S = 1;
const RETRY_AFTER_MAX_S = 60;

export interface QueueLimits {
  /** Rows in one batch at most; 1 for a model without batching. */
  readonly maxBatchRows: number;
  readonly maxQueueDelayMs: number;
  /** Entries that wait at most. */
  readonly maxEntries: number;
}

export interface Offer<T> {
  /** From 1 to maxBatchRows. */
  readonly rows: number;
  /** Reserved from the budget while the entry waits. */
  readonly bytes: number;
  readonly groupKey: string;
  /** 0 = default, 1 = highest, then descending. */
  readonly priority: number;
  readonly deadlineMs: number;
  readonly payload: T;
}

export type EntryState = 'waiting' | 'batched' | 'expired' | 'cancelled';

/** A place in the queue; whoever offered it holds it to cancel by. */
export interface Entry<T> {
  readonly rows: number;
  readonly bytes: number;
  readonly enqueuedMs: number;
  readonly deadlineMs: number;
  readonly payload: T;
  readonly state: EntryState;
}

export interface Refusal {
  readonly limit: 'requests' | 'bytes';
  /** Seconds until what waits now is done, by the measured rate; from 1 to 60. */
  readonly retryAfterS: number;
}

export interface ClosedBatch<T> {
  /** In the order in which they were taken; at least one. */
  readonly entries: readonly Entry<T>[];
  readonly rows: number;
  readonly reason: CloseReason;
  /** When the oldest member was enqueued. */
  readonly openedMs: number;
  readonly closedMs: number;
}

/** What next() found: the group to close now, or when to look again. */
export interface Ripeness {
  /** The place in the common order of the group that may close now; Infinity when none may. */
  readonly orderMs: number;
  /** When the next group ripens if nothing else happens; Infinity when none will. */
  readonly wakeAtMs: number;
}

class Node<T> implements Entry<T> {
  readonly rows: number;
  readonly bytes: number;
  readonly enqueuedMs: number;
  readonly deadlineMs: number;
  readonly payload: T;
  readonly priorityClass: number;
  readonly group: Group<T>;
  state: EntryState = 'waiting';
  previous: Node<T> | undefined;
  next: Node<T> | undefined;

  constructor(offer: Offer<T>, group: Group<T>, nowMs: number) {
    this.rows = offer.rows;
    this.bytes = offer.bytes;
    this.enqueuedMs = nowMs;
    this.deadlineMs = offer.deadlineMs;
    this.payload = offer.payload;
    this.priorityClass = priorityClass(offer.priority);
    this.group = group;
  }
}

/** The waiting entries of one groupKey: a first-in-first-out list for each priority class. */
class Group<T> {
  readonly key: string;
  readonly heads: (Node<T> | undefined)[] = PRIORITY_CLASSES.map(() => undefined);
  readonly tails: (Node<T> | undefined)[] = PRIORITY_CLASSES.map(() => undefined);
  rows = 0;
  entries = 0;
  /** The earliest deadline of the members, or earlier when that member has left. */
  earliestDeadlineMs = Number.POSITIVE_INFINITY;
  /** When an executor was first seen free for the present members; Infinity before. */
  offeredMs = Number.POSITIVE_INFINITY;

  constructor(key: string) {
    this.key = key;
  }

  push(node: Node<T>): void {
    const tail = this.tails[node.priorityClass];
    node.previous = tail;
    if (tail === undefined) this.heads[node.priorityClass] = node;
    else tail.next = node;
    this.tails[node.priorityClass] = node;
    this.rows += node.rows;
    this.entries += 1;
    if (node.deadlineMs < this.earliestDeadlineMs) this.earliestDeadlineMs = node.deadlineMs;
  }

  unlink(node: Node<T>): void {
    if (node.previous === undefined) this.heads[node.priorityClass] = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.tails[node.priorityClass] = node.previous;
    else node.next.previous = node.previous;
    node.previous = undefined;
    node.next = undefined;
    this.rows -= node.rows;
    this.entries -= 1;
  }

  /** The entry that is taken next; undefined when the group is empty. */
  first(): Node<T> | undefined {
    let best: Node<T> | undefined;
    for (const head of this.heads) {
      if (head !== undefined && (best === undefined || orderMs(head) < orderMs(best))) best = head;
    }
    return best;
  }

  oldestMs(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const head of this.heads) if (head !== undefined) oldest = Math.min(oldest, head.enqueuedMs);
    return oldest;
  }

  *[Symbol.iterator](): Generator<Node<T>> {
    for (const head of this.heads) {
      for (let node = head; node !== undefined; ) {
        const next: Node<T> | undefined = node.next;
        yield node;
        node = next;
      }
    }
  }
}

export class BatchQueue<T> {
  readonly limits: QueueLimits;
  readonly #budget: ByteBudget;
  readonly #serviceTime: ServiceTime;
  readonly #executors: number;
  readonly #groups = new Map<string, Group<T>>();
  readonly #entriesByClass = PRIORITY_CLASSES.map(() => 0);
  #entries = 0;
  #rows = 0;
  #bytes = 0;
  /** No waiting entry expires before this; it may be early, never late. */
  #earliestDeadlineMs = Number.POSITIVE_INFINITY;
  #draining = false;
  /** Waits for company in a row that ended alone. */
  #vainWaits = 0;
  #ripe: Group<T> | undefined;
  #ripeReason: CloseReason = 'full';

  /** @param executors how many can run this model, for the rate behind `retryAfterS` */
  constructor(
    limits: QueueLimits,
    deps: { readonly budget: ByteBudget; readonly serviceTime: ServiceTime; readonly executors: number },
  ) {
    this.limits = limits;
    this.#budget = deps.budget;
    this.#serviceTime = deps.serviceTime;
    this.#executors = deps.executors;
  }

  get entries(): number {
    return this.#entries;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  entriesOf(priority: PriorityClass): number {
    return this.#entriesByClass[PRIORITY_CLASSES.indexOf(priority)] ?? 0;
  }

  /** When expire() has something to do, at the earliest; Infinity when nothing can expire. */
  get earliestDeadlineMs(): number {
    return this.#earliestDeadlineMs;
  }

  /**
   * Why another entry of `bytes` would be refused now, or undefined. Changes nothing, so it can be asked
   * before any work is done for the query.
   */
  refusal(bytes: number): Refusal | undefined {
    if (this.#entries >= this.limits.maxEntries)
      return { limit: 'requests', retryAfterS: this.#retryAfterS() };
    if (this.#budget.usedBytes + bytes > this.#budget.limitBytes)
      return { limit: 'bytes', retryAfterS: this.#retryAfterS() };
    return undefined;
  }

  /** Queues an entry, or says why not. */
  offer(offer: Offer<T>, nowMs: number): Entry<T> | Refusal {
    if (!(offer.rows >= 1 && offer.rows <= this.limits.maxBatchRows))
      throw new RangeError(`an entry has 1 to ${this.limits.maxBatchRows} rows, not ${offer.rows}`);
    const refused = this.refusal(offer.bytes);
    if (refused !== undefined) return refused;
    this.#budget.tryReserve(offer.bytes);
    let group = this.#groups.get(offer.groupKey);
    if (group === undefined) {
      group = new Group(offer.groupKey);
      this.#groups.set(offer.groupKey, group);
    }
    const node = new Node(offer, group, nowMs);
    group.push(node);
    this.#entries += 1;
    this.#rows += node.rows;
    this.#bytes += node.bytes;
    this.#entriesByClass[node.priorityClass] = (this.#entriesByClass[node.priorityClass] ?? 0) + 1;
    if (node.deadlineMs < this.#earliestDeadlineMs) this.#earliestDeadlineMs = node.deadlineMs;
    return node;
  }

  /** Takes an entry out because nobody waits for it; false when it had left already. */
  cancel(entry: Entry<T>): boolean {
    const node = entry as Node<T>;
    if (node.state !== 'waiting') return false;
    this.#leave(node, 'cancelled');
    return true;
  }

  /** Takes out and returns what is past its deadline at `nowMs`. */
  expire(nowMs: number): Entry<T>[] {
    const expired: Entry<T>[] = [];
    if (nowMs < this.#earliestDeadlineMs) return expired;
    let earliest = Number.POSITIVE_INFINITY;
    for (const group of this.#groups.values()) {
      group.earliestDeadlineMs = Number.POSITIVE_INFINITY;
      for (const node of group) {
        if (node.deadlineMs <= nowMs) {
          this.#leave(node, 'expired');
          expired.push(node);
        } else if (node.deadlineMs < group.earliestDeadlineMs) group.earliestDeadlineMs = node.deadlineMs;
      }
      if (group.earliestDeadlineMs < earliest) earliest = group.earliestDeadlineMs;
    }
    this.#earliestDeadlineMs = earliest;
    return expired;
  }

  /** From now on every group closes as soon as an executor is free. */
  drain(): void {
    this.#draining = true;
  }

  /**
   * Which group may close at `dueMs`, with an executor that is free since `freeSinceMs`. Call it only while
   * there is one, and expire() before it.
   * @param dueMs nowMs, or a little later when the caller's timer could not come back in time
   */
  next(dueMs: number, freeSinceMs: number): Ripeness {
    let ripe: Group<T> | undefined;
    let best = Number.POSITIVE_INFINITY;
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const group of this.#groups.values()) {
      if (freeSinceMs < group.offeredMs) group.offeredMs = freeSinceMs;
      const full = group.rows >= this.limits.maxBatchRows;
      let reason: CloseReason = full ? 'full' : 'drain';
      if (!full && !this.#draining) {
        const oldestMs = group.oldestMs();
        const inVain = this.#vainWaits >= VAIN_WAITS && group.entries === 1 && oldestMs >= freeSinceMs;
        const delayMs = inVain ? 0 : this.limits.maxQueueDelayMs;
        const delayAtMs = Math.max(oldestMs, group.offeredMs) + delayMs;
        const deadlineAtMs = group.earliestDeadlineMs - this.#serviceTime.expectedMs(group.rows);
        const closeAtMs = Math.min(delayAtMs, deadlineAtMs);
        if (closeAtMs > dueMs) {
          if (closeAtMs < wakeAtMs) wakeAtMs = closeAtMs;
          continue;
        }
        reason = delayAtMs <= dueMs ? 'delay' : 'deadline';
      }
      const first = group.first();
      if (first !== undefined && orderMs(first) < best) {
        best = orderMs(first);
        ripe = group;
        this.#ripeReason = reason;
      }
    }
    this.#ripe = ripe;
    return { orderMs: best, wakeAtMs };
  }

  /** Closes the batch that the last next() found ripe. */
  close(nowMs: number): ClosedBatch<T> {
    const group = this.#ripe;
    if (group === undefined) throw new Error('close() follows a next() that found a ripe group');
    this.#ripe = undefined;
    const openedMs = group.oldestMs();
    const entries: Node<T>[] = [];
    let rows = 0;
    for (let node = group.first(); node !== undefined; node = group.first()) {
      if (rows + node.rows > this.limits.maxBatchRows) break;
      rows += node.rows;
      entries.push(node);
      this.#leave(node, 'batched');
    }
    group.offeredMs = Number.POSITIVE_INFINITY;
    if (entries.length > 1) this.#vainWaits = 0;
    else if (this.#ripeReason === 'delay') this.#vainWaits += 1;
    return { entries, rows, reason: this.#ripeReason, openedMs, closedMs: nowMs };
  }

  /** The only place where an entry's state changes. */
  #leave(node: Node<T>, state: Exclude<EntryState, 'waiting'>): void {
    if (node.state !== 'waiting') throw new Error(`an entry that is ${node.state} cannot become ${state}`);
    node.state = state;
    const group = node.group;
    group.unlink(node);
    if (group.entries === 0) {
      this.#groups.delete(group.key);
      if (this.#ripe === group) this.#ripe = undefined;
    }
    this.#entries -= 1;
    this.#rows -= node.rows;
    this.#bytes -= node.bytes;
    this.#entriesByClass[node.priorityClass] = (this.#entriesByClass[node.priorityClass] ?? 0) - 1;
    this.#budget.release(node.bytes);
  }

  #retryAfterS(): number {
    const rowsPerS = this.#serviceTime.rowsPerS() * this.#executors;
    const seconds = rowsPerS > 0 ? this.#rows / rowsPerS : RETRY_AFTER_MIN_S;
    return Math.min(RETRY_AFTER_MAX_S, Math.max(RETRY_AFTER_MIN_S, Math.ceil(seconds)));
  }
}

function priorityClass(priority: number): number {
  if (priority === 1) return 0;
  return priority === 0 || priority === 2 ? 1 : 2;
}

function orderMs(node: { enqueuedMs: number; priorityClass: number }): number {
  return node.enqueuedMs + node.priorityClass * HANDICAP_MS;
}
