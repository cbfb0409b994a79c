/** A look at one worker: is it there, is it ready, what does it serve. */
import type { Client } from 'undici';
import { parseRepositoryIndex, type RepositoryIndexEntry } from '../contract/repository_index.ts';
import { controlCall } from './control_call.ts';

export type Look =
  /** It answered. */
  | {
      readonly type: 'here';
      readonly ready: boolean;
      /** undefined when its index could not be read. */
      readonly entries: readonly RepositoryIndexEntry[] | undefined;
    }
  /** Nobody listens there, or what listened hung up twice: the process is gone. */
  | { readonly type: 'gone' }
  /** No answer in time: stuck, or overloaded. */
  | { readonly type: 'silent' };

function parse(body: Buffer): readonly RepositoryIndexEntry[] | undefined {
  try {
    return parseRepositoryIndex(JSON.parse(body.toString('utf8')));
  } catch {
    return undefined;
  }
}

function isTimeout(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: string };
  return name === 'TimeoutError' || code === 'UND_ERR_CONNECT_TIMEOUT';
}

async function lookOnce(client: Client, headers: readonly string[]): Promise<Look> {
  const health = await controlCall(client, { method: 'GET', path: '/v2/health/ready', headers });
  const index = await controlCall(client, { method: 'POST', path: '/v2/repository/index', headers });
  return {
    type: 'here',
    ready: health.status === 200 && index.status === 200,
    entries: index.status === 200 ? parse(index.body) : undefined,
  };
}

/** Never throws. A connection that breaks is tried once more: it may have been one that the worker had closed as idle. */
export async function lookAt(client: Client, headers: readonly string[]): Promise<Look> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await lookOnce(client, headers);
    } catch (error) {
      if (isTimeout(error)) return { type: 'silent' };
      if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED' || attempt === 2) return { type: 'gone' };
    }
  }
}
