/** One question to the console, with its token when there is one. */
import { createTransport, jsonOfAnswer } from '../client/transport.ts';
import { loadConfig } from '../config/load.ts';
import { CSRF } from '../contract/headers.ts';
import { consoleUrl } from './addresses.ts';

const ANSWER_LIMIT_BYTES = 64 * 1024 ** 2;
/** A test message waits for its receiver, which has ten seconds. */
const TIMEOUT_MS = 15_000;

/**
 * @param given the value of `--console`, when there is one
 * @param body makes it a POST
 * @throws ClientError when no answer came, or it is an error
 */
export async function callConsole(given: string | undefined, path: string, body?: object): Promise<unknown> {
  const { origin, pathname } = new URL(consoleUrl(given));
  const { token } = loadConfig().console;
  await using transport = createTransport({ connections: 1, answerLimitBytes: ANSWER_LIMIT_BYTES });
  const answer = await transport.exchange({
    origin,
    method: body === undefined ? 'GET' : 'POST',
    path: pathname.replace(/\/+$/, '') + path,
    headers: {
      accept: 'application/json',
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json', [CSRF]: '1' }),
    },
    ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
    timeoutMs: TIMEOUT_MS,
    whenRefused: 'start the console (it is part of `npm start`), or give its address with --console',
  });
  return jsonOfAnswer(answer, origin);
}
