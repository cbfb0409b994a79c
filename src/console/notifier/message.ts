/** One message to a receiver: the alerts of one group, before it becomes a body. */
import type { AlertInstance } from '../../contract/alerts.ts';
import { explains } from '../../contract/evidence.ts';

/** What alerts are grouped by: one message for all with equal values. */
const GROUP_LABELS = ['alertname', 'service', 'model'] as const;

export type GroupLabels = Readonly<Partial<Record<(typeof GROUP_LABELS)[number], string>>>;

export type NoticeStatus = 'firing' | 'resolved';

export interface MessageAlert {
  readonly status: NoticeStatus;
  readonly instance: AlertInstance;
}

export interface GroupMessage {
  readonly groupLabels: GroupLabels;
  readonly alerts: readonly MessageAlert[];
  /** Alerts of the group that did not find room; the next messages bring them. */
  readonly truncatedAlerts: number;
}

/** The group's labels that an alert has. */
export function groupLabelsOf(labels: Readonly<Record<string, string>>): GroupLabels {
  return Object.fromEntries(
    GROUP_LABELS.flatMap((label) => (labels[label] === undefined ? [] : [[label, labels[label]]])),
  );
}

/** Equal for alerts of one group. */
export function groupKeyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(GROUP_LABELS.map((label) => labels[label] ?? ''));
}

/**
 * Whether a page that somebody still has to look at was told without the explanation that it has now.
 * @param told as receivers know it
 */
export function isNewlyExplained(now: AlertInstance, told: AlertInstance | undefined): boolean {
  if (now.severity !== 'page' || now.acknowledged !== undefined) return false;
  return explains(now.evidence) && !explains(told?.evidence);
}

export function statusOf({ alerts }: GroupMessage): NoticeStatus {
  return alerts.some(({ status }) => status === 'firing') ? 'firing' : 'resolved';
}

/** The page of one alert, with its evidence and timeline. */
export function alertUrl(consoleUrl: string, fingerprint: string): string {
  return `${consoleUrl}/alerts/${fingerprint}`;
}
