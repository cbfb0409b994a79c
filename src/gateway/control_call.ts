/** Short calls to a worker beside its queries: model metadata, late verdicts. */
import type { Client } from 'undici';

/** Longest wait for the whole answer. */
const CALL_TIMEOUT_MS = 2000;
const ANSWER_LIMIT_BYTES = 8 * 1024 * 1024;

export interface ControlAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** @throws Error when the connection breaks, no answer comes in time, or it is longer than 8 MiB */
export async function controlCall(
  client: Client,
  call: { method: 'GET' | 'POST'; path: string; headers: readonly string[]; body?: string },
): Promise<ControlAnswer> {
  const answer = await client.request({
    method: call.method,
    path: call.path,
    headers: [...call.headers],
    body: call.body ?? null,
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_LIMIT_BYTES) throw new Error(`the answer is longer than ${ANSWER_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  const type = answer.headers['content-type'];
  return {
    status: answer.statusCode,
    contentType: typeof type === 'string' ? type : 'application/json',
    body: Buffer.concat(chunks),
  };
}
