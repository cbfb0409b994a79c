/** `npm run bench`: measures what the service costs, prints it, and writes it as JSON. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { alertTimes } from './alert_times.ts';
import { batching } from './batching.ts';
import { type Bench, type BenchResult, isMet } from './bench.ts';
import { evaluatorCost } from './evaluator_cost.ts';
import { evidenceScore } from './evidence_score.ts';
import { footprint } from './footprint.ts';
import { gatewayCost } from './gateway_cost.ts';
import { describeMachine } from './machine.ts';
import { peers } from './peers.ts';
import { formatResult } from './print.ts';
import { createProgress } from './progress.ts';
import { scrapeCost } from './scrape_cost.ts';
import { telemetryCost } from './telemetry_cost.ts';
import { traceStore } from './trace_store.ts';

const BENCHES: readonly Bench[] = [
  telemetryCost,
  gatewayCost,
  batching,
  traceStore,
  peers,
  footprint,
  evidenceScore,
  alertTimes,
  evaluatorCost,
  scrapeCost,
];
const OUT_FOLDER = fileURLToPath(new URL('./out', import.meta.url));
const DEFAULT_ROUNDS = 5;
const QUICK_ROUNDS = 2;
const ROUNDS_LIMIT = 100;
const EXIT_STOPPED = 130;

const HELP = `npm run bench -- [options]

Measures the service on this machine against what it can be compared with, in alternating rounds, and prints
quotients with their spread. Loads stay on loopback and stop by themselves; Ctrl-C ends everything.

${BENCHES.map(({ number, name, summary }) => `  ${number}  ${name.padEnd(16)} ${summary}`).join('\n')}

  --only 1,3      only these
  --quick         few and short rounds: shows that a bench runs, not how it comes out
  --rounds N      rounds of each comparison, 1 to ${ROUNDS_LIMIT} (${DEFAULT_ROUNDS}; ${QUICK_ROUNDS} with --quick)
  --json FILE     where the results go as JSON (bench/out/<time>.json)
  --help          this text

How to read the figures: bench/README.md. An aim that is not met is printed as such; the exit code is 0 unless a
bench could not run.
`;

interface Wishes {
  readonly benches: readonly Bench[];
  readonly quick: boolean;
  readonly rounds: number;
  readonly jsonPath: string;
}

/** @throws Error that says what to write instead */
function readArguments(argv: readonly string[]): Wishes | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const benches =
    values.only === undefined
      ? BENCHES
      : values.only.split(',').map((text) => {
          const found = BENCHES.find(({ number }) => String(number) === text.trim());
          if (found === undefined) {
            throw new Error(
              `--only takes numbers from 1 to ${BENCHES.length}, such as 1,3; "${text}" is none`,
            );
          }
          return found;
        });
  const rounds =
    values.rounds === undefined ? (values.quick ? QUICK_ROUNDS : DEFAULT_ROUNDS) : Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= ROUNDS_LIMIT)) {
    throw new Error(`--rounds takes a whole number from 1 to ${ROUNDS_LIMIT}`);
  }
  const stamp = new Date().toISOString().replaceAll(':', '-').slice(0, 19);
  return { benches, quick: values.quick, rounds, jsonPath: values.json ?? join(OUT_FOLDER, `${stamp}.json`) };
}

/** What of a result is read by programs. */
function asJson(bench: Bench, result: BenchResult): object {
  return {
    bench: bench.number,
    name: bench.name,
    figures: result.figures.map((figure) => ({ ...figure, met: isMet(figure) ?? null })),
    notes: result.notes,
    details: result.details,
  };
}

async function main(wishes: Wishes): Promise<number> {
  const machine = describeMachine();
  await mkdir(OUT_FOLDER, { recursive: true });
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => stopped.abort(new Error('stopped')));
  }
  const results: object[] = [];
  let failed = false;
  process.stdout.write(
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryMib} MiB, Node ${machine.node}, load before ${machine.loadBefore.toFixed(2)}\n` +
      `${machine.canPin ? '' : 'taskset is not there, so nothing is pinned to a core.\n'}\n`,
  );
  for (const bench of wishes.benches) {
    const progress = createProgress(`bench ${bench.number}, ${bench.name}`);
    try {
      const result = await bench.run({
        machine,
        quick: wishes.quick,
        rounds: wishes.rounds,
        outFolder: OUT_FOLDER,
        progress: (text) => {
          stopped.signal.throwIfAborted();
          progress.show(text);
        },
        signal: stopped.signal,
      });
      progress.clear();
      process.stdout.write(`${formatResult(`${bench.number}. ${bench.name}: ${bench.summary}`, result)}\n`);
      results.push(asJson(bench, result));
    } catch (error) {
      progress.clear();
      if (stopped.signal.aborted) break;
      failed = true;
      const message = error instanceof Error ? error.message : String(error);
      process.stderr.write(`${bench.number}. ${bench.name} could not run: ${message}\n\n`);
      results.push({ bench: bench.number, name: bench.name, error: message });
    }
  }
  await mkdir(dirname(wishes.jsonPath), { recursive: true });
  await writeFile(
    wishes.jsonPath,
    `${JSON.stringify({ machine, quick: wishes.quick, rounds: wishes.rounds, results }, undefined, 2)}\n`,
  );
  process.stdout.write(
    `${wishes.quick ? 'A quick run: these figures mean little. ' : ''}JSON: ${wishes.jsonPath}\n`,
  );
  if (stopped.signal.aborted) return EXIT_STOPPED;
  return failed ? 1 : 0;
}

let wishes: Wishes | undefined;
try {
  wishes = readArguments(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
  process.exit(2);
}
if (wishes === undefined) process.stdout.write(HELP);
else process.exitCode = await main(wishes);
