/** Questions to the console and to the gateway, with errors that say what to do. */

const TIMEOUT_MS = 10_000;

export class ApiError extends Error {
  /** @param {string} message @param {number} status 0 when no answer came @param {Headers} [headers] */
  constructor(message, status, headers) {
    super(message);
    this.status = status;
    this.headers = headers ?? new Headers();
  }
}

/** @param {unknown} body @returns {string} what an error answer of the console, the query API or the gateway says */
function errorText(body) {
  const error = typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined;
  if (typeof error === 'string') return error;
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message);
  return '';
}

/**
 * @param {string} url
 * @param {RequestInit & {timeoutMs?: number, who: string, whenSilent: string}} options
 * @returns {Promise<{body: any, headers: Headers}>}
 * @throws {ApiError} and, when the caller aborted, an AbortError
 */
async function ask(url, { timeoutMs = TIMEOUT_MS, who, whenSilent, signal, ...init }) {
  const timeout = AbortSignal.timeout(timeoutMs);
  const both = signal === undefined || signal === null ? timeout : AbortSignal.any([signal, timeout]);
  let response;
  let text;
  try {
    response = await fetch(url, { ...init, signal: both, redirect: 'error' });
    text = await response.text();
  } catch {
    signal?.throwIfAborted();
    if (timeout.aborted) throw new ApiError(`${who} did not answer within ${timeoutMs / 1000} s.`, 0);
    throw new ApiError(`${who} does not answer. ${whenSilent}`, 0);
  }
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    if (response.ok) throw new ApiError(`${who} gave an answer that is not JSON.`, response.status);
  }
  if (!response.ok) {
    const told = errorText(body);
    throw new ApiError(
      told === '' ? `${who} answered with status ${response.status}.` : told,
      response.status,
      response.headers,
    );
  }
  return { body, headers: response.headers };
}

/**
 * @param {string} path of the console
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export async function consoleJson(path, signal) {
  const { body } = await ask(path, {
    signal,
    who: 'The console',
    whenSilent: 'Is it running? It is part of npm start.',
    headers: { accept: 'application/json' },
  });
  return body;
}

/**
 * Says something to the console that changes its state.
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export async function consolePost(path, body, signal) {
  const answer = await ask(path, {
    signal,
    who: 'The console',
    whenSilent: 'Is it running? It is part of npm start.',
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', 'x-vitrine-request': '1' },
  });
  return answer.body;
}

/**
 * @param {string} gatewayUrl
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {string} [json] makes it a POST
 * @param {number} [timeoutMs]
 */
export function gatewayJson(gatewayUrl, path, signal, json, timeoutMs) {
  return ask(`${gatewayUrl.replace(/\/+$/, '')}${path}`, {
    signal,
    who: `The gateway at ${gatewayUrl}`,
    whenSilent: 'Is it running, and does its VITRINE_GATEWAY_CONSOLE_URL name the address of this page?',
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(json === undefined
      ? {}
      : { method: 'POST', body: json, headers: { 'content-type': 'application/json' } }),
  });
}
