/**
 * What receivers have to be told, durably: one notice for each alert, start and status. A firing notice is open
 * until the resolved one of the same alert joins it; there is at most one open notice of a fingerprint. Delivered
 * notices stay for as long as they are needed to tell a repeat from a first time.
 *
 * Changes are made in memory and written by save(); what cannot be written is written by a later save().
 * Bounded: beyond NOTICES_LIMIT the oldest of alerts that are over go first (told ones before untold ones), then
 * the oldest of firing ones; untold ones are counted.
 */

import type { AlertInstance } from '../../contract/alerts.ts';
import type { StateDatabase } from '../../traces/state_database.ts';
import { groupKeyOf, type NoticeStatus } from './message.ts';

const NOTICES_LIMIT = 2000;
/** Told resolved alerts stay so long, so that an evaluator that restarts from an older state repeats nothing. */
const TOLD_RETENTION_MS = 86_400_000;

export interface Notice {
  /** `fingerprint:startsAtMs:status`; the same in every delivery. */
  readonly key: string;
  readonly fingerprint: string;
  /** Unix milliseconds at which the alert began to fire, as it was first told. */
  readonly startsAtMs: number;
  readonly status: NoticeStatus;
  /** See groupKeyOf. */
  readonly group: string;
  readonly madeMs: number;
  /** Undefined until a receiver took it; then the last time that one did. */
  readonly deliveredMs: number | undefined;
  /** As it was told last; before that, as it is known. */
  readonly instance: AlertInstance;
}

function keyOf(fingerprint: string, startsAtMs: number, status: NoticeStatus): string {
  return `${fingerprint}:${startsAtMs}:${status}`;
}

export class Outbox {
  readonly #store: StateDatabase;
  readonly #limit: number;
  readonly #notices = new Map<string, Notice>();
  /** Keys of open firing notices, by fingerprint. */
  readonly #open = new Map<string, string>();
  readonly #unsaved = new Set<string>();
  dropped = 0;

