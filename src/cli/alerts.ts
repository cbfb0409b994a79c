/** `vitrine alerts`: what fires and why, and what people say of it: test, silence, acknowledge. */
import { userInfo } from 'node:os';
import type { AlertInstance, Silence } from '../contract/alerts.ts';
import { alertList } from './alert_list.ts';
import { readArguments, UsageError } from './command.ts';
import { callConsole } from './console_call.ts';
import { note, plain, print } from './terminal.ts';

export const summary = 'show alerts and their evidence; test, silence, acknowledge';

export const help = `Usage: vitrine alerts [--json]
       vitrine alerts test
       vitrine alerts silence <matcher> --for <duration> --reason <text>
       vitrine alerts unsilence <id>
       vitrine alerts ack <fingerprint> [--reason <text>]

Without a word more: every alert that fires or is about to, those that ended last,
each with its evidence (which stage grew, where, since when), and the silences.

  test       posts a message that is marked as a test to the configured receiver
             (VITRINE_CONSOLE_ALERT_WEBHOOK_URL), and tells what it answered
  silence    holds messages back until the end; the alerts go on, and show as silenced
  unsilence  ends a silence before its time
  ack        says that somebody is at it: the alert is not repeated

A matcher is label=value, several separated by commas; all must hold. "name" stands for
the alert's name, and a word without "=" is one. A value with a comma is written in
double quotes.

  --for <duration>     a number and s, m, h or d: 90s, 30m, 2h, 7d; at most 30d
  --reason <text>      what people read who wonder why nobody was told
  --by <name>          who says so; your login name unless told
  --console <address>  the console; http://localhost:16686 unless configured.
                       VITRINE_CONSOLE_TOKEN is sent when it is set.
  --json               the console's answer as JSON

Exit code of "test": 0 when the receiver took the message, otherwise 1.

Examples:

  npx vitrine alerts
  npx vitrine alerts silence VitrineWorkerDown,worker=worker-2 --for 2h --reason 'new disk'
  npx vitrine alerts silence model=langid --for 30m --reason 'load test'
  npx vitrine alerts --json | jq -r '.alerts[] | select(.state == "firing") | .evidence.text'`;

const UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** @returns seconds */
function readDuration(text: string | undefined): number {
  const [, digits, unit] = /^(\d{1,7})([smhd])$/.exec(text ?? '') ?? [];
  const seconds = Number(digits ?? 0) * (UNIT_S[unit ?? ''] ?? 0);
  if (seconds > 0) return seconds;
  throw new UsageError('silence takes --for with a number and s, m, h or d, such as --for 2h');
}

interface Options {
  readonly console?: string;
  readonly json?: boolean;
  readonly for?: string;
  readonly reason?: string;
  readonly by: string;
}

async function list({ console: address, json }: Options): Promise<number> {
  const { alerts } = (await callConsole(address, '/console/alerts')) as { alerts: AlertInstance[] };
  const { silences } = (await callConsole(address, '/console/silences')) as { silences: Silence[] };
  print(
    json === true ? JSON.stringify({ alerts, silences }, null, 2) : alertList(alerts, silences, Date.now()),
  );
  return 0;
}

async function test({ console: address, json, by }: Options): Promise<number> {
  const { results } = (await callConsole(address, '/console/alerts/test', { by })) as {
    results: { receiver: string; format: string; delivered: boolean; answer: string }[];
  };
  if (json === true) print(JSON.stringify({ results }, null, 2));
  else {
    for (const { receiver, format, delivered, answer } of results)
      print(
        plain(`${receiver} (${format}) ${delivered ? 'took the message' : 'did not take it'}: ${answer}`),
      );
  }
  return results.every(({ delivered }) => delivered) ? 0 : 1;
}

async function silence(matcher: string, { console: address, json, by, reason, for: duration }: Options) {
  const forS = readDuration(duration);
  if (reason === undefined || reason.trim() === '')
    throw new UsageError("silence takes --reason, such as --reason 'load test'");
  const body = { matcher, reason, by, forS };
  const answer = (await callConsole(address, '/console/silences', body)) as {
    silence: Silence;
    holds: string[];
  };
  if (json === true) print(JSON.stringify(answer, null, 2));
  else {
    const { id, endsAtMs } = answer.silence;
    print(`Silence ${id} holds until ${new Date(endsAtMs).toISOString()}.`);
    print(
      answer.holds.length === 0
        ? 'Nothing that is active now matches it.'
        : `Active alerts that it holds back: ${answer.holds.length}.`,
    );
    note(`"vitrine alerts unsilence ${id}" ends it before`);
  }
  return 0;
}

async function unsilence(id: string, { console: address, json, by }: Options): Promise<number> {
  if (!/^[0-9a-f]{8}$/.test(id))
    throw new UsageError('unsilence takes the id of a silence; "vitrine alerts" lists them');
  const answer = await callConsole(address, `/console/silences/${id}/end`, { by });
  print(json === true ? JSON.stringify(answer, null, 2) : `Silence ${id} has ended.`);
  return 0;
}

async function acknowledge(fingerprint: string, { console: address, json, by, reason = '' }: Options) {
  if (!/^[0-9a-f]{16}$/.test(fingerprint))
    throw new UsageError('ack takes the fingerprint of an alert; "vitrine alerts" lists them');
  const path = `/console/alerts/${fingerprint}/acknowledge`;
  const answer = (await callConsole(address, path, { by, comment: reason })) as { alert: AlertInstance };
  print(
    json === true ? JSON.stringify(answer, null, 2) : plain(`${answer.alert.name} is acknowledged by ${by}.`),
  );
  return 0;
}

const WITH_ARGUMENT = new Map([
  ['silence', silence],
  ['unsilence', unsilence],
  ['ack', acknowledge],
]);

export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv, {
    options: {
      console: { type: 'string' },
      json: { type: 'boolean' },
      for: { type: 'string' },
      reason: { type: 'string' },
      by: { type: 'string' },
    },
    allowPositionals: true,
  });
  const options: Options = { ...values, by: values.by ?? userInfo().username };
  const [action, argument, ...more] = positionals;
  if (more.length > 0)
    throw new UsageError('too many arguments; put a matcher or a reason with blanks in quotes');
  if (action === undefined) return list(options);
  if (action === 'test') return test(options);
  const withArgument = WITH_ARGUMENT.get(action);
  if (withArgument === undefined)
    throw new UsageError(`alerts takes test, silence, unsilence or ack, not ${JSON.stringify(action)}`);
  if (argument === undefined) throw new UsageError(`${action} says of what: see --help`);
  return withArgument(argument, options);
}
