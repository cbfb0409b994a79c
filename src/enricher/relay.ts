/**
 * The life of one message: read, given evidence, sent on. Whatever fails on the way, the message that came goes on:
 * as it came, where nothing could be added. It is not stored here: Alertmanager keeps it until we answer that its
 * receiver took it, and sends it again otherwise, so a crash of ours loses nothing.
 */
import type { Log } from '../contract/log.ts';
import type { Outcome, Receiver } from '../lifecycle/outgoing_webhook.ts';
import { DeliveredMessages } from './delivered_messages.ts';
import type { EnricherMeters } from './enricher_metrics.ts';
import type { FindEvidence } from './evidence_desk.ts';
import { readWebhookMessage, type WebhookMessage } from './webhook_message.ts';

/** What came of a message, for Alertmanager. */
export type RelayResult =
  | { readonly kind: 'forwarded'; readonly withEvidence: number; readonly duplicate: boolean }
  /** Sending it again may help. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfterMs: number | undefined }
  /** It would not; the status is the receiver's own. */
  | { readonly kind: 'refused'; readonly reason: string; readonly status: number };

export interface RelayDeps {
  readonly findEvidence: FindEvidence;
  readonly meters: EnricherMeters;
  readonly log: Log;
}

export interface RelayOptions {
  readonly duplicateWindowMs: number;
  /** For evidence, from the arrival of a message on. */
  readonly deadlineMs: number;
}

/** Messages remembered of each receiver. */
const KNOWN_LIMIT = 1000;

interface Delivery {
  readonly outcome: Outcome;
  readonly withEvidence: number;
}

/** Every message to one receiver. */
export class Relay {
  readonly #deps: RelayDeps;
  readonly #options: RelayOptions;
  readonly #name: string;
  readonly #receiver: Receiver;
  readonly #known: DeliveredMessages<Delivery>;

  /** @param name for metrics */
  constructor(deps: RelayDeps, options: RelayOptions, name: string, receiver: Receiver) {
    this.#deps = deps;
    this.#options = options;
    this.#name = name;
    this.#receiver = receiver;
    this.#known = new DeliveredMessages({
      windowMs: options.duplicateWindowMs,
      limit: KNOWN_LIMIT,
      nowMs: () => performance.now(),
    });
  }

  get known(): { readonly size: number; readonly forgotten: number } {
    return { size: this.#known.size, forgotten: this.#known.forgotten };
  }

  /** Never throws. */
  async take(body: Buffer): Promise<RelayResult> {
    const message = readWebhookMessage(body);
    // What we cannot read we cannot compare, either.
    const { result, duplicate } =
      message === undefined
        ? { result: await this.#send(body, 0), duplicate: false }
        : await this.#known.once(
            message.key,
            () => this.#enrichAndSend(body, message),
            ({ outcome }) => outcome.kind === 'delivered',
          );
    return this.#tell(result, duplicate, message !== undefined);
  }

  async #enrichAndSend(body: Buffer, message: WebhookMessage): Promise<Delivery> {
    const { findEvidence, log } = this.#deps;
    let enriched: Buffer | string = body;
    let withEvidence = 0;
    try {
      const added = await findEvidence(message.alerts, this.#options.deadlineMs);
      if (added.size > 0) enriched = message.withAnnotations(added);
      withEvidence = added.size;
    } catch (error) {
      log.error('evidence could not be added; the message goes on as it came', { error });
    }
    return this.#send(enriched, withEvidence);
  }

  async #send(body: Buffer | string, withEvidence: number): Promise<Delivery> {
    const startMs = performance.now();
    const outcome = await this.#receiver.post(body);
    this.#deps.meters.forwarded(this.#name, (performance.now() - startMs) / 1000);
    return { outcome, withEvidence };
  }

  #tell({ outcome, withEvidence }: Delivery, duplicate: boolean, readable: boolean): RelayResult {
    const { meters, log } = this.#deps;
    const receiver = { receiver: this.#name, origin: this.#receiver.origin };
    switch (outcome.kind) {
      case 'delivered':
        meters.message(this.#name, duplicate ? 'duplicate' : readable ? 'forwarded' : 'unreadable');
        return { kind: 'forwarded', withEvidence, duplicate };
      case 'unavailable':
        meters.message(this.#name, 'unavailable');
        if (!duplicate)
          log.warn('a receiver did not take a message', { ...receiver, reason: outcome.reason });
        return { kind: 'unavailable', reason: outcome.reason, retryAfterMs: outcome.retryAfterMs };
      case 'refused':
        meters.message(this.#name, 'refused');
        if (!duplicate) log.error('a receiver refused a message', { ...receiver, reason: outcome.reason });
        return { kind: 'refused', reason: outcome.reason, status: outcome.status };
    }
  }
}
