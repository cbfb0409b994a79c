/** `vitrine drill`: injects a fault into a running service, and sees its alert fire, explain itself and clear. */
import { writeFile } from 'node:fs/promises';
import { createClient } from '../client/client.ts';
import { loadConfig } from '../config/load.ts';
import { VitrineError } from '../contract/errors.ts';
import { faultSocketDirectory } from '../contract/fault_sockets.ts';
import { nearestName } from '../contract/nearest_name.ts';
import { watchConsole } from '../drill/console_watch.ts';
import type { Drill } from '../drill/drill.ts';
import { DRILLS } from '../drill/drills.ts';
import { openFaultDoors, workersOf } from '../drill/fault_doors.ts';
import { type DrillReport, type DrillStep, drillsPage, formatStep, formatVerdict } from '../drill/report.ts';
import { runDrill } from '../drill/run_drill.ts';
import { requestSamples } from '../loadgen/samples.ts';
import { consoleUrl, gatewayUrl } from './addresses.ts';
import { readArguments, UsageError } from './command.ts';
import { columns, plain, print } from './terminal.ts';

export const summary = 'inject a fault, and see its alert fire, explain itself and clear';

const PAGE_PATH = 'docs/drills.md';

export const help = `Usage: vitrine drill <fault>... [options]
       vitrine drill --all [--write]

Sends load to a running service, injects the fault at its real place, waits for the
alerts that belong to it and for evidence that names the stage and the workers, lifts
the fault, and waits until the alerts clear. Exit code 0 only when all of that happened.

${columns(DRILLS.map(({ name, summary: what }) => [`  ${name}`, what]))}

The service has to allow drills, and hours should pass in minutes:

  VITRINE_DRILL_ALLOWED=true VITRINE_SLO_TIME_SCALE=60 VITRINE_WORKER_COUNT=2 npx vitrine up

60 is the most: beyond it, windows are so short that a slowed model answers too few
queries in them to be judged. Two workers, so that one of them can be told from all.

Faults are set through private sockets that only your user can open. They are leases:
5 s after a drill is gone, however it ended, so is its fault. Queries of others are hit
too while it lasts: drill where nobody minds.

  --all                every drill, one after the other
  --write              with --all: the table of times to ${PAGE_PATH}
  --model <name>       the model that takes the load (langid)
  --url <address>      the gateway; http://localhost:8000 unless configured
  --console <address>  the console; http://localhost:16686 unless configured
  --json               the report as JSON; of several, an array of them

Reading the timeline: seconds count from the fault. "pending" is the first evaluation
at which the alert's condition held, "firing" the one at which it had held long enough.
worker-crash uses up restarts: run again at once, it waits until there are enough left.

Examples:

  npx vitrine drill slow-compute
  npx vitrine drill hang worker-crash
  npx vitrine drill errors --json | jq '.alerts[].firingAfterMs'`;

const DEFAULT_MODEL = 'langid';
/** More than come within the time of a quarantine. */
const SAMPLES = 4096;

function chosen(names: readonly string[], all: boolean): readonly Drill[] {
  if (all) {
    if (names.length > 0) throw new UsageError('--all runs every drill; leave the names out');
    return DRILLS;
  }
  if (names.length === 0) throw new UsageError('drill takes a fault, several, or --all');
  return names.map(drillNamed);
}

function drillNamed(name: string): Drill {
  const drill = DRILLS.find((each) => each.name === name);
  if (drill !== undefined) return drill;
  const names = DRILLS.map((each) => each.name);
  const near = nearestName(name, names);
  throw new UsageError(
    `there is no drill ${JSON.stringify(name)}; ${near === undefined ? `there are ${names.join(', ')}` : `did you mean ${near}?`}`,
  );
}

/** @throws VitrineError `invalid_request` when a drill could prove nothing with so few; before any fault */
function checkWorkers(drills: readonly Drill[], workers: number): void {
  for (const { name, workersMin = 1 } of drills) {
    if (workers >= workersMin) continue;
    throw new VitrineError(
      'invalid_request',
      `${name} takes ${workersMin} workers, and ${workers} ${workers === 1 ? 'takes' : 'take'} faults: start the service with VITRINE_WORKER_COUNT=${workersMin}`,
    );
  }
}

export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv, {
    options: {
      all: { type: 'boolean' },
      write: { type: 'boolean' },
      model: { type: 'string' },
      url: { type: 'string' },
      console: { type: 'string' },
      json: { type: 'boolean' },
    },
    allowPositionals: true,
  });
  const drills = chosen(positionals, values.all ?? false);
  if (values.write && !values.all) throw new UsageError('--write goes with --all');
  const model = values.model ?? DEFAULT_MODEL;
  const url = gatewayUrl(values.url);
  const config = loadConfig();
  const directory = faultSocketDirectory(config.drill.socketDirectory);
  const doors = openFaultDoors(directory);
  const workers = await workersOf(doors, directory);
  checkWorkers(drills, workers.length);
  await using client = createClient({ url });
  // A body that happens to be with a worker at two of its deaths is taken for their cause, and refused.
  const samples = requestSamples(await client.modelMetadata(model), { count: SAMPLES, ids: true });
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

  const reports: DrillReport[] = [];
  let calmSinceMs: number | undefined;
  const console_ = watchConsole(consoleUrl(values.console), config.console.token);
  for (const drill of drills) {
    if (stop.signal.aborted) break;
    const show = values.json ? undefined : timeline();
    const report = await runDrill(
      {
        doors,
        console: console_,
        signal: stop.signal,
        calmSinceMs,
        ...(show === undefined ? {} : { onStep: show }),
        ...(process.stderr.isTTY ? { onProgress: showProgress } : {}),
      },
      drill,
      { url, model, samples, workers },
    );
    clearProgress();
    if (!values.json) print(plain(formatVerdict(report)));
    reports.push(report);
    const lifted = report.steps.find(({ kind }) => kind === 'lifted');
    calmSinceMs = lifted && performance.now() - (Date.now() - lifted.atMs);
  }
  if (values.json) print(JSON.stringify(drills.length > 1 ? reports : reports[0], null, 2));
  const passed = reports.length === drills.length && reports.every((report) => report.passed);
  if (values.write && passed) {
    const summaryOf = (name: string): string => DRILLS.find((drill) => drill.name === name)?.summary ?? '';
    await writeFile(PAGE_PATH, drillsPage(reports, { workers: workers.length, summaryOf }));
  }
  return passed ? 0 : 1;
}

/** Prints steps as they come. Seconds count from the fault; what was before counts down to it, once it is known. */
function timeline(): (step: DrillStep) => void {
  const before: DrillStep[] = [];
  let zeroMs: number | undefined;
  return (step) => {
    if (step.kind === 'fault') zeroMs = step.atMs;
    if (zeroMs === undefined && step.kind !== 'missing') {
      before.push(step);
      return;
    }
    clearProgress();
    for (const each of [...before.splice(0), step]) print(plain(formatStep(each, zeroMs ?? each.atMs)));
  };
}

function showProgress(text: string): void {
  process.stderr.write(`\r\x1b[K${plain(text)}`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}
