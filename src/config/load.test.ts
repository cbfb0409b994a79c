/** Every fault of the configuration is told at once: where it stands, what it says, and what is accepted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigError, loadConfig } from './load.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vitrine-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function problemsOf(env: Readonly<Record<string, string>>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** @returns what is wrong with a vitrine.yaml of that text; its path is left out of the lines */
function problemsOfFile(text: string): readonly string[] {
  const path = join(folder, 'vitrine.yaml');
  writeFileSync(path, text);
  return problemsOf({ VITRINE_CONFIG: path }).map((problem) => problem.replaceAll(path, 'vitrine.yaml'));
}

test('variables: the name, the value, what is accepted; all at once', () => {
  expect(
    problemsOf({
      VITRINE_SLO_TIME_SCALE: '0',
      VITRINE_CONSOLE_SCRAPE_INTERVAL_S: '2.5',
      VITRINE_CONSOLE_ALERT_WEBHOOK_FORMAT: 'Slack',
      VITRINE_CONSOLE_ALERT_GROUP_WAIT: '30',
    }).toSorted(),
  ).toEqual([
    'VITRINE_CONSOLE_ALERT_GROUP_WAIT: is not a setting; did you mean VITRINE_CONSOLE_ALERT_GROUP_WAIT_S?',
    'VITRINE_CONSOLE_ALERT_WEBHOOK_FORMAT: "Slack" is not accepted; it takes one of slack, alertmanager',
    'VITRINE_CONSOLE_SCRAPE_INTERVAL_S: "2.5" is not accepted; it takes a whole number from 1 to 60',
    'VITRINE_SLO_TIME_SCALE: "0" is not accepted; it takes a whole number from 1 to 1000',
  ]);
});

test('the file: its line, too', () => {
  expect(
    problemsOfFile(
      [
        'console:',
        '  alert_webhook_format: teams',
        '  alert_group_wait: 30',
        'slo:',
        '  # rehearsals',
        '  time_scale: fast',
        'alerts: true',
        '',
      ].join('\n'),
    ).toSorted(),
  ).toEqual([
    'vitrine.yaml:2 console.alert_webhook_format: "teams" is not accepted; it takes one of slack, alertmanager',
    'vitrine.yaml:3: console.alert_group_wait is not a setting; did you mean console.alert_group_wait_s?',
    'vitrine.yaml:6 slo.time_scale: "fast" is not accepted; it takes a whole number from 1 to 1000',
    'vitrine.yaml:7: alerts must hold settings such as "http_port: 8000"',
  ]);
});

test.each([
  ['VITRINE_CONSOLE_ALERT_WEBHOOK_URL', 'hooks.example/services/SECRET-PATH'],
  ['VITRINE_CONSOLE_ALERT_WEBHOOK_URL', 'ftp://hooks.example/SECRET-PATH'],
  ['VITRINE_CONSOLE_DEAD_MAN_URL', 'SECRET PATH'],
])('%s: an address that cannot be one is refused, and not shown', (variable, value) => {
  const [problem = '', ...others] = problemsOf({ [variable]: value });
  expect(others).toEqual([]);
  expect(problem).toContain(`${variable}: (hidden) is not accepted; it takes an address such as https://`);
  expect(problem).not.toContain('SECRET');
});

test('a file that is no YAML is told with its line, and nothing of it is taken', () => {
  const [problem, ...others] = problemsOfFile('console:\n  host: [\nslo: {}\n');
  expect(problem).toMatch(/^vitrine\.yaml:\d+: /);
  expect(others.every((other) => other.startsWith('vitrine.yaml:'))).toBe(true);
});

test('a file that is named and not there is told', () => {
  expect(problemsOf({ VITRINE_CONFIG: join(folder, 'none.yaml') })).toEqual([
    `VITRINE_CONFIG: there is no file ${join(folder, 'none.yaml')}; create it or unset the variable`,
  ]);
});

test('the environment goes before the file', () => {
  const path = join(folder, 'good.yaml');
  writeFileSync(path, 'slo:\n  time_scale: 20\nconsole:\n  alert_group_wait_s: 5\n');
  const { slo, console: own } = loadConfig({ VITRINE_CONFIG: path, VITRINE_SLO_TIME_SCALE: '60' });
  expect([slo.timeScale, own.alertGroupWaitS]).toEqual([60, 5]);
});
