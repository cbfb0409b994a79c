/** `vitrine slo`: objectives checked, compiled, and how they stand. */

import { ClientError } from '../client/client_error.ts';
import { loadConfig } from '../config/load.ts';
import type { ObjectiveStatus } from '../contract/alerts.ts';
import { VitrineError } from '../contract/errors.ts';
import { parseObjectivesAnswer } from '../contract/objectives_answer.ts';
import { pagePairs, ticketPairs } from '../slo/burn_windows.ts';
import { durationText } from '../slo/duration.ts';
import type { BurnPair } from '../slo/expression.ts';
import { generatedAlerts } from '../slo/generated_alerts.ts';
import type { Objective } from '../slo/objective.ts';
import { objectiveText } from '../slo/objective_alerts.ts';
import { formatObjectiveProblem } from '../slo/objectives.ts';
import { readArguments, readNumber, UsageError } from './command.ts';
import { callConsole } from './console_call.ts';
import { type Written, writeFiles } from './slo_build.ts';
import { type ReadFile, readObjectivesFile } from './slo_objectives.ts';
import { bar, columns, note, plain, print } from './terminal.ts';

export const summary = 'check objectives, compile them, and show how much budget is left';

export const help = `Usage: vitrine slo check  [--file <file>] [--json]
       vitrine slo build  [--file <file>] [--out <folder>] [--json]
                          [--time-scale <n>] [--runbooks <url>] [--dashboards <url>]
       vitrine slo status [--console <address>] [--json]

An objective promises a share of good queries over 30 days: "99% of langid queries
within 50 ms". The other 1% is the error budget. It may be spent on anything; alerts
fire when it is spent too fast. Objectives stand in slo.yaml (OpenSLO v1), and
everything that knows of them derives from that file.

check   Reads the file and tells every problem with its line and what to write
        instead: a threshold that is no edge of the histogram, a model that the
        repository does not have, a target that its alerts could never reach.
        Then it shows when each objective pages. Exit code 1 when there is an error.

build   Writes Prometheus rules (as files, and as an object of the Prometheus operator),
        their promtool tests and alertmanager.yml, and Grafana's dashboards. With an error
        in the file nothing is written. The embedded console needs no build: it reads the
        file when it starts.

status  Asks the console how much of each budget is left, and how fast it burns:
        1x is exactly as fast as it may, above it the budget ends before the period.

  --file <file>         the objectives; slo.yaml unless configured (VITRINE_SLO_PATH)
  --out <folder>        where build writes, with dashboards in a folder below; unless given,
                        rules into alerts and dashboards into dashboards beside it
  --time-scale <n>      divide every window, hold and interval by n, for rehearsals on
                        a Prometheus of its own; needs --out, and writes no dashboards.
                        Refused where a window would hold fewer than five scrapes.
  --runbooks <url>      where the alerts' runbook_url leads (VITRINE_SLO_RUNBOOKS_URL)
  --dashboards <url>    where their dashboard_url leads (VITRINE_SLO_DASHBOARDS_URL)
  --console <address>   the console; http://localhost:16686 unless configured.
                        VITRINE_CONSOLE_TOKEN is sent when it is set.
  --json                the result as JSON

Examples:

  npx vitrine slo check
  npx vitrine slo build && promtool check rules alerts/*.rules.yml
  npx vitrine slo build --time-scale 60 --out /tmp/rehearsal
  npx vitrine slo status --json | jq '.objectives[] | select(.budgetLeft < 0.25) | .name'`;

const OUT = 'alerts';
const DASHBOARDS = 'dashboards';
const TIME_SCALE_MAX = 1000;
const BAR_CELLS = 12;

