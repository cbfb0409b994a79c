/** Sends OTLP bodies over a few connections as fast as they are taken, in a process of its own. */
import { Client } from 'undici';
import { serveBench } from './child.ts';
import { createSpanBodies, SPANS_PER_PAIR } from './span_bodies.ts';

export interface SendTask {
  readonly url: string;
  readonly connections: number;
  /** Numbers of the pairs of bodies to send. */
  readonly fromPair: number;
  readonly pairs: number;
  /** Start of pair 0, see createSpanBodies(). */
  readonly startUs: number;
}

export interface SendResult {
  readonly spans: number;
  readonly bytes: number;
  readonly elapsedMs: number;
  /** Answers that asked to send again later. */
  readonly refused: number;
}

/** A body refused for so long is no longer backpressure. */
const TRIES_LIMIT = 10_000;
const REST_MS = 2;

async function send(task: SendTask): Promise<SendResult> {
  let next = task.fromPair;
  const end = task.fromPair + task.pairs;
  let bytes = 0;
  let refused = 0;
  const startMs = performance.now();
  const connection = async (): Promise<void> => {
    const client = new Client(task.url);
    const bodies = createSpanBodies(task.startUs);
    const post = async (body: Buffer): Promise<void> => {
      for (let attempt = 1; attempt <= TRIES_LIMIT; attempt += 1) {
        const { statusCode, body: answer } = await client.request({
          path: '/v1/traces',
          method: 'POST',
          headers: { 'content-type': 'application/x-protobuf' },
          body,
        });
        const text = await answer.text();
        // An empty answer is full success; anything else tells of spans that were rejected.
        if (statusCode === 200 && text === '') return;
        if (statusCode !== 503) throw new Error(`the receiver answered ${statusCode}: ${text.slice(0, 200)}`);
        refused += 1;
        await new Promise((resolve) => setTimeout(resolve, REST_MS));
      }
      throw new Error('the receiver stayed behind');
    };
    while (next < end) {
      const sequence = next;
      next += 1;
      for (const body of bodies.pair(sequence)) {
        await post(body);
        bytes += body.length;
      }
    }
    await client.close();
  };
  await Promise.all(Array.from({ length: task.connections }, connection));
  return { spans: task.pairs * SPANS_PER_PAIR, bytes, elapsedMs: performance.now() - startMs, refused };
}

serveBench('span-sender', {}, (task) => send(task as SendTask));
