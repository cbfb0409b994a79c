/** What `vitrine up` says when everything runs: where, and what to try first. */
import type { Client } from '../client/client.ts';
import type { Peer } from '../contract/messages.ts';
import type { ModelMetadata } from '../contract/oip.ts';

export interface Welcome {
  /** What runs, where, and what for; in the order of importance. */
  readonly places: readonly { readonly what: string; readonly where: string; readonly why: string }[];
  /** A command to paste into a terminal. */
  readonly tryThis: string;
}

const SENTENCE = 'Where did the time go?';
/** Models looked at for one that takes a sentence. */
const MODELS_LIMIT = 20;

function url(port: number): string {
  return `http://localhost:${port}`;
}

/** Ready models, the first that takes one text before the others. Empty when the gateway tells none. */
export async function modelsToTry(client: Client): Promise<readonly ModelMetadata[]> {
  try {
    const entries = await client.repositoryIndex();
    const names = [...new Set(entries.filter(({ state }) => state === 'READY').map(({ name }) => name))];
    const models = await Promise.all(names.slice(0, MODELS_LIMIT).map((name) => client.modelMetadata(name)));
    return models.toSorted((a, b) => Number(takesText(b)) - Number(takesText(a)));
  } catch {
    // The welcome is a courtesy; what is wrong with the gateway is in the log.
    return [];
  }
}

function takesText(model: ModelMetadata): boolean {
  return model.inputs.length === 1 && model.inputs[0]?.datatype === 'BYTES';
}

/** The command that asks this model something. */
export function curlLine(gatewayUrl: string, model: ModelMetadata | undefined): string {
  if (model === undefined) return `curl -s ${gatewayUrl}/v2`;
  const [input] = model.inputs;
  const path = `${gatewayUrl}/v2/models/${encodeURIComponent(model.name)}`;
  if (input === undefined || !takesText(model)) return `curl -s ${path}`;
  const shape = input.shape.map((size) => (size === -1 ? 1 : size));
  const body = JSON.stringify({
    inputs: [{ name: input.name, shape, datatype: 'BYTES', data: [SENTENCE] }],
  });
  return `curl -si ${path}/infer -H 'content-type: application/json' -d '${body}'`;
}

/** @param peers every process that is ready @param models as modelsToTry tells them */
export function welcome(peers: readonly Peer[], models: readonly ModelMetadata[]): Welcome {
  const places: { what: string; where: string; why: string }[] = [];
  const named = (name: string): readonly Peer[] => peers.filter((peer) => peer.name === name);
  const gateways = named('gateway');
  const gatewayUrl = url(gateways[0]?.ports.http ?? 0);
  places.push({ what: 'gateway', where: gatewayUrl, why: 'models, Open Inference Protocol v2' });
  const [console_] = named('console');
  if (console_?.ports.http !== undefined) {
    places.push({ what: 'console', where: url(console_.ports.http), why: 'queries and their traces' });
  }
  for (const { index, ports } of gateways) {
    const what = gateways.length > 1 ? `metrics ${index}` : 'metrics';
    if (ports.metrics !== undefined) {
      places.push({ what, where: `${url(ports.metrics)}/metrics`, why: 'for Prometheus' });
    }
  }
  const workers = named('worker');
  if (workers.length > 0) {
    const where = workers.map(({ ports }) => `:${ports.http}`).join(' ');
    const names = models.map(({ name }) => name).join(', ');
    places.push({ what: workers.length > 1 ? 'workers' : 'worker', where, why: names });
  }
  return { places, tryThis: curlLine(gatewayUrl, models[0]) };
}

/** For a terminal. */
export function formatWelcome(of: Welcome, seconds: number): string {
  const wide = Math.max(...of.places.map(({ where }) => where.length));
  const places = of.places.map(({ what, where, why }) =>
    `  ${what.padEnd(10)} ${where.padEnd(wide)}  ${why}`.trimEnd(),
  );
  return [
    '',
    `  vitrine is ready after ${seconds.toFixed(1)} s`,
    '',
    ...places,
    '',
    `  ${of.tryThis}`,
    '',
    '  npx vitrine --help tells the rest; Ctrl-C stops.',
    '',
    '',
  ].join('\n');
}
