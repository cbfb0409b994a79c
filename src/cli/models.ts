/** `vitrine models`: what the service can be asked. */
import { createClient } from '../client/client.ts';
import type { ModelMetadata } from '../contract/oip.ts';
import type { RepositoryIndexEntry } from '../contract/repository_index.ts';
import { describeTensor, type TensorMetadata } from '../contract/tensors.ts';
import { gatewayUrl } from './addresses.ts';
import { readArguments, UsageError } from './command.ts';
import { columns, plain, print } from './terminal.ts';

export const summary = 'list models, their versions, inputs and outputs';

export const help = `Usage: vitrine models [--url <gateway>] [--json]

Lists every model and version in the repository with its state, and what it takes
and gives. A model that could not be loaded is there too, with the reason.
-1 is a size that each query chooses.

  --url <address>  the gateway; http://localhost:8000 unless configured otherwise
  --json           the same as JSON

Examples:

  npx vitrine models
  npx vitrine models --json | jq -r '.[] | select(.state != "READY") | .reason'`;

interface ListedModel extends RepositoryIndexEntry {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** Models whose metadata is asked at the same time. */
const CONCURRENCY_LIMIT = 8;

export async function run(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv, {
    options: { url: { type: 'string' }, json: { type: 'boolean' } },
    allowPositionals: true,
  });
  if (positionals.length > 0) throw new UsageError('models takes no argument');
  await using client = createClient({ url: gatewayUrl(values.url), connections: CONCURRENCY_LIMIT });
  const entries = await client.repositoryIndex();
  const listed: ListedModel[] = [];
  for (let at = 0; at < entries.length; at += CONCURRENCY_LIMIT) {
    const some = entries.slice(at, at + CONCURRENCY_LIMIT);
    listed.push(
      ...(await Promise.all(
        some.map(async (entry) => {
          const metadata =
            entry.state === 'READY' ? await client.modelMetadata(entry.name, entry.version) : undefined;
          return { ...entry, inputs: metadata?.inputs ?? [], outputs: metadata?.outputs ?? [] };
        }),
      )),
    );
  }
  print(values.json ? JSON.stringify(listed, null, 2) : table(listed));
  return 0;
}

function tensors(list: ModelMetadata['inputs']): string {
  return list.map((tensor) => `${plain(tensor.name)}: ${describeTensor(tensor)}`).join(', ');
}

function table(models: readonly ListedModel[]): string {
  if (models.length === 0) return 'The repository holds no model.';
  const rows = models.map((model) => [
    plain(model.name),
    model.version,
    model.state,
    model.state === 'READY' ? `${tensors(model.inputs)} -> ${tensors(model.outputs)}` : plain(model.reason),
  ]);
  return columns([['MODEL', 'VERSION', 'STATE', 'TAKES -> GIVES'], ...rows]);
}
