/**
 * Silences: what people hold back for a while, with a reason and an end. They lapse by themselves, survive a
 * restart, and are bounded: SILENCES_LIMIT at a time, none longer than SILENCE_LIMIT_S.
 */

import { randomBytes } from 'node:crypto';
import type { AlertInstance, AlertMatcher, Silence } from '../../contract/alerts.ts';
import { VitrineError } from '../../contract/errors.ts';
import type { StateDatabase } from '../../traces/state_database.ts';
import { matches } from './matcher.ts';

const SILENCES_LIMIT = 200;
export const SILENCE_LIMIT_S = 30 * 86_400;

export interface SilenceRequest {
  readonly matcher: AlertMatcher;
  readonly reason: string;
  readonly by: string;
  /** From now. */
  readonly forS: number;
}

export class Silences {
  readonly #store: StateDatabase;
  readonly #silences = new Map<string, Silence>();
  readonly #unsaved = new Set<string>();

  constructor(store: StateDatabase) {
    this.#store = store;
    for (const { body } of store.database.prepare('SELECT body FROM silences').all()) {
      const silence = JSON.parse(String(body)) as Silence;
      this.#silences.set(silence.id, silence);
    }
  }

  /** Those that hold at this time, the one that ends first at the front. */
  active(nowMs: number): Silence[] {
    return [...this.#silences.values()]
      .filter(({ endsAtMs }) => endsAtMs > nowMs)
      .sort((a, b) => a.endsAtMs - b.endsAtMs);
  }

  /** The silence that holds an alert back; of several the one that lasts longest. */
  of(alert: Pick<AlertInstance, 'name' | 'labels'>, nowMs: number): Silence | undefined {
    return this.active(nowMs).findLast(({ matcher }) => matches(matcher, alert));
  }

  /** @throws VitrineError too_many_requests beyond SILENCES_LIMIT */
  create({ matcher, reason, by, forS }: SilenceRequest, nowMs: number): Silence {
    this.lapse(nowMs);
    if (this.#silences.size >= SILENCES_LIMIT) {
      throw new VitrineError(
        'too_many_requests',
        `there are ${SILENCES_LIMIT} silences; end some of them first`,
      );
    }
    const silence: Silence = {
      id: randomBytes(4).toString('hex'),
      matcher,
      reason,
      by,
      startsAtMs: nowMs,
      endsAtMs: nowMs + forS * 1000,
    };
    this.#silences.set(silence.id, silence);
    this.#unsaved.add(silence.id);
    return silence;
  }

  /** @throws VitrineError not_found */
  end(id: string, nowMs: number): Silence {
    const silence = this.#silences.get(id);
    if (silence === undefined || silence.endsAtMs <= nowMs) {
      throw new VitrineError('not_found', 'no silence has this id; GET /console/silences lists them');
    }
    this.#remove(id);
    return silence;
  }

  /** Forgets those that have ended. */
  lapse(nowMs: number): void {
    for (const { id, endsAtMs } of this.#silences.values()) if (endsAtMs <= nowMs) this.#remove(id);
  }

  #remove(id: string): void {
    this.#silences.delete(id);
    this.#unsaved.add(id);
  }

  /** Writes what changed; what the database refuses is tried again at the next call. */
  save(): void {
    if (this.#unsaved.size === 0) return;
    const { database } = this.#store;
    const saved = this.#store.write(() => {
      const put = database.prepare('INSERT OR REPLACE INTO silences (id, body) VALUES (?, ?)');
      const remove = database.prepare('DELETE FROM silences WHERE id = ?');
      for (const id of this.#unsaved) {
        const silence = this.#silences.get(id);
        if (silence === undefined) remove.run(id);
        else put.run(id, JSON.stringify(silence));
      }
    });
    if (saved) this.#unsaved.clear();
  }
}
