/** `vitrine infer`: one query, its answer, and where its time went. */
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { createClient, type InferResult, type QueryOptions } from '../client/client.ts';
import { ClientError } from '../client/client_error.ts';
import { TOTAL_ENTRY } from '../client/server_timing.ts';
import { fromFloat16Bits } from '../contract/float16.ts';
import { parseInferRequest } from '../contract/oip_request.ts';
import { describeShape, type Tensor } from '../contract/tensors.ts';
import { gatewayUrl } from './addresses.ts';
import { readArguments, readNumber, UsageError } from './command.ts';
import { bar, columns, formatMs, note, plain, print } from './terminal.ts';

export const summary = 'ask a model, and see where the time went';

export const help = `Usage: vitrine infer <model> <text | @file | -> [options]

Sends one query and prints the answer, its trace id, and the time of each stage as
the service measured it.

  <text>     for a model that takes one text
  @file      a .json file holds a request of the Open Inference Protocol
             ({"inputs": [...]}); any other file is one text
  -          the same from standard input, JSON when it begins with {

  --url <address>            the gateway; http://localhost:8000 unless configured
  --model-version <version>  instead of the newest that is ready
  --timeout-ms <ms>          the query's deadline
  --json                     answer, trace id and timing as JSON

Examples:

  npx vitrine infer langid 'Where did the time go?'
  npx vitrine infer digits @models/digits/sample.json
  echo 'Hol van az idő?' | npx vitrine infer langid - --json`;

const ELEMENTS_SHOWN = 16;
const BAR_CELLS = 30;
const TIMEOUT_LIMIT_MS = 3_600_000;

type Query = { readonly text: string } | { readonly request: Buffer };

async function readQuery(argument: string): Promise<Query> {
  if (argument === '-') {
    const bytes = await buffer(process.stdin);
    return /^\s*\{/.test(bytes.toString('utf8', 0, 256)) ? { request: bytes } : asText(bytes);
  }
  if (!argument.startsWith('@')) return { text: argument };
  const path = argument.slice(1);
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path} cannot be read: ${error.code ?? error.message}`);
  });
  return path.endsWith('.json') ? { request: bytes } : asText(bytes);
}

/** Without the line feed that ends a file or an echo. */
function asText(bytes: Buffer): Query {
  return { text: bytes.toString('utf8').replace(/\r?\n$/, '') };
}

export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv, {
    options: {
      url: { type: 'string' },
      'model-version': { type: 'string' },
      'timeout-ms': { type: 'string' },
      json: { type: 'boolean' },
    },
    allowPositionals: true,
  });
  const [model, argument, ...more] = positionals;
  if (model === undefined || argument === undefined || more.length > 0) {
    throw new UsageError('infer takes a model and a text, @file or -; quote a text that has blanks');
  }
  const timeoutMs = values['timeout-ms'];
  const options: QueryOptions = {
    ...(values['model-version'] === undefined ? {} : { version: values['model-version'] }),
    ...(timeoutMs === undefined
      ? {}
      : { timeoutMs: readNumber('timeout-ms', timeoutMs, 1, TIMEOUT_LIMIT_MS) }),
  };
  await using client = createClient({ url: gatewayUrl(values.url) });
  const query = await readQuery(argument);
  try {
    let result: InferResult;
    if ('text' in query) {
      result = await client.text(model, query.text, options);
    } else {
      const { inputs, outputs } = parseInferRequest(query.request, { contentType: 'application/json' });
      result = await client.infer(model, {
        ...options,
        inputs,
        ...(outputs === undefined ? {} : { outputs }),
      });
    }
    print(values.json ? asJson(result) : asPage(result));
    return 0;
  } catch (error) {
    if (error instanceof ClientError && error.traceId !== undefined) note(`trace ${error.traceId}`);
    throw error;
  }
}

/** Elements as JSON has them: 64-bit integers as numbers where exact, else as text; bytes as text. */
function elements(tensor: Tensor, limit = Number.POSITIVE_INFINITY): (string | number | boolean)[] {
  const shown: (string | number | boolean)[] = [];
  for (const element of tensor.data) {
    if (shown.length >= limit) break;
    if (typeof element === 'bigint') {
      shown.push(Number.isSafeInteger(Number(element)) ? Number(element) : String(element));
    } else if (typeof element === 'number') {
      if (tensor.datatype === 'BOOL') shown.push(element !== 0);
      else shown.push(tensor.datatype === 'FP16' ? fromFloat16Bits(element) : element);
    } else {
      shown.push(Buffer.from(element).toString('utf8'));
    }
  }
  return shown;
}

function asJson(result: InferResult): string {
  const outputs = result.outputs.map((tensor) => {
    const { name, datatype, shape } = tensor;
    return { name, datatype, shape, data: elements(tensor) };
  });
  const { modelName, modelVersion, traceId, serverTiming } = result;
  return JSON.stringify({ modelName, modelVersion, outputs, traceId, serverTiming }, null, 2);
}

function asPage(result: InferResult): string {
  const answers = result.outputs.map((tensor) => {
    const shown = elements(tensor, ELEMENTS_SHOWN).map((element) =>
      typeof element === 'number' && !Number.isInteger(element)
        ? element.toPrecision(4)
        : plain(String(element)),
    );
    const rest = tensor.data.length - shown.length;
    const cut = rest > 0 ? ` ... ${rest} more, ${describeShape(tensor.shape)}` : '';
    return [plain(tensor.name), shown.join('  ') + cut];
  });
  const blocks = [columns(answers)];
  const { [TOTAL_ENTRY]: totalMs, ...stages } = result.serverTiming;
  if (totalMs !== undefined) {
    const rows = Object.entries(stages).map(([stage, ms]) => [
      plain(stage),
      formatMs(ms).padStart(7),
      bar(ms / totalMs, BAR_CELLS),
    ]);
    blocks.push(columns([...rows, ['total', formatMs(totalMs).padStart(7), 'ms']]));
  }
  if (result.traceId !== undefined) {
    const id = plain(result.traceId);
    blocks.push(`trace ${id}\nnpx vitrine trace ${id} shows it span by span`);
  }
  return blocks.join('\n\n');
}
