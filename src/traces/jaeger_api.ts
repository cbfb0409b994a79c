/** One door to both versions of Jaeger's query API: routing, errors in each version's form, JSON text. */
import { VitrineError } from '../contract/errors.ts';
import { answerV1, type JaegerAnswer, jaegerV1Error } from './jaeger_v1.ts';
import { answerV3, jaegerV3Error } from './jaeger_v3.ts';
import type { TraceStore } from './store.ts';
import type { QueryRequest, QueryResponse } from './store_messages.ts';

const PREFIX = '/api/';

/** Whether a path belongs to the query API. */
export function isJaegerPath(path: string): boolean {
  return path.startsWith(PREFIX);
}

function segments(path: string): string[] {
  try {
    return path.slice(PREFIX.length).split('/').map(decodeURIComponent);
  } catch (error) {
    throw new VitrineError('invalid_request', 'the path is not validly percent-encoded', { cause: error });
  }
}

/** Answers one request; errors become answers, so it never throws. */
export function answerJaeger(store: TraceStore, request: QueryRequest, nowMs: number): QueryResponse {
  const isV3 = request.path.startsWith(`${PREFIX}v3/`);
  let answer: JaegerAnswer;
  try {
    if (!isJaegerPath(request.path)) throw new VitrineError('not_found', 'no such path in the query API');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new VitrineError('method_not_allowed', 'the query API takes GET');
    }
    const parameters = new URLSearchParams(request.search);
    const path = segments(request.path);
    answer = isV3 ? answerV3(store, path.slice(1), parameters) : answerV1(store, path, parameters, nowMs);
  } catch (error) {
    answer = isV3 ? jaegerV3Error(error) : jaegerV1Error(error);
  }
  return { status: answer.status, body: JSON.stringify(answer.json) };
}
