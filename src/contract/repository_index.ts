/**
 * `POST /v2/repository/index`: what a process serves, one entry per model and version. Gateways learn from
 * their workers' index which names exist, which versions are ready, and how long a query may take.
 */

/** `UNAVAILABLE` carries a reason: the load failed, or the version was not asked for. */
export const MODEL_STATES = ['READY', 'LOADING', 'UNLOADING', 'UNAVAILABLE'] as const;
export type ModelState = (typeof MODEL_STATES)[number];

export interface RepositoryIndexEntry {
  readonly name: string;
  /** A positive integer in decimal; empty for a model of which no version could be read. */
  readonly version: string;
  readonly state: ModelState;
  /** Why the state is not READY; empty otherwise. */
  readonly reason: string;
  /** The manifest's deadline for queries that name none, in milliseconds; absent when it has none. */
  readonly default_timeout_ms?: number;
}

/** Entries of one index; what lies beyond them is left out. */
const INDEX_LIMIT = 10_000;
const NAME_LIMIT_CHARS = 256;
const REASON_LIMIT_CHARS = 4096;

function isState(value: unknown): value is ModelState {
  return (MODEL_STATES as readonly unknown[]).includes(value);
}

/** The entries of another process's answer; what is no entry is left out. undefined when it is no index at all. */
export function parseRepositoryIndex(value: unknown): RepositoryIndexEntry[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const entries: RepositoryIndexEntry[] = [];
  for (const item of value.slice(0, INDEX_LIMIT) as unknown[]) {
    if (typeof item !== 'object' || item === null) continue;
    const { name, version, state, reason, default_timeout_ms: timeoutMs } = item as Record<string, unknown>;
    if (typeof name !== 'string' || name === '' || name.length > NAME_LIMIT_CHARS) continue;
    if (version !== undefined && (typeof version !== 'string' || version.length > NAME_LIMIT_CHARS)) continue;
    if (!isState(state)) continue;
    entries.push({
      name,
      version: version ?? '',
      state,
      reason: typeof reason === 'string' ? reason.slice(0, REASON_LIMIT_CHARS) : '',
      ...(typeof timeoutMs === 'number' && timeoutMs > 0 && Number.isFinite(timeoutMs)
        ? { default_timeout_ms: timeoutMs }
        : {}),
    });
  }
  return entries;
}
