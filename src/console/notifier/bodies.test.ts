/** What stands in a message: Slack's body, Alertmanager's, and the matchers that people write. */
import { expect, test } from 'vitest';
import type { AlertInstance } from '../../contract/alerts.ts';
import { alertmanagerBody } from './alertmanager_body.ts';
import { parseMatcher } from './matcher.ts';
import type { GroupMessage } from './message.ts';
import { slackBody } from './slack_body.ts';

const START_MS = Date.UTC(2026, 0, 2, 3);
const INSTANCE: AlertInstance = {
  fingerprint: '0123456789abcdef',
  name: 'Slow',
  severity: 'page',
  state: 'firing',
  labels: { alertname: 'Slow', severity: 'page', system: 'vitrine', model: 'a<!channel>"\n' },
  annotations: {
    summary: 'slow\u001b[31m & <!channel>',
    description: 'It is slow.',
    runbook_url: 'docs/runbooks/slow.md',
    dashboard_url: 'https://grafana.example/d/x?a=1&b=2',
  },
  value: 1,
  pendingSinceMs: START_MS - 1000,
  firingSinceMs: START_MS,
  resolvedAtMs: undefined,
  evidence: {
    atMs: START_MS,
    windowS: 300,
    baselineS: 3600,
    subject: 'latency',
    stage: undefined,
    stages: [],
    places: [],
    sinceMs: undefined,
    circumstances: [],
    traces: [
      {
        traceId: 'f'.repeat(32),
        totalMs: 250.4,
        stage: 'compute',
        stageMs: 240,
        worker: 'w',
        url: 'http://c/trace/f',
      },
    ],
    confidence: 1,
    cannotSay: undefined,
    text: 'compute takes 240 ms instead of 2 ms.\nWhere: worker-2.',
  },
  acknowledged: undefined,
  silencedBy: undefined,
  inhibitedBy: undefined,
};
const MESSAGE: GroupMessage = {
  groupLabels: { alertname: 'Slow', model: 'x"y' },
  alerts: [{ status: 'firing', instance: INSTANCE }],
  truncatedAlerts: 0,
};

test('Slack: everything in the text and in sections, with evidence, and nothing that Slack would obey', () => {
  const { text, blocks } = JSON.parse(slackBody(MESSAGE, 'http://c')) as {
    text: string;
    blocks: { type: string; text: { type: string; text: string } }[];
  };
  expect(text).toBe(`*FIRING · page · Slow*
slow &amp; &lt;!channel&gt;
It is slow.
model=a&lt;!channel&gt;"

Since 2026-01-02 03:00:00 UTC
> compute takes 240 ms instead of 2 ms.
> Where: worker-2.
<http://c/alerts/0123456789abcdef|alert> · runbook: docs/runbooks/slow.md · <https://grafana.example/d/x?a=1&amp;b=2|dashboard> · <http://c/trace/f|trace 250 ms>`);
  expect(blocks).toEqual([{ type: 'section', text: { type: 'mrkdwn', text } }]);
});

test('Slack: no section beyond its limit, and a flood of alerts is counted', () => {
  const long = { ...INSTANCE, annotations: { ...INSTANCE.annotations, description: 'x'.repeat(5000) } };
  const alerts = Array.from({ length: 12 }, () => ({ status: 'firing' as const, instance: long }));
  const { blocks } = JSON.parse(slackBody({ ...MESSAGE, alerts, truncatedAlerts: 3 }, 'http://c')) as {
    blocks: { text: { text: string } }[];
  };
  expect(Math.max(...blocks.map(({ text }) => text.text.length))).toBeLessThan(3000);
  expect(blocks.at(-1)?.text.text).toBe('and 5 more: http://c/alerts');
});

test('Alertmanager, version 4: every field, labels as they are, texts without controls', () => {
  const { dashboard_url, runbook_url } = INSTANCE.annotations;
  const annotations = {
    summary: 'slow & <!channel>',
    description: 'It is slow.',
    runbook_url,
    dashboard_url,
    evidence: 'compute takes 240 ms instead of 2 ms.\nWhere: worker-2.',
    evidence_url: 'http://c/alerts/0123456789abcdef',
  };
  expect(JSON.parse(alertmanagerBody(MESSAGE, 'http://c'))).toEqual({
    version: '4',
    groupKey: '{}:{alertname="Slow", model="x\\"y"}',
    truncatedAlerts: 0,
    status: 'firing',
    receiver: 'vitrine',
    groupLabels: { alertname: 'Slow', model: 'x"y' },
    commonLabels: INSTANCE.labels,
    commonAnnotations: annotations,
    externalURL: 'http://c',
    alerts: [
      {
        status: 'firing',
        labels: INSTANCE.labels,
        annotations,
        startsAt: '2026-01-02T03:00:00.000Z',
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'http://c/alerts/0123456789abcdef',
        fingerprint: '0123456789abcdef',
      },
    ],
  });
});

test('matchers as people write them', () => {
  expect(parseMatcher('VitrineWorkerDown')).toEqual({ name: 'VitrineWorkerDown' });
  expect(parseMatcher(' name=Slow , worker = worker-2,note="a, \\"b\\"" ')).toEqual({
    name: 'Slow',
    worker: 'worker-2',
    note: 'a, "b"',
  });
});

test.each([
  ['', 'it is empty'],
  ['model=', 'the value of model is missing'],
  ['a=1,a=2', 'a stands there twice'],
  ['a="1', 'no equality'],
  ['a="\\q"', 'no JSON text'],
  [Array.from({ length: 17 }, (_, index) => `l${index}=1`).join(','), 'more than 16 parts'],
])('a matcher that is none, %j, is refused with the fix', (text, message) => {
  expect(() => parseMatcher(text)).toThrow(message);
  expect(() => parseMatcher(text)).toThrow('such as name=VitrineWorkerDown');
});