  constructor(store: StateDatabase, limit = NOTICES_LIMIT) {
    this.#store = store;
    this.#limit = limit;
    const rows = store.database.prepare('SELECT key, made_ms, delivered_ms, instance FROM notices').all();
    for (const row of rows) {
      const key = String(row.key);
      const instance = JSON.parse(String(row.instance)) as AlertInstance;
      const [fingerprint = '', startsAtMs = '0', status] = key.split(':');
      this.#notices.set(key, {
        key,
        fingerprint,
        startsAtMs: Number(startsAtMs),
        status: status === 'resolved' ? 'resolved' : 'firing',
        madeMs: Number(row.made_ms),
        deliveredMs: row.delivered_ms === null ? undefined : Number(row.delivered_ms),
        group: groupKeyOf(instance.labels),
        instance,
      });
    }
    for (const notice of this.#notices.values()) {
      if (notice.status === 'firing' && this.resolvedOf(notice) === undefined)
        this.#open.set(notice.fingerprint, notice.key);
    }
  }

  all(): Notice[] {
    return [...this.#notices.values()];
  }

  get size(): number {
    return this.#notices.size;
  }

  /** Notices that no receiver has taken. */
  get waiting(): number {
    return this.all().filter(({ deliveredMs }) => deliveredMs === undefined).length;
  }

  /** The firing notice of an alert that is not over. */
  openOf(fingerprint: string): Notice | undefined {
    return this.#notices.get(this.#open.get(fingerprint) ?? '');
  }

  firingOf({ fingerprint, startsAtMs }: Notice): Notice | undefined {
    return this.#notices.get(keyOf(fingerprint, startsAtMs, 'firing'));
  }

  resolvedOf({ fingerprint, startsAtMs }: Notice): Notice | undefined {
    return this.#notices.get(keyOf(fingerprint, startsAtMs, 'resolved'));
  }

  /** An alert began to fire. @returns undefined when it is known already, open or told */
  fire(instance: AlertInstance, nowMs: number): Notice | undefined {
    const { fingerprint, firingSinceMs: startsAtMs = nowMs } = instance;
    const key = keyOf(fingerprint, startsAtMs, 'firing');
    if (this.#open.has(fingerprint) || this.#notices.has(key)) return undefined;
    const notice: Notice = {
      key,
      fingerprint,
      startsAtMs,
      status: 'firing',
      group: groupKeyOf(instance.labels),
      madeMs: nowMs,
      deliveredMs: undefined,
      instance,
    };
    this.#put(notice);
    this.#open.set(fingerprint, key);
    this.#bound();
    return notice;
  }

  /** The open notice of this alert is over. */
  resolve(instance: AlertInstance, nowMs: number): Notice | undefined {
    const open = this.openOf(instance.fingerprint);
    if (open === undefined) return undefined;
    const { fingerprint, startsAtMs } = open;
    const notice: Notice = {
      ...open,
      key: keyOf(fingerprint, startsAtMs, 'resolved'),
      status: 'resolved',
      madeMs: nowMs,
      deliveredMs: undefined,
      // As it was told: a clock that was set in between must not make another alert of it.
      instance: { ...instance, firingSinceMs: startsAtMs },
    };
    this.#open.delete(fingerprint);
    this.#put(notice);
    this.#bound();
    return notice;
  }

  /** What has become known of an open alert that nobody was told of yet, such as its evidence. */
  refresh(instance: AlertInstance): void {
    const open = this.openOf(instance.fingerprint);
    if (open !== undefined && open.deliveredMs === undefined) {
      this.#put({ ...open, instance: { ...instance, firingSinceMs: open.startsAtMs } });
    }
  }

  /** @param notices as they were told; they are kept so */
  delivered(notices: readonly Notice[], nowMs: number): void {
    for (const notice of notices) {
      if (this.#notices.has(notice.key)) this.#put({ ...notice, deliveredMs: nowMs });
    }
  }

  /** Removes a notice and, with a firing one, its end. */
  forget(notice: Notice): void {
    for (const each of [notice, this.firingOf(notice), this.resolvedOf(notice)]) {
      if (each === undefined) continue;
      this.#notices.delete(each.key);
      this.#unsaved.add(each.key);
      if (this.#open.get(each.fingerprint) === each.key) this.#open.delete(each.fingerprint);
    }
  }

  /** Forgets alerts that are over and told since long ago. */
  expire(nowMs: number): void {
    for (const notice of this.#notices.values()) {
      const { status, deliveredMs } = notice;
      if (status === 'resolved' && deliveredMs !== undefined && nowMs - deliveredMs > TOLD_RETENTION_MS)
        this.forget(notice);
    }
  }

  /** Writes what changed. @returns false when the database refused; the next call tries again */
  save(): boolean {
    if (this.#unsaved.size === 0) return true;
    const { database } = this.#store;
    const saved = this.#store.write(() => {
      const put = database.prepare(
        'INSERT OR REPLACE INTO notices (key, made_ms, delivered_ms, instance) VALUES (?, ?, ?, ?)',
      );
      const remove = database.prepare('DELETE FROM notices WHERE key = ?');
      for (const key of this.#unsaved) {
        const notice = this.#notices.get(key);
        if (notice === undefined) remove.run(key);
        else
          put.run(
            key,
            Math.round(notice.madeMs),
            notice.deliveredMs === undefined ? null : Math.round(notice.deliveredMs),
            JSON.stringify(notice.instance),
          );
      }
    });
    if (saved) this.#unsaved.clear();
    return saved;
  }

  #put(notice: Notice): void {
    this.#notices.set(notice.key, notice);
    this.#unsaved.add(notice.key);
  }

  #bound(): void {
    while (this.#notices.size > this.#limit) {
      const rank = ({ status, deliveredMs }: Notice): number =>
        status === 'resolved' ? (deliveredMs === undefined ? 1 : 0) : 2;
      let first: Notice | undefined;
      for (const notice of this.#notices.values()) {
        const before =
          first === undefined ||
          rank(notice) < rank(first) ||
          (rank(notice) === rank(first) && notice.madeMs < first.madeMs);
        if (before) first = notice;
      }
      if (first === undefined) return;
      for (const each of [this.firingOf(first), this.resolvedOf(first)]) {
        if (each !== undefined && each.deliveredMs === undefined) this.dropped += 1;
      }
      this.forget(first);
    }
  }
}
