/** One message to a receiver: the alerts of one group, before it becomes a body. */
import { stripVTControlCharacters } from 'node:util';
import type { AlertInstance } from '../../contract/alerts.ts';

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

export function statusOf({ alerts }: GroupMessage): NoticeStatus {
  return alerts.some(({ status }) => status === 'firing') ? 'firing' : 'resolved';
}

/** The page of one alert, with its evidence and timeline. */
export function alertUrl(consoleUrl: string, fingerprint: string): string {
  return `${consoleUrl}/alerts/${fingerprint}`;
}

/** C0 and C1 controls but line feed and tab, and marks that hide text or reverse its direction. */
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text for people: no escape sequence, no control character, no reversal. */
export function cleanText(text: string): string {
  return stripVTControlCharacters(text).replace(UNSAFE, '');
}
