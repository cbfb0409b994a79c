/**
 * Who may enter: counts queries and the bytes that they make the gateway hold. Both limits are checked before
 * a body is read, so that overload costs an answer and nothing else.
 *
 * Answers are counted beside the bodies. They cannot be refused any more, so they may pass the limit, and
 * then no further body is taken until they are written.
 */
export interface AdmissionLimits {
  readonly inFlightLimit: number;
  readonly bytesLimit: number;
}

export class Admission {
  readonly limits: AdmissionLimits;
  #inFlight = 0;
  #heldBytes = 0;

  constructor(limits: AdmissionLimits) {
    this.limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** @returns false at the limit: nothing was taken */
  enter(): boolean {
    if (this.#inFlight >= this.limits.inFlightLimit) return false;
    this.#inFlight += 1;
    return true;
  }

  leave(): void {
    this.#inFlight -= 1;
  }

  /**
   * Takes room for a body. A body larger than the whole room is taken when nothing else is held, or its
   * sender would wait for ever.
   * @returns false when there is none: nothing was taken
   */
  hold(bytes: number): boolean {
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > this.limits.bytesLimit) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Takes room for what is already here. */
  holdAnswer(bytes: number): void {
    this.#heldBytes += bytes;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}
