/**
 * One query whose body was, or may have been, with a worker when it crashed: its standing in quarantine, and
 * its place in a worker's probation lane. Ordinary queries never have one.
 */
import type { VitrineError } from '../contract/errors.ts';
import { bodyKey, type Quarantine } from './quarantine.ts';
import { quarantined } from './refusals.ts';
import type { WorkerLink } from './worker_link.ts';

export class Probation {
  readonly #quarantine: Quarantine;
  readonly #key: string;
  readonly #lengthBytes: number;
  #needsLane = false;
  #patient = true;
  #laneOf: WorkerLink | undefined;

  constructor(quarantine: Quarantine, model: string, body: Uint8Array) {
    this.#quarantine = quarantine;
    this.#key = bodyKey(model, body);
    this.#lengthBytes = body.length;
  }

  get needsLane(): boolean {
    return this.#needsLane;
  }

  /** Looks the body's standing up, which other queries with the same body may have changed. @returns the refusal of a quarantined one */
  look(): VitrineError | undefined {
    const nowMs = performance.now();
    const standing = this.#quarantine.standing(this.#key, nowMs);
    this.#needsLane = standing === 'suspect' && this.#patient;
    return standing === 'quarantined' ? quarantined(this.#quarantine.leftMs(this.#key, nowMs)) : undefined;
  }

  /** The wait for a lane was long: it goes beside another suspect, and cannot be condemned there. */
  goWithoutLane(): void {
    this.#patient = false;
    this.#needsLane = false;
  }

  enterLane(worker: WorkerLink): void {
    if (!this.#needsLane) return;
    worker.lane = this;
    this.#laneOf = worker;
  }

  /** @returns whether a lane became free */
  leaveLane(): boolean {
    const worker = this.#laneOf;
    if (worker === undefined) return false;
    this.#laneOf = undefined;
    worker.lane = undefined;
    return true;
  }

  /** The worker is gone, and the body was there. */
  crashed(worker: WorkerLink): void {
    const nowMs = performance.now();
    if (this.#laneOf === worker) this.#quarantine.condemn(this.#key, this.#lengthBytes, nowMs);
    else this.#quarantine.suspect(this.#key, this.#lengthBytes, nowMs);
  }

  /** A worker answered, whatever it said: the body takes none down. */
  answered(): void {
    this.#quarantine.absolve(this.#key);
  }
}
