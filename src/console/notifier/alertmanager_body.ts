/** The body that Alertmanager posts to a webhook, version 4, so that whatever reads Alertmanager reads us. */
import { cleanText } from '../../contract/clean_text.ts';
import { alertUrl, type GroupMessage, type MessageAlert, statusOf } from './message.ts';

/** Alertmanager's zero time: the alert has not ended. */
const NOT_ENDED = '0001-01-01T00:00:00Z';

type Texts = Readonly<Record<string, string>>;

function annotationsOf({ instance }: MessageAlert, consoleUrl: string): Texts {
  const { evidence, annotations, fingerprint } = instance;
  const texts = Object.entries(annotations).map(([name, text]) => [name, cleanText(text)]);
  return {
    ...Object.fromEntries(texts),
    ...(evidence === undefined ? {} : { evidence: cleanText(evidence.text) }),
    evidence_url: alertUrl(consoleUrl, fingerprint),
  };
}

/** What all have with the same value. */
function common(all: readonly Texts[]): Texts {
  const [first = {}, ...others] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((each) => each[name] === value)),
  );
}

/** @param consoleUrl where links lead; no slash at the end */
export function alertmanagerBody(message: GroupMessage, consoleUrl: string): string {
  const { groupLabels } = message;
  const group = Object.entries(groupLabels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  const alerts = message.alerts.map((alert) => {
    const { status, instance } = alert;
    return {
      status,
      labels: instance.labels,
      annotations: annotationsOf(alert, consoleUrl),
      startsAt: new Date(instance.firingSinceMs ?? instance.pendingSinceMs).toISOString(),
      endsAt:
        status === 'firing' || instance.resolvedAtMs === undefined
          ? NOT_ENDED
          : new Date(instance.resolvedAtMs).toISOString(),
      generatorURL: alertUrl(consoleUrl, instance.fingerprint),
      fingerprint: instance.fingerprint,
    };
  });
  return JSON.stringify({
    version: '4',
    groupKey: `{}:{${group.join(', ')}}`,
    truncatedAlerts: message.truncatedAlerts,
    status: statusOf(message),
    receiver: 'vitrine',
    groupLabels,
    commonLabels: common(alerts.map(({ labels }) => labels)),
    commonAnnotations: common(alerts.map(({ annotations }) => annotations)),
    externalURL: consoleUrl,
    alerts,
  });
}
