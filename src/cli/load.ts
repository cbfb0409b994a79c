/** `vitrine load`: sends load to a running service and reports what came of it. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { createClient } from '../client/client.ts';
import { ARRIVAL_KINDS, type ArrivalKind } from '../loadgen/arrivals.ts';
import { formatProgress, formatReport } from '../loadgen/format.ts';
import type { LoadOptions } from '../loadgen/plan.ts';
import type { LoadProgress } from '../loadgen/report.ts';
import { runLoad } from '../loadgen/run.ts';
import { requestSamples, samplesFromFile } from '../loadgen/samples.ts';
import { gatewayUrl } from './addresses.ts';
import { readArguments, readNumber, UsageError } from './command.ts';
import { note, plain, print } from './terminal.ts';

export const summary = 'send load to a model, and report latency by stage';

export const help = `Usage: vitrine load <model> [options]

Sends queries to a running service and reports throughput, latency and the share of
each stage. Without a file the queries are made up from the model's metadata.

  --concurrency <n>     closed loop: n queries at a time, each followed by the next (8)
  --rate <per second>   open loop: queries leave at this rate whatever the answers do,
                        and their wait counts (no coordinated omission)
  --arrivals <kind>     open loop: ${ARRIVAL_KINDS.join(' or ')} (poisson)
  --duration <s>        seconds measured (10)
  --requests <n>        ends after n queries instead
  --warmup <s>          seconds before, left out of every figure (1)
  --timeout-ms <ms>     a query without an answer is given up after it (10000)

  --file <path>         .json: one request; .jsonl: one per line; else one text per line
  --rows <n>            rows of each made-up query (1)
  --size <n>            size of its other variable dimensions (1)
  --binary              tensors as bytes instead of JSON
  --seed <n>            the same seed makes the same queries and arrivals (1)

  --model-version <v>   instead of the newest that is ready
  --url <address>       the gateway; http://localhost:8000 unless configured
  --json                the whole report as JSON

Examples:

  npx vitrine load langid --concurrency 32
  npx vitrine load langid --rate 200 --duration 30 --json > report.json

Ctrl-C ends the run and reports what there is.`;

const DEFAULT_CONCURRENCY = '8';
const DEFAULT_WARMUP_S = '1';

export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv, {
    options: {
      concurrency: { type: 'string' },
      rate: { type: 'string' },
      arrivals: { type: 'string' },
      duration: { type: 'string' },
      requests: { type: 'string' },
      warmup: { type: 'string' },
      'timeout-ms': { type: 'string' },
      file: { type: 'string' },
      rows: { type: 'string' },
      size: { type: 'string' },
      binary: { type: 'boolean' },
      seed: { type: 'string' },
      'model-version': { type: 'string' },
      url: { type: 'string' },
      json: { type: 'boolean' },
    },
    allowPositionals: true,
  });
  const [model, ...more] = positionals;
  if (model === undefined || more.length > 0) throw new UsageError('load takes one model');
  // The plan has the limits; here a number only has to be one.
  const number = (option: 'rate' | 'duration' | 'requests' | 'timeout-ms' | 'rows' | 'size' | 'seed') => {
    const text = values[option];
    return text === undefined ? undefined : readNumber(option, text, 0, Number.MAX_SAFE_INTEGER);
  };
  const url = gatewayUrl(values.url);
  const version = values['model-version'];
  await using client = createClient({ url });
  const metadata = await client.modelMetadata(model, version);
  const seed = number('seed');
  const binary = values.binary ?? false;
  const samples =
    values.file === undefined
      ? requestSamples(metadata, {
          binary,
          ...defined({ seed, rows: number('rows'), variableSize: number('size') }),
        })
      : samplesFromFile(await openFile(values.file), metadata, { binary });
  const ratePerS = number('rate');
  const concurrency = values.concurrency ?? (ratePerS === undefined ? DEFAULT_CONCURRENCY : undefined);
  const options: LoadOptions = {
    url,
    model,
    samples,
    warmupS: readNumber('warmup', values.warmup ?? DEFAULT_WARMUP_S, 0, Number.MAX_SAFE_INTEGER),
    ...defined({
      version,
      seed,
      ratePerS,
      concurrency:
        concurrency === undefined
          ? undefined
          : readNumber('concurrency', concurrency, 0, Number.MAX_SAFE_INTEGER),
      arrivals: values.arrivals as ArrivalKind | undefined,
      durationS: number('duration'),
      requests: number('requests'),
      timeoutMs: number('timeout-ms'),
    }),
  };
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const report = await runLoad(options, {
    signal: stop.signal,
    ...(process.stderr.isTTY ? { onProgress: showProgress } : {}),
  });
  print(values.json ? JSON.stringify(report, null, 2) : formatReport(report).trimEnd());
  return report.ok > 0 ? 0 : 1;
}

/** Options that were given, so that those that were not keep their defaults. */
function defined<T extends Record<string, unknown>>(
  options: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

async function openFile(path: string): Promise<{ name: string; bytes: Buffer }> {
  try {
    return { name: basename(path), bytes: await readFile(path) };
  } catch (error) {
    throw new UsageError(`--file ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** One line that is written over; the last stays. */
function showProgress(progress: LoadProgress): void {
  process.stderr.write(`\r\x1b[K${plain(formatProgress(progress))}`);
  if (progress.phase === 'done') note('');
}
