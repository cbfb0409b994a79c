/**
 * alertmanager.yml: who is told of what, how often, and which cause keeps its symptoms quiet. Addresses of
 * receivers are read from files, so that none is in the repository.
 * https://prometheus.io/docs/alerting/latest/configuration/
 */
import type { AlertRule } from './alert.ts';
import { SYSTEM_LABEL } from './alert_labels.ts';
import { quoted } from './promql.ts';

/** Folder of the files with the receivers' addresses, one URL in each. */
const ADDRESSES = '/etc/alertmanager/receivers';

export interface AlertmanagerOptions {
  /** Base address of an enricher that messages to people go through, to `/alerts/page` and `/alerts/ticket`. */
  readonly enricherUrl?: string;
}

function webhook(name: string, file: string, sendResolved = true): unknown {
  return {
    name,
    webhook_configs: [{ url_file: `${ADDRESSES}/${file}`, send_resolved: sendResolved }],
  };
}

/** To people: themselves, or the enricher, which adds evidence and sends it on. */
function people(severity: 'page' | 'ticket', { enricherUrl }: AlertmanagerOptions): unknown {
  const name = `vitrine-${severity}`;
  if (enricherUrl === undefined) return webhook(name, `${severity}_url`);
  return {
    name,
    webhook_configs: [
      {
        url: `${enricherUrl}/alerts/${severity}`,
        http_config: { authorization: { credentials_file: `${ADDRESSES}/enricher_token` } },
        send_resolved: true,
      },
    ],
  };
}

/** Inhibitions of all rules, equal ones once. */
function inhibitRules(rules: readonly AlertRule[]): unknown[] {
  const known = new Set<string>();
  return rules.flatMap(({ name, inhibits }) =>
    inhibits.flatMap(({ silences, equal }) => {
      const rule = {
        source_matchers: [`alertname=${quoted(name)}`],
        target_matchers: [
          silences.length === 1
            ? `alertname=${quoted(silences[0] ?? '')}`
            : `alertname=~${quoted(silences.join('|'))}`,
        ],
        equal: [...equal],
      };
      const key = JSON.stringify(rule);
      if (known.has(key)) return [];
      known.add(key);
      return [rule];
    }),
  );
}

/** The configuration as data. @param rules whose inhibitions it carries */
export function compileAlertmanager(rules: readonly AlertRule[], options: AlertmanagerOptions = {}): unknown {
  const ours = Object.entries(SYSTEM_LABEL).map(([label, value]) => `${label}=${quoted(value)}`);
  return {
    route: {
      receiver: 'vitrine-ticket',
      group_by: ['alertname', 'service', 'model'],
      group_wait: '30s',
      group_interval: '5m',
      repeat_interval: '3h',
      routes: [
        {
          // The dead man's switch: its receiver raises the alarm when it hears nothing for 5 minutes or so.
          receiver: 'vitrine-watchdog',
          matchers: [...ours, 'alertname="VitrineWatchdog"'],
          group_wait: '0s',
          group_interval: '1m',
          repeat_interval: '1m',
        },
        { receiver: 'vitrine-page', matchers: [...ours, 'severity="page"'], group_wait: '10s' },
        { receiver: 'vitrine-ticket', matchers: [...ours, 'severity="ticket"'], repeat_interval: '1d' },
        { receiver: 'vitrine-nobody', matchers: [...ours, 'severity="info"'] },
      ],
    },
    inhibit_rules: inhibitRules(rules),
    receivers: [
      people('page', options),
      people('ticket', options),
      webhook('vitrine-watchdog', 'watchdog_url', false),
      // Shown in Alertmanager and on the page; nobody is told.
      { name: 'vitrine-nobody' },
    ],
  };
}
