/** What the page and the commands ask of alerts, silences and objectives, and what they say of them. */
import type { IncomingMessage } from 'node:http';
import { VitrineError } from '../contract/errors.ts';
import { requireDeliberate } from '../lifecycle/http_guard.ts';
import type { Evaluator } from './evaluator/evaluator.ts';
import { objectiveStatus } from './evaluator/objective_status.ts';
import { parseMatcher } from './notifier/matcher.ts';
import type { OpenedNotifier } from './notifier/open_notifier.ts';
import { SILENCE_LIMIT_S } from './notifier/silences.ts';

const BODY_LIMIT_BYTES = 16 * 1024;
const BY_LIMIT_CHARS = 200;
const COMMENT_LIMIT_CHARS = 2000;
const MATCHER_LIMIT_CHARS = 4096;
const ALERT_PATH = /^\/console\/alerts\/([0-9a-f]{16})(\/acknowledge)?$/;
const SILENCE_END_PATH = /^\/console\/silences\/([0-9a-f]{8})\/end$/;
/** Paths that take POST alone. */
export const POST_PATH =
  /^\/console\/(?:alerts\/[0-9a-f]{16}\/acknowledge|alerts\/test|silences\/[0-9a-f]{8}\/end)$/;
const GET_PATH = /^\/console\/(?:alerts(?:\/[0-9a-f]{16})?|objectives|silences)$/;

export interface AlertRoutes {
  /** @returns the answer's value; undefined when the path is not one of these */
  handle(request: IncomingMessage, path: string): Promise<{ readonly value: unknown } | undefined>;
}

async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT_BYTES) {
      throw new VitrineError('payload_too_large', `the body may have at most ${BODY_LIMIT_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new VitrineError('invalid_json', 'the body is no JSON; send an object such as {"by": "..."}');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new VitrineError('invalid_request', 'the body must be an object such as {"by": "..."}');
  }
  return value as Readonly<Record<string, unknown>>;
}

function textField(
  body: Readonly<Record<string, unknown>>,
  field: string,
  { limit, required }: { readonly limit: number; readonly required: boolean },
): string {
  const value = body[field] ?? '';
  if (typeof value === 'string' && value.length <= limit && (value.trim() !== '' || !required))
    return value.trim();
  throw new VitrineError(
    'invalid_request',
    `${field} must be text of ${required ? '1' : '0'} to ${limit} characters`,
    { field },
  );
}

/** @throws VitrineError when the field is no number of seconds that a silence may last */
function silenceSeconds({ forS }: Readonly<Record<string, unknown>>): number {
  if (typeof forS === 'number' && forS >= 1 && forS <= SILENCE_LIMIT_S) return forS;
  throw new VitrineError(
    'invalid_request',
    `forS must be a number of seconds from 1 to ${SILENCE_LIMIT_S}, which is 30 days`,
    { field: 'forS' },
  );
}

export function createAlertRoutes(
  evaluator: Evaluator,
  { notifier, test }: OpenedNotifier,
  nowMs: () => number,
): AlertRoutes {
  const { engine } = evaluator;
  const notFound = (fingerprint: string, what: string): VitrineError =>
    new VitrineError(
      'not_found',
      `no ${what} has the fingerprint ${fingerprint}; GET /console/alerts lists them`,
    );

  const read = (path: string): unknown => {
    if (path === '/console/alerts') return { alerts: engine.alerts() };
    if (path === '/console/silences') return { silences: notifier.silences() };
    if (path === '/console/objectives')
      return { timeScale: evaluator.plan.timeScale, objectives: objectiveStatus(evaluator, nowMs()) };
    const [, fingerprint = ''] = ALERT_PATH.exec(path) ?? [];
    const alert = engine.alert(fingerprint);
    if (alert === undefined) throw notFound(fingerprint, 'alert');
    return { alert, promql: engine.ruleOf(fingerprint)?.promql, events: engine.timeline(fingerprint) };
  };

  const change = async (request: IncomingMessage, path: string): Promise<unknown> => {
    requireDeliberate(request.headers, new Set());
    const body = await readJson(request);
    const by = textField(body, 'by', { limit: BY_LIMIT_CHARS, required: true });
    if (path === '/console/alerts/test') return { results: [await test(by)] };
    if (path === '/console/silences') {
      const matcher = parseMatcher(
        textField(body, 'matcher', { limit: MATCHER_LIMIT_CHARS, required: true }),
      );
      const reason = textField(body, 'reason', { limit: COMMENT_LIMIT_CHARS, required: true });
      const silence = notifier.silence({ matcher, reason, by, forS: silenceSeconds(body) });
      const holds = engine.active().filter(({ silencedBy }) => silencedBy === silence.id);
      return { silence, holds: holds.map(({ fingerprint }) => fingerprint) };
    }
    const [, silenceId] = SILENCE_END_PATH.exec(path) ?? [];
    if (silenceId !== undefined) return { silence: notifier.endSilence(silenceId, by) };
    const [, fingerprint = ''] = ALERT_PATH.exec(path) ?? [];
    const comment = textField(body, 'comment', { limit: COMMENT_LIMIT_CHARS, required: false });
    const alert = engine.acknowledge(fingerprint, by, comment);
    if (alert === undefined) throw notFound(fingerprint, 'pending or firing alert');
    return { alert, events: engine.timeline(fingerprint) };
  };

  return {
    async handle(request, path) {
      const reads = GET_PATH.test(path);
      const changes = POST_PATH.test(path) || path === '/console/silences';
      if (!reads && !changes) return undefined;
      const { method } = request;
      if (reads && (method === 'GET' || method === 'HEAD')) return { value: read(path) };
      if (changes && method === 'POST') return { value: await change(request, path) };
      throw new VitrineError('method_not_allowed', `${path} takes ${reads ? 'GET' : 'POST'}`);
    },
  };
}
