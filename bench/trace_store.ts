/** The trace store: spans accepted through OTLP over HTTP, and searches over a million of them. */
import { ATTR, SERVICE_GATEWAY } from '../src/contract/attributes.ts';
import type { Bench, BenchContext, BenchResult, Figure } from './bench.ts';
import { cpuMs, memoryOf } from './machine.ts';
import { digits, range, table } from './print.ts';
import { entry, type RunningProcess, startProcess } from './processes.ts';
import { alternate, ratioOf, spreadOf } from './rounds.ts';
import { createSpanBodies, GATEWAY_OPERATION, MODELS, PLAIN_TAG, SPANS_PER_PAIR } from './span_bodies.ts';
import type { SendResult, SendTask } from './span_sender.ts';
import { temporaryFolder } from './temporary.ts';

const CONNECTIONS = 4;
const SPANS = 1_000_000;
const QUICK_SPANS = 100_000;
const SEARCHES = 40;
const LIMIT = 20;
const RETENTION_BYTES = 4 * 1024 ** 3;
/** Jaeger 2.13 on Badger, 512,000 such spans over 4 connections, measured on the same kind of machine. */
const JAEGER = { spansPerS: 22_500, searchMs: 120, serviceSearchMs: 180 };

interface Found {
  readonly ms: number;
  readonly traces: number;
  readonly scanned: number;
  readonly limited: boolean;
}

async function run(context: BenchContext): Promise<BenchResult> {
  const { machine, quick } = context;
  const pairs = Math.ceil((quick ? QUICK_SPANS : SPANS) / SPANS_PER_PAIR / context.rounds);
  await using folder = await temporaryFolder();
  await using held = new AsyncDisposableStack();
  const child = async (name: string, args: readonly string[] = []): Promise<RunningProcess> =>
    held.use(
      await startProcess(machine, folder.root, {
        name,
        module: new URL(`./${name}.ts`, import.meta.url),
        args,
      }),
    );
  const receiver = held.use(
    await startProcess(machine, folder.root, {
      name: 'console',
      module: entry('console'),
      env: {
        VITRINE_CONSOLE_HTTP_PORT: '0',
        VITRINE_CONSOLE_OTLP_PORT: '0',
        VITRINE_CONSOLE_DATABASE_PATH: folder.path('traces.db'),
        VITRINE_CONSOLE_RETENTION_BYTES: String(RETENTION_BYTES),
      },
    }),
  );
  const sender = await child('span_sender');
  const alone = await child('store_alone', [folder.path('alone.db')]);
  // Ends about now, so that retention by age keeps all of it and the newest are the newest.
  const startUs = Date.now() * 1000 - 2 * 3600e6;
  let otlpPair = 0;
  let alonePair = 0;
  const cpu: number[] = [];
  const task = (fromPair: number): SendTask => ({
    url: `http://127.0.0.1:${receiver.ports.otlp}`,
    connections: CONNECTIONS,
    fromPair,
    pairs,
    startUs,
  });
  const rounds = await alternate<'otlp' | 'alone', SendResult>(
    context.rounds,
    {
      otlp: async () => {
        const before = cpuMs(receiver.pid);
        const result = (await sender.ask(task(otlpPair))) as SendResult;
        otlpPair += pairs;
        cpu.push(((cpuMs(receiver.pid) - before) * 1e3) / result.spans);
        return result;
      },
      alone: async () => {
        const result = (await alone.ask(task(alonePair))) as SendResult;
        alonePair += pairs;
        return result;
      },
    },
    context.progress,
  );
  const perS = (side: 'otlp' | 'alone'): number[] =>
    rounds[side].map(({ spans, elapsedMs }) => (spans * 1000) / elapsedMs);

  const stored = otlpPair * SPANS_PER_PAIR;
  const searched = await search(context, receiver, otlpPair, startUs);
  const times = (name: string): number[] => (searched[name] ?? []).map(({ ms }) => ms);
  const status = (await ask(receiver, '/console/status')) as { store?: { dataBytes?: number } };
  const figures: Figure[] = [
    {
      label: 'accepted through OTLP',
      spread: spreadOf(perS('otlp')),
      unit: 'spans/s',
      aim: { relation: 'at least', value: 50_000 },
    },
    {
      label: 'accepted through OTLP / decode and insert alone',
      spread: ratioOf(perS('otlp'), perS('alone')),
      unit: 'x',
    },
    {
      label: 'accepted / Jaeger on Badger (constant)',
      spread: spreadOf(perS('otlp').map((value) => value / JAEGER.spansPerS)),
      unit: 'x',
    },
    {
      label: 'spans per second of processor time',
      spread: spreadOf(cpu.map((us) => 1e6 / us)),
      unit: 'spans/s',
    },
    {
      label: `newest ${LIMIT} by all four`,
      spread: spreadOf(times(INDEXED_SEARCH)),
      unit: 'ms',
      aim: { relation: 'at most', value: 20 },
    },
  ];
  const rows = [['search', 'ms', 'traces', 'looked at', 'limit reached']];
  for (const [name, found] of Object.entries(searched)) {
    rows.push([
      name,
      range(spreadOf(found.map(({ ms }) => ms))),
      digits(spreadOf(found.map(({ traces }) => traces)).median),
      digits(spreadOf(found.map(({ scanned }) => scanned)).median),
      found.some(({ limited }) => limited) ? 'yes' : 'no',
    ]);
  }
  const [first] = rounds.otlp;
  return {
    figures,
    tables: [table(rows)],
    notes: [
      `${stored.toLocaleString('en-US')} spans, 8 a trace, 6 attributes a span, ${((first?.bytes ?? 0) / (first?.spans ?? 1)).toFixed(0)} bytes each in OTLP; ${CONNECTIONS} connections; sender on the same machine, nothing pinned.`,
      `The console yields to other processes (nice 10) and holds ${digits(memoryOf(receiver.pid).rssMib)} MiB.`,
      `Decode and insert alone: ${range(spreadOf(perS('alone')))} spans/s.`,
      `Jaeger 2.13 on Badger, measured on the same kind of machine: ${JAEGER.spansPerS.toLocaleString('en-US')} spans/s, ${JAEGER.searchMs} ms for the search by all four, ${JAEGER.serviceSearchMs} ms by service alone.`,
      `Bodies that were told to come again: ${rounds.otlp.reduce((sum, { refused }) => sum + refused, 0)}.`,
    ],
    details: { rounds, searched, status },
  };
}

