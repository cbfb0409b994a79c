/** Load on gateways that goes on until it is disposed of: queries of every outcome that callers can bring about. */
import { createClient } from '../../src/client/client.ts';
import { REQUEST_TIMEOUT_MS } from '../../src/contract/headers.ts';
import type { LoadSample } from '../../src/loadgen/plan.ts';
import { requestSamples } from '../../src/loadgen/samples.ts';

const LANES = 4;
const MODELS = ['langid', 'langid', 'langid', 'digits'] as const;
type Model = (typeof MODELS)[number];
/** Of so many queries one expires, is malformed, names no model that there is, or is given up. */
const EXPIRES = 7;
const MALFORMED = 50;
const UNKNOWN = 70;
const GIVEN_UP = 90;

export interface SteadyLoad extends AsyncDisposable {
  /** Queries begun so far. */
  readonly sent: number;
}

/** @param urls gateways, asked in turn */
export async function startLoad(urls: readonly [string, ...string[]]): Promise<SteadyLoad> {
  await using client = createClient({ url: urls[0] });
  const samples = new Map<Model, readonly LoadSample[]>();
  for (const model of new Set(MODELS)) {
    samples.set(model, requestSamples(await client.modelMetadata(model), { count: 16 }));
  }
  let sent = 0;
  let going = true;

  async function ask(number: number): Promise<void> {
    const model = number % UNKNOWN === 1 ? 'nothing' : (MODELS[number % MODELS.length] as Model);
    const list = samples.get(model === 'nothing' ? 'langid' : model) ?? [];
    const { body, headers } = list[number % list.length] as LoadSample;
    const abort = new AbortController();
    const answer = fetch(`${urls[number % urls.length]}/v2/models/${model}/infer`, {
      method: 'POST',
      body: number % MALFORMED === 2 ? '{"inputs":[]}' : body,
      headers: { ...headers, ...(number % EXPIRES === 3 ? { [REQUEST_TIMEOUT_MS]: '1' } : {}) },
      signal: abort.signal,
    });
    if (number % GIVEN_UP === 4) setImmediate(() => abort.abort());
    await answer.then((response) => response.arrayBuffer()).catch(() => {});
  }

  const lanes = Array.from({ length: LANES }, async () => {
    while (going) {
      sent += 1;
      await ask(sent);
    }
  });
  return {
    get sent() {
      return sent;
    },
    async [Symbol.asyncDispose]() {
      going = false;
      await Promise.all(lanes);
    },
  };
}
