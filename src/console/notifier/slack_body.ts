/**
 * The body of Slack's incoming webhooks, which Mattermost, Rocket.Chat and others take too: everything in `text`,
 * for those that show nothing else, and the same in plain section blocks.
 */

import type { AlertInstance } from '../../contract/alerts.ts';
import { cleanText } from '../../contract/clean_text.ts';
import { alertUrl, type GroupMessage, type MessageAlert } from './message.ts';

/** Slack's limits: 3,000 characters in a section, 50 blocks, and texts are cut beyond 40,000. */
const SECTION_LIMIT_CHARS = 2900;
const ALERTS_SHOWN_LIMIT = 10;
const TRACES_SHOWN_LIMIT = 3;
const LABELS_LEFT_OUT = new Set(['alertname', 'severity', 'system']);

/** Slack's control characters as entities, so that no text can mention people or pose as a link. */
function escaped(text: string): string {
  return cleanText(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** A link; a runbook may be a path in the repository instead. @returns undefined for no address */
function link(url: string, words: string): string | undefined {
  if (/^https?:\/\/[^\s<>|]+$/.test(url)) return `<${url.replaceAll('&', '&amp;')}|${escaped(words)}>`;
  return url === '' ? undefined : escaped(`${words}: ${url}`);
}

function cut(text: string): string {
  return text.length > SECTION_LIMIT_CHARS ? `${text.slice(0, SECTION_LIMIT_CHARS)}…` : text;
}

function time(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function evidenceText({ evidence }: AlertInstance): string | undefined {
  if (evidence === undefined) return undefined;
  return escaped(evidence.text)
    .split('\n')
    .map((line) => `> ${line}`)
    .join('\n');
}

function links({ annotations, evidence, fingerprint }: AlertInstance, consoleUrl: string): string {
  const traces = (evidence?.traces ?? [])
    .slice(0, TRACES_SHOWN_LIMIT)
    .map(({ url, totalMs }) => link(url, `trace ${Math.round(totalMs)} ms`));
  return [
    link(alertUrl(consoleUrl, fingerprint), 'alert'),
    link(annotations.runbook_url ?? '', 'runbook'),
    link(annotations.dashboard_url ?? '', 'dashboard'),
    ...traces,
  ]
    .filter((each) => each !== undefined)
    .join(' · ');
}

function section({ status, instance }: MessageAlert, consoleUrl: string): string {
  const { annotations, firingSinceMs, pendingSinceMs, resolvedAtMs, severity, name } = instance;
  const labels = Object.entries(instance.labels)
    .filter(([label]) => !LABELS_LEFT_OUT.has(label))
    .map(([label, value]) => `${label}=${value}`);
  const times =
    status === 'resolved' && resolvedAtMs !== undefined
      ? `Resolved ${time(resolvedAtMs)}, began ${time(firingSinceMs ?? pendingSinceMs)}`
      : `Since ${time(firingSinceMs ?? pendingSinceMs)}`;
  const lines = [
    `*${status.toUpperCase()} · ${severity} · ${escaped(name)}*`,
    escaped(annotations.summary ?? ''),
    status === 'firing' ? escaped(annotations.description ?? '') : '',
    labels.length === 0 ? '' : escaped(labels.join(', ')),
    times,
    status === 'firing' ? evidenceText(instance) : undefined,
    links(instance, consoleUrl),
  ];
  return cut(lines.filter((line) => line !== undefined && line !== '').join('\n'));
}

/** @param consoleUrl where links lead; no slash at the end */
export function slackBody(message: GroupMessage, consoleUrl: string): string {
  const sections = message.alerts.slice(0, ALERTS_SHOWN_LIMIT).map((alert) => section(alert, consoleUrl));
  const more = message.alerts.length + message.truncatedAlerts - sections.length;
  if (more > 0) sections.push(`and ${more} more: ${consoleUrl}/alerts`);
  return JSON.stringify({
    text: sections.join('\n\n'),
    blocks: sections.map((text) => ({ type: 'section', text: { type: 'mrkdwn', text } })),
  });
}