/** `6%`, `0.1%`, `14.4%`. */
function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))}%`;
}

function pageText(budget: number, { shortS, longS, factor, minimumTotal }: BurnPair): string {
  const share = factor * budget;
  if (share >= 1) return `never in ${durationText(longS)}`;
  return `over ${percent(share)} bad in ${durationText(longS)} and ${durationText(shortS)} (from ${minimumTotal} queries)`;
}

function objectiveRows({ name, budget, periodS, ...rest }: Objective): string[][] {
  const objective = { name, budget, periodS, ...rest };
  const pages = pagePairs(budget, periodS).map((pair) => `page: ${pageText(budget, pair)}`);
  const tickets = ticketPairs(budget, periodS).map((pair) => `ticket: ${pageText(budget, pair)}`);
  return [...pages, ...tickets].map((when, index) =>
    index === 0 ? [name, objectiveText(objective), percent(budget), when] : ['', '', '', when],
  );
}

function tellProblems(file: ReadFile, repository: string): void {
  for (const problem of file.problems) note(plain(formatObjectiveProblem(problem)));
  if (!file.modelsKnown) note(`The names of models were not checked: there is no folder ${repository}.`);
}

function hasErrors(file: ReadFile): boolean {
  return file.problems.some(({ severity }) => severity === 'error');
}

interface Values {
  readonly file?: string;
  readonly out?: string;
  readonly 'time-scale'?: string;
  readonly runbooks?: string;
  readonly dashboards?: string;
  readonly console?: string;
  readonly json?: boolean;
}

function check(values: Values): number {
  const config = loadConfig();
  const path = values.file ?? config.slo.path;
  const file = readObjectivesFile(path, config.worker.modelRepository);
  const failed = hasErrors(file);
  if (values.json) {
    const { objectives, problems } = file;
    print(JSON.stringify({ ok: !failed, objectives, problems }, null, 2));
    return failed ? 1 : 0;
  }
  tellProblems(file, config.worker.modelRepository);
  if (failed) return 1;
  print(`${plain(path)}: ${file.objectives.length} objectives\n`);
  print(
    columns(
      [['OBJECTIVE', 'PROMISE', 'BUDGET', 'ALERTS'], ...file.objectives.flatMap(objectiveRows)].map((row) =>
        row.map(plain),
      ),
    ),
  );
  return 0;
}

/** Below the folder of the rules where that was chosen, else beside it. */
async function dashboardFiles(objectives: readonly Objective[], out: string | undefined) {
  // Grafana's types are many, and no other command needs them.
  const { generatedDashboards } = await import('../grafana/generated_dashboards.ts');
  const folder = out === undefined ? `../${DASHBOARDS}` : DASHBOARDS;
  return Object.fromEntries(
    Object.entries(generatedDashboards(objectives)).map(([name, text]) => [`${folder}/${name}`, text]),
  );
}

async function build(values: Values): Promise<number> {
  const config = loadConfig();
  const timeScale =
    values['time-scale'] === undefined
      ? 1
      : readNumber('time-scale', values['time-scale'], 1, TIME_SCALE_MAX);
  if (timeScale !== 1 && values.out === undefined) {
    throw new UsageError(`--time-scale needs --out, so that ${OUT} keeps the rules for real time`);
  }
  const file = readObjectivesFile(values.file ?? config.slo.path, config.worker.modelRepository);
  tellProblems(file, config.worker.modelRepository);
  if (hasErrors(file)) {
    note('Nothing was written.');
    return 1;
  }
  let files: Record<string, string>;
  try {
    files = generatedAlerts(file.objectives, {
      timeScale,
      links: {
        runbooks: values.runbooks ?? config.slo.runbooksUrl,
        dashboards: values.dashboards ?? config.slo.dashboardsUrl,
      },
    });
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
  // Dashboards look at the windows of real time.
  if (timeScale === 1) Object.assign(files, await dashboardFiles(file.objectives, values.out));
  const written = writeAll(values.out ?? OUT, files);
  if (values.json) print(JSON.stringify(written, null, 2));
  else {
    for (const path of written.changed) print(`wrote    ${path}`);
    for (const path of written.removed) print(`removed  ${path}`);
    print(`${written.unchanged.length} of ${Object.keys(files).length} files were up to date`);
  }
  return 0;
}

/** @throws VitrineError when a file cannot be written; then none was */
function writeAll(folder: string, files: Readonly<Record<string, string>>): Written {
  try {
    return writeFiles(folder, files);
  } catch (error) {
    const { code, path = folder } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new VitrineError('internal', `${path} cannot be written (${code}); nothing was changed`, {
      cause: error,
    });
  }
}

function statusRows({ name, target, good, budgetLeft, burn }: ObjectiveStatus): string[] {
  const rates = burn.map(({ windowS, rate }) => [
    durationText(windowS),
    typeof rate === 'number' ? `${Number(rate.toPrecision(3))}x` : '-',
  ]);
  return [
    plain(name),
    percent(target),
    typeof good === 'number' ? `${Number((good * 100).toPrecision(5))}%` : 'no traffic',
    typeof budgetLeft === 'number'
      ? `${bar(Math.max(0, budgetLeft), BAR_CELLS).padEnd(BAR_CELLS)} ${percent(budgetLeft)}`
      : '-',
    rates.map(([window, rate]) => `${window} ${rate}`).join('  '),
  ];
}

async function status(values: Values): Promise<number> {
  const parsed = parseObjectivesAnswer(await callConsole(values.console, '/console/objectives'));
  if (parsed === undefined) {
    throw new ClientError('bad_answer', 'the console does not know objectives; is it of this version?');
  }
  if (values.json) print(JSON.stringify(parsed, null, 2));
  else if (parsed.objectives.length === 0) {
    print('The console has no objectives; write slo.yaml and start it again.');
  } else {
    const head = ['OBJECTIVE', 'TARGET', 'GOOD', 'BUDGET LEFT', 'BURN'];
    print(columns([head, ...parsed.objectives.map(statusRows)]));
  }
  return 0;
}

export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv, {
    options: {
      file: { type: 'string' },
      out: { type: 'string' },
      'time-scale': { type: 'string' },
      runbooks: { type: 'string' },
      dashboards: { type: 'string' },
      console: { type: 'string' },
      json: { type: 'boolean' },
    },
    allowPositionals: true,
  });
  const [action, ...more] = positionals;
  if (more.length > 0)
    throw new UsageError(`slo takes one of check, build and status, not ${positionals.join(' ')}`);
  const accepted: Readonly<Record<string, readonly (keyof Values)[]>> = {
    check: ['file', 'json'],
    build: ['file', 'out', 'time-scale', 'runbooks', 'dashboards', 'json'],
    status: ['console', 'json'],
  };
  const options = action === undefined ? undefined : accepted[action];
  if (options === undefined) throw new UsageError('slo takes one of check, build and status');
  for (const option of Object.keys(values) as (keyof Values)[]) {
    if (!options.includes(option)) throw new UsageError(`slo ${action} does not take --${option}`);
  }
  switch (action) {
    case 'check':
      return check(values);
    case 'build':
      return await build(values);
    default:
      return await status(values);
  }
}
