/** `vitrine trace`: one query as a waterfall, with its ledger. */
import { createClient } from '../client/client.ts';
import type { Trace } from '../client/trace.ts';
import { loadConfig } from '../config/load.ts';
import { consoleUrl } from './addresses.ts';
import { readArguments, UsageError } from './command.ts';
import { note, print } from './terminal.ts';
import { tracePage } from './trace_page.ts';
import { isComplete, queriesOf } from './trace_tree.ts';

export const summary = "show where one query's time went";

export const help = `Usage: vitrine trace <id> [--console <address>] [--json]

Shows one query as a waterfall of its spans, and its ledger: every stage from the
first header to the last byte, and what no stage claimed. The id is in the answer's
x-trace-id header; "vitrine infer" prints it. A query that has just been answered
is waited for, at most 2 s.

How to read the ledger: stages are contiguous and sum to the total. Those indented
were measured inside the worker; "network" is the rest of the way there and back.
"queue" is saturation, "batch_wait" the price of batching, "compute" the model.

  --console <address>  the console, or any Jaeger; http://localhost:16686 unless
                       configured. VITRINE_CONSOLE_TOKEN is sent when it is set.
  --json               queries with their ledgers and all spans, as JSON

Colour only on a terminal; NO_COLOR turns it off.

Examples:

  npx vitrine trace 4bf92f3577b34da6a3ce929d0e0e4736
  npx vitrine trace 4bf92f3577b34da6a3ce929d0e0e4736 --json | jq '.queries[0].stages'`;

/** How long a trace that is not there, or not in full, is waited for: several times an exporter's interval. */
const WAIT_MS = 2000;
const WIDTH_WITHOUT_TERMINAL = 100;

/** Any id that Jaeger takes, and UUIDs. Shorter ones are padded as Jaeger pads them. */
function readId(given: string): string {
  const digits = given.trim().replaceAll('-', '').toLowerCase();
  if (!/^[0-9a-f]{1,32}$/.test(digits) || /^0+$/.test(digits)) {
    throw new UsageError('a trace id is 1 to 32 hex digits, as in the x-trace-id header of an answer');
  }
  return digits.padStart(32, '0');
}

export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv, {
    options: { console: { type: 'string' }, json: { type: 'boolean' } },
    allowPositionals: true,
  });
  const [given, ...more] = positionals;
  if (given === undefined || more.length > 0) throw new UsageError('trace takes one trace id');
  const id = readId(given);
  const address = consoleUrl(values.console);
  const { token } = loadConfig().console;
  await using client = createClient({ url: address });
  const trace = await client.trace(id, address, {
    waitMs: WAIT_MS,
    until: isComplete,
    ...(token === '' ? {} : { token }),
  });
  if (values.json) {
    print(asJson(trace));
    return 0;
  }
  const { stdout } = process;
  print(
    tracePage(trace, `${address.replace(/\/+$/, '')}/trace/${trace.traceId}`, {
      width: stdout.columns || WIDTH_WITHOUT_TERMINAL,
      color: stdout.isTTY === true && stdout.hasColors(),
    }),
  );
  if (!isComplete(trace)) note('Part of this trace has not arrived; its process may have been killed.');
  return 0;
}

function asJson(trace: Trace): string {
  const { traceId, startTimeMs, durationMs } = trace;
  const queries = queriesOf(trace).map(({ span, isWhole, ledger }) => ({
    spanId: span.spanId,
    name: span.name,
    isWhole,
    ...(ledger === undefined
      ? {}
      : {
          totalMs: ledger.totalMs,
          unattributedMs: ledger.unattributedMs,
          stages: Object.fromEntries(ledger.stages.map(({ stage, ms }) => [stage, ms])),
        }),
  }));
  const spans = trace.spans.map((span) => ({
    ...span,
    attributes: Object.fromEntries(span.attributes),
    events: span.events.map((event) => ({ ...event, attributes: Object.fromEntries(event.attributes) })),
  }));
  return JSON.stringify({ traceId, startTimeMs, durationMs, queries, spans }, null, 2);
}
