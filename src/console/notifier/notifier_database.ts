/** The notifier's database, a small file beside the traces: what is still to be delivered, and silences. */
import { openStateDatabase, type StateDatabase } from '../../traces/state_database.ts';

/**
 * notices  one per alert, start and status: `key` = fingerprint:startsAtMs:status. delivered_ms is NULL until a
 *          receiver has taken it, and then the last time that it was told.
 * silences see Silence in contract/alerts.ts.
 */
const SCHEMA = `
CREATE TABLE notices (key TEXT PRIMARY KEY, made_ms INTEGER NOT NULL, delivered_ms INTEGER, instance TEXT NOT NULL);
CREATE TABLE silences (id TEXT PRIMARY KEY, body TEXT NOT NULL)
`;

/** @param tracesPath of the trace store: `data/traces.db` → `data/traces.notifier.db` */
export function openNotifierDatabase(
  tracesPath: string,
  onNotice: (notice: string) => void,
  nowMs: number,
): StateDatabase {
  const path = tracesPath === ':memory:' ? tracesPath : `${tracesPath.replace(/\.db$/, '')}.notifier.db`;
  return openStateDatabase(
    { path, name: "the notifier's database", schema: SCHEMA, schemaVersion: 1, onNotice },
    nowMs,
  );
}
