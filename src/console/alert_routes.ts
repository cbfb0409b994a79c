/** What the page and the commands ask of alerts and objectives. */
import type { IncomingMessage } from 'node:http';
import { VitrineError } from '../contract/errors.ts';
import { requireDeliberate } from '../lifecycle/http_guard.ts';
import type { Evaluator } from './evaluator/evaluator.ts';
import { objectiveStatus } from './evaluator/objective_status.ts';

const BODY_LIMIT_BYTES = 16 * 1024;
const BY_LIMIT_CHARS = 200;
const COMMENT_LIMIT_CHARS = 2000;
const ALERT_PATH = /^\/console\/alerts\/([0-9a-f]{16})(\/acknowledge)?$/;

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
    throw new VitrineError('invalid_json', 'the body is no JSON; send {"by": "...", "comment": "..."}');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new VitrineError('invalid_request', 'the body must be an object: {"by": "...", "comment": "..."}');
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

export function createAlertRoutes(evaluator: Evaluator, nowMs: () => number = Date.now): AlertRoutes {
  const { engine } = evaluator;
  const notFound = (fingerprint: string, what: string): VitrineError =>
    new VitrineError(
      'not_found',
      `no ${what} has the fingerprint ${fingerprint}; GET /console/alerts lists them`,
    );

  const acknowledge = async (request: IncomingMessage, fingerprint: string) => {
    requireDeliberate(request.headers, new Set());
    const body = await readJson(request);
    const by = textField(body, 'by', { limit: BY_LIMIT_CHARS, required: true });
    const comment = textField(body, 'comment', { limit: COMMENT_LIMIT_CHARS, required: false });
    const alert = engine.acknowledge(fingerprint, by, comment);
    if (alert === undefined) throw notFound(fingerprint, 'pending or firing alert');
    return { value: { alert, events: engine.timeline(fingerprint) } };
  };

  return {
    async handle(request, path) {
      const [, fingerprint, action] = ALERT_PATH.exec(path) ?? [];
      const known = fingerprint !== undefined || path === '/console/alerts' || path === '/console/objectives';
      if (!known) return undefined;
      const method = action === undefined ? ['GET', 'HEAD'] : ['POST'];
      if (!method.includes(request.method ?? '')) {
        throw new VitrineError('method_not_allowed', `${path} takes ${method[0]}`);
      }
      if (path === '/console/alerts') return { value: { alerts: engine.alerts() } };
      if (path === '/console/objectives')
        return { value: { objectives: objectiveStatus(evaluator, nowMs()) } };
      if (fingerprint === undefined) return undefined;
      if (action !== undefined) return acknowledge(request, fingerprint);
      const alert = engine.alert(fingerprint);
      if (alert === undefined) throw notFound(fingerprint, 'alert');
      const rule = engine.ruleOf(fingerprint);
      return { value: { alert, promql: rule?.promql, events: engine.timeline(fingerprint) } };
    },
  };
}