const INDEXED_SEARCH = 'service, operation, duration, indexed tag';

async function search(
  context: BenchContext,
  receiver: RunningProcess,
  pairs: number,
  startUs: number,
): Promise<Record<string, Found[]>> {
  const bodies = createSpanBodies(startUs);
  const traces = (parameters: Record<string, string>): string =>
    `/api/traces?${new URLSearchParams({ service: SERVICE_GATEWAY, limit: String(LIMIT), lookback: '12h', ...parameters })}`;
  const tags = (values: Record<string, string>): string => JSON.stringify(values);
  const minDuration = (round: number): string => `${8 + (round % 10) * 2}ms`;
  const searches: Record<string, (round: number) => string> = {
    service: () => traces({}),
    'service, operation': (round) => traces({ operation: `infer model-${round % MODELS}` }),
    'service, operation, duration': (round) =>
      traces({ operation: GATEWAY_OPERATION, minDuration: minDuration(round) }),
    [INDEXED_SEARCH]: (round) =>
      traces({
        operation: GATEWAY_OPERATION,
        minDuration: minDuration(round),
        tags: tags({ [ATTR.outcome]: 'ok', [ATTR.model]: 'model-3' }),
      }),
    'a rare outcome': () => traces({ tags: tags({ [ATTR.outcome]: 'error' }) }),
    'request id': (round) =>
      traces({ tags: tags({ [ATTR.requestId]: bodies.requestId(round % pairs, round % 100) }) }),
    'a tag without index': (round) => traces({ tags: tags({ [PLAIN_TAG]: `shard-${round % 64}` }) }),
    'a tag without index that no span has': () => traces({ tags: tags({ [PLAIN_TAG]: 'none' }) }),
    'trace id': (round) => `/api/traces/${bodies.traceId((round * 37) % pairs, round % 100)}`,
  };
  const found: Record<string, Found[]> = {};
  for (const [name, path] of Object.entries(searches)) {
    context.progress(`search by ${name}`);
    const results: Found[] = [];
    for (let round = 0; round < SEARCHES; round += 1) {
      const startMs = performance.now();
      const answer = (await ask(receiver, path(round))) as {
        data?: readonly unknown[];
        scanned?: number;
        scanLimitReached?: boolean;
      };
      results.push({
        ms: performance.now() - startMs,
        traces: answer.data?.length ?? 0,
        scanned: answer.scanned ?? 0,
        limited: answer.scanLimitReached ?? false,
      });
    }
    const wanted = name.endsWith('no span has') ? 0 : 1;
    if (results.some(({ traces: count }) => count < wanted))
      throw new Error(`the search by ${name} found nothing`);
    found[name] = results;
  }
  return found;
}

async function ask(receiver: RunningProcess, path: string): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${receiver.ports.http}${path}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}

export const traceStore: Bench = {
  number: 4,
  name: 'trace store',
  summary: 'spans accepted through OTLP, and searches over a million',
  run,
};
