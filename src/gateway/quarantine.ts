/**
 * Bodies that take workers down, by the SHA-256 of model and body.
 *
 * A body stands `clear` until a worker dies while it is there. Then every body that was in flight on that
 * worker is `suspect`: one of them may have done it, the others are innocent. A suspect is sent again only
 * through the probation lane, in which a worker has one suspect at a time, so that a second crash names its
 * cause: the body in the lane is `quarantined` for a while, and an answered one is clear again. Neither
 * standing outlives quarantineMs.
 *
 * Nothing is hashed on the ordinary path: mayKnow() is false while nothing is known of bodies of that length.
 * At most `capacity` bodies are known; beyond it the oldest is forgotten and counted.
 */
import { hash } from 'node:crypto';

export type Standing = 'clear' | 'suspect' | 'quarantined';

export interface QuarantineOptions {
  /** 0 turns it off: every body stays clear. */
  readonly quarantineMs: number;
  readonly capacity?: number;
}

interface Known {
  readonly standing: 'suspect' | 'quarantined';
  readonly lengthBytes: number;
  readonly untilMs: number;
}

const CAPACITY = 1024;

/** What a body is known by. */
export function bodyKey(model: string, body: Uint8Array): string {
  return `${model}:${hash('sha256', body, 'base64')}`;
}

export class Quarantine {
  readonly #options: Required<QuarantineOptions>;
  /** In the order in which they became known. */
  readonly #known = new Map<string, Known>();
  /** How many known bodies have this length. */
  readonly #lengths = new Map<number, number>();
  #forgotten = 0;

  constructor(options: QuarantineOptions) {
    this.#options = { capacity: CAPACITY, ...options };
  }

  get enabled(): boolean {
    return this.#options.quarantineMs > 0;
  }

  get size(): number {
    return this.#known.size;
  }

  get capacity(): number {
    return this.#options.capacity;
  }

  /** Bodies that had to leave before their time because there were too many. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Whether a body of this length needs to be hashed at all. */
  mayKnow(lengthBytes: number): boolean {
    return this.#lengths.has(lengthBytes);
  }

  standing(key: string, nowMs: number): Standing {
    const known = this.#known.get(key);
    if (known === undefined) return 'clear';
    if (nowMs < known.untilMs) return known.standing;
    this.#forget(key, known);
    return 'clear';
  }

  /** How long the body is still refused. */
  leftMs(key: string, nowMs: number): number {
    return Math.max(0, (this.#known.get(key)?.untilMs ?? nowMs) - nowMs);
  }

  /** The body was in flight on a worker that died. A quarantined one stays so. */
  suspect(key: string, lengthBytes: number, nowMs: number): void {
    if (this.enabled && this.standing(key, nowMs) === 'clear')
      this.#learn('suspect', key, lengthBytes, nowMs);
  }

  /** The body was alone in the probation lane of a worker that died. */
  condemn(key: string, lengthBytes: number, nowMs: number): void {
    if (this.enabled) this.#learn('quarantined', key, lengthBytes, nowMs);
  }

  /** The suspect was answered, whatever the answer. */
  absolve(key: string): void {
    const known = this.#known.get(key);
    if (known?.standing === 'suspect') this.#forget(key, known);
  }

  #learn(standing: Known['standing'], key: string, lengthBytes: number, nowMs: number): void {
    const before = this.#known.get(key);
    if (before !== undefined) this.#forget(key, before);
    for (const [oldest, known] of this.#known) {
      const lapsed = nowMs >= known.untilMs;
      if (!lapsed && this.#known.size < this.#options.capacity) break;
      if (!lapsed) this.#forgotten += 1;
      this.#forget(oldest, known);
    }
    this.#known.set(key, { standing, lengthBytes, untilMs: nowMs + this.#options.quarantineMs });
    this.#lengths.set(lengthBytes, (this.#lengths.get(lengthBytes) ?? 0) + 1);
  }

  #forget(key: string, known: Known): void {
    this.#known.delete(key);
    const left = (this.#lengths.get(known.lengthBytes) ?? 1) - 1;
    if (left > 0) this.#lengths.set(known.lengthBytes, left);
    else this.#lengths.delete(known.lengthBytes);
  }
}
