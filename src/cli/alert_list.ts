/** Alerts and silences as text for a terminal. */
import type { AlertInstance, Silence } from '../contract/alerts.ts';
import { plain } from './terminal.ts';

const RESOLVED_SHOWN = 5;
const RANK = { firing: 0, pending: 1, resolved: 2 } as const;
const LABELS_LEFT_OUT = new Set(['alertname', 'severity', 'system']);

/** `2 min`, `3 h`: a span of time in its largest unit. */
function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

function when(alert: AlertInstance, nowMs: number): string {
  const { state, firingSinceMs, pendingSinceMs, resolvedAtMs } = alert;
  if (state === 'resolved')
    return `ended ${span(nowMs - (resolvedAtMs ?? nowMs))} ago, after ${span((resolvedAtMs ?? nowMs) - (firingSinceMs ?? pendingSinceMs))}`;
  return state === 'firing'
    ? `for ${span(nowMs - (firingSinceMs ?? pendingSinceMs))}`
    : `holds for ${span(nowMs - pendingSinceMs)}, not long enough yet`;
}

function remarks({ acknowledged, silencedBy, inhibitedBy }: AlertInstance): string[] {
  return [
    ...(acknowledged === undefined
      ? []
      : [
          `acknowledged by ${acknowledged.by}${acknowledged.comment === '' ? '' : `: ${acknowledged.comment}`}`,
        ]),
    ...(silencedBy === undefined ? [] : [`silenced by ${silencedBy}`]),
    ...(inhibitedBy === undefined ? [] : [`held back: ${inhibitedBy} is its cause`]),
  ];
}

function alertText(alert: AlertInstance, nowMs: number): string {
  const { state, severity, name, annotations, evidence, fingerprint } = alert;
  const labels = Object.entries(alert.labels).filter(([label]) => !LABELS_LEFT_OUT.has(label));
  const lines = [
    `${state.toUpperCase()}  ${severity}  ${name}  ${when(alert, nowMs)}  [${fingerprint}]`,
    annotations.summary ?? '',
    state === 'resolved' ? '' : (annotations.description ?? ''),
    labels.map(([label, value]) => `${label}=${value}`).join(', '),
    ...remarks(alert),
    ...(evidence === undefined || state === 'resolved' ? [] : evidence.text.split('\n')),
    state === 'resolved' ? '' : (annotations.runbook_url ?? ''),
  ];
  const [head = '', ...rest] = lines.map(plain).filter((line) => line !== '');
  return [head, ...rest.map((line) => `  ${line}`)].join('\n');
}

function silenceText({ id, matcher, reason, by, endsAtMs }: Silence, nowMs: number): string {
  const parts = Object.entries(matcher).map(([label, value]) => `${label}=${value}`);
  return plain(`SILENCE  ${id}  ${parts.join(', ')}  ends in ${span(endsAtMs - nowMs)}  by ${by}: ${reason}`);
}

/** Firing ones first; of those that ended, the last few. The alert that always fires is left out. */
export function alertList(
  alerts: readonly AlertInstance[],
  silences: readonly Silence[],
  nowMs: number,
): string {
  const shown = alerts.filter(({ name }) => name !== 'VitrineWatchdog');
  const active = shown
    .filter(({ state }) => state !== 'resolved')
    .sort((a, b) => RANK[a.state] - RANK[b.state] || a.pendingSinceMs - b.pendingSinceMs);
  const resolved = shown.filter(({ state }) => state === 'resolved').slice(0, RESOLVED_SHOWN);
  return [
    ...(active.length === 0 ? ['Nothing fires.'] : active.map((alert) => alertText(alert, nowMs))),
    ...resolved.map((alert) => alertText(alert, nowMs)),
    ...silences.map((silence) => silenceText(silence, nowMs)),
  ].join('\n\n');
}
