/**
 * Remembers which messages were delivered, so that the same one is not sent twice: several Alertmanagers of a
 * cluster may send it, and one sends it again when our answer was lost. A message in work is shared by all who send
 * it meanwhile; one that was not delivered is forgotten, so that the next try is a real one.
 */
export interface DeliveredMessagesOptions {
  /** How long a delivered message is remembered, in milliseconds. 0: not at all. */
  readonly windowMs: number;
  /** Messages remembered at once; beyond it the oldest is forgotten early, and counted. */
  readonly limit: number;
  /** A clock that only goes forward, in milliseconds. */
  readonly nowMs: () => number;
}

interface Entry<R> {
  readonly result: Promise<R>;
  /** Undefined while in work. */
  deliveredAtMs: number | undefined;
}

export class DeliveredMessages<R> {
  readonly #options: DeliveredMessagesOptions;
  /** In the order in which they came. */
  readonly #entries = new Map<string, Entry<R>>();
  /** Forgotten early. */
  forgotten = 0;

  constructor(options: DeliveredMessagesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Delivers a message unless it is being delivered or was, within the window.
   * @param deliver never throws
   * @param isDelivered whether a result means that it must not be sent again
   */
  async once(
    key: string,
    deliver: () => Promise<R>,
    isDelivered: (result: R) => boolean,
  ): Promise<{ readonly result: R; readonly duplicate: boolean }> {
    this.#expire();
    const known = this.#entries.get(key);
    if (known !== undefined) return { result: await known.result, duplicate: true };
    const entry: Entry<R> = { result: deliver(), deliveredAtMs: undefined };
    this.#entries.set(key, entry);
    if (this.#entries.size > this.#options.limit) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
      this.forgotten += 1;
    }
    const result = await entry.result;
    if (isDelivered(result) && this.#options.windowMs > 0) entry.deliveredAtMs = this.#options.nowMs();
    else if (this.#entries.get(key) === entry) this.#entries.delete(key);
    return { result, duplicate: false };
  }

  #expire(): void {
    const before = this.#options.nowMs() - this.#options.windowMs;
    for (const [key, { deliveredAtMs }] of this.#entries) {
      if (deliveredAtMs !== undefined && deliveredAtMs <= before) this.#entries.delete(key);
    }
  }
}
