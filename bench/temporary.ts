/** A folder that is removed when the bench is done with it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryFolder extends AsyncDisposable {
  readonly root: string;
  path(name: string): string;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const root = await mkdtemp(join(tmpdir(), 'vitrine-bench-'));
  return {
    root,
    path: (name) => join(root, name),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}
