/**
 * What Alertmanager posts to a webhook, version 4: read as far as evidence needs it, and written again with every
 * member that it had, known or not.
 * https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 */
import { createHash } from 'node:crypto';

export interface WebhookAlert {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Unix milliseconds. */
  readonly startsAtMs: number;
  readonly fingerprint: string;
}

export interface WebhookMessage {
  readonly alerts: readonly WebhookAlert[];
  /** Equal for messages that tell a receiver the same: which alerts of which group, begun and ended when. */
  readonly key: string;
  /** The body with further annotations. @param added by place of the alert; those that it has are kept */
  withAnnotations(added: ReadonlyMap<number, Readonly<Record<string, string>>>): string;
}

/** Alertmanager sends whole groups; further alerts of one go on as they are. */
const ALERTS_READ_LIMIT = 1000;

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function texts(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function readAlert(value: unknown): WebhookAlert | undefined {
  if (!isObject(value) || !isObject(value.labels)) return undefined;
  const startsAtMs = Date.parse(String(value.startsAt));
  if ((value.status !== 'firing' && value.status !== 'resolved') || Number.isNaN(startsAtMs))
    return undefined;
  const labels = texts(value.labels);
  return {
    status: value.status,
    labels,
    annotations: texts(value.annotations),
    startsAtMs,
    fingerprint:
      typeof value.fingerprint === 'string'
        ? value.fingerprint
        : JSON.stringify(Object.entries(labels).sort()),
  };
}

/** Of what was added, what every alert has with the same value; nothing where the message leaves alerts out. */
function addedToAll(body: Json, annotated: readonly Json[], added: Iterable<string>): Json {
  if (typeof body.truncatedAlerts === 'number' && body.truncatedAlerts > 0) return {};
  const all = annotated.map(({ annotations }) => texts(annotations));
  const [first = {}, ...others] = all;
  return Object.fromEntries(
    [...added].flatMap((name) =>
      first[name] !== undefined && others.every((each) => each[name] === first[name])
        ? [[name, first[name]]]
        : [],
    ),
  );
}

function keyOf(body: Json, alerts: readonly unknown[]): string {
  const identities = alerts.map((alert) => {
    const { fingerprint, labels, status, startsAt, endsAt } = isObject(alert) ? alert : {};
    return JSON.stringify([fingerprint ?? labels, status, startsAt, status === 'resolved' ? endsAt : '']);
  });
  const parts = [body.groupKey, body.receiver, body.truncatedAlerts, ...identities.sort()];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

/** @returns undefined for what is no such message; it is forwarded all the same */
export function readWebhookMessage(bytes: Buffer): WebhookMessage | undefined {
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  if (!isObject(body) || body.version !== '4' || !Array.isArray(body.alerts)) return undefined;
  const { alerts } = body;
  const read = alerts.slice(0, ALERTS_READ_LIMIT).map(readAlert);
  if (!read.every((alert) => alert !== undefined)) return undefined;
  return {
    alerts: read,
    key: keyOf(body, alerts),
    withAnnotations(added) {
      const annotated = alerts.map((alert: Json, index): Json => {
        const more = added.get(index);
        return more === undefined
          ? alert
          : { ...alert, annotations: { ...more, ...(alert.annotations as Json) } };
      });
      const names = new Set([...added.values()].flatMap((each) => Object.keys(each)));
      const commonAnnotations = {
        ...addedToAll(body as Json, annotated, names),
        ...texts((body as Json).commonAnnotations),
      };
      return JSON.stringify({ ...(body as Json), commonAnnotations, alerts: annotated });
    },
  };
}
