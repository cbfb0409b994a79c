/**
 * Asks one HTTP service for JSON: Prometheus, Jaeger, the console. The address comes from the configuration alone;
 * no redirect is followed; answers, connections and questions that wait are bounded.
 */
import { Agent } from 'undici';

export interface JsonSourceOptions {
  /** Without a slash at the end. */
  readonly url: string;
  /** Empty: none is sent. */
  readonly token: string;
  readonly connectionsLimit: number;
  readonly answerLimitBytes: number;
}

export interface JsonAnswer {
  readonly status: number;
  readonly json: unknown;
}

/** No answer that can be used: `reason` is for people and holds no secret. */
export class SourceError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'SourceError';
  }
}

export interface JsonSource extends AsyncDisposable {
  /** Counters since the start. */
  readonly asked: { readonly ok: number; readonly failed: number };
  /**
   * @param path begins with a slash
   * @param accepts further statuses below 500 that are an answer; 200 always is
   * @throws SourceError
   */
  get(
    path: string,
    parameters: Readonly<Record<string, string>>,
    options: { readonly signal: AbortSignal; readonly accepts?: readonly number[] },
  ): Promise<JsonAnswer>;
}

/** Questions that wait for a connection; further ones fail. */
const WAITING_LIMIT = 256;

/** @param name of the service, for reasons: `Prometheus` */
export function createJsonSource(name: string, options: JsonSourceOptions): JsonSource {
  const { origin, pathname } = new URL(options.url);
  const prefix = pathname.replace(/\/$/, '');
  const agent = new Agent({
    connections: options.connectionsLimit,
    pipelining: 1,
    maxResponseSize: options.answerLimitBytes,
  });
  const asked = { ok: 0, failed: 0 };
  let open = 0;

  const ask: JsonSource['get'] = async (path, parameters, { signal, accepts = [] }) => {
    const query = new URLSearchParams(parameters).toString();
    const answer = await agent.request({
      origin,
      path: `${prefix}${path}${query === '' ? '' : `?${query}`}`,
      method: 'GET',
      headers: {
        accept: 'application/json',
        'user-agent': 'vitrine',
        ...(options.token === '' ? {} : { authorization: `Bearer ${options.token}` }),
      },
      signal,
    });
    const { statusCode: status } = answer;
    const text = await answer.body.text();
    if (status !== 200 && !accepts.includes(status))
      throw new SourceError(`${name} answered status ${status}`);
    try {
      return { status, json: JSON.parse(text) };
    } catch {
      // Jaeger answers a path that it does not have with its web page.
      throw new SourceError(`${name} answered with something else than JSON`);
    }
  };

  return {
    asked,
    async get(path, parameters, how) {
      if (open >= WAITING_LIMIT) {
        asked.failed += 1;
        throw new SourceError(`too many questions to ${name} at once`);
      }
      open += 1;
      try {
        const answer = await ask(path, parameters, how);
        asked.ok += 1;
        return answer;
      } catch (error) {
        asked.failed += 1;
        if (error instanceof SourceError) throw error;
        if (how.signal.aborted) throw new SourceError(`${name} did not answer in time`);
        const code = (error as NodeJS.ErrnoException).code ?? '';
        const known = /^[A-Z_]{1,50}$/.test(code) ? ` (${code})` : '';
        throw new SourceError(`${name} could not be reached${known}`);
      } finally {
        open -= 1;
      }
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
    },
  };
}
