/** Alerts and their timelines on disk, so that a restart changes none of them. */
import type { AlertEvent, AlertInstance } from '../../contract/alerts.ts';
import type { KeptAlert } from './alert_engine.ts';
import type { EvaluatorDatabase } from './evaluator_database.ts';

const RESOLVED_LIMIT = 500;
const EVENTS_LIMIT = 5000;
/** Old rows are dropped once in so many events. */
const CARE_INTERVAL = 100;

export interface LoadedAlerts {
  readonly active: readonly KeptAlert[];
  /** Oldest first. */
  readonly resolved: readonly AlertInstance[];
  readonly events: readonly AlertEvent[];
}

export interface AlertArchive {
  load(): LoadedAlerts;
  /** One step of a timeline; a resolved alert is kept with it. */
  note(instance: AlertInstance, event: AlertEvent): void;
  /** The pending and firing alerts as they are; writes only what changed. */
  saveActive(alerts: readonly KeptAlert[]): void;
}

/** As JSON; numbers that JSON does not know, which only a `value` may be, as text. */
function written(alert: KeptAlert | AlertInstance): string {
  return JSON.stringify(alert, (_key, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

function read<T extends KeptAlert | AlertInstance>(text: unknown): T {
  return JSON.parse(String(text), (key, value: unknown) => (key === 'value' ? Number(value) : value)) as T;
}

/** What has to be equal for a row to be left alone: everything but the number and the texts that hold it. */
function signature({ goneSinceMs, instance }: KeptAlert): string {
  const { value: _value, annotations: _annotations, ...rest } = instance;
  return JSON.stringify([goneSinceMs, rest]);
}

export function createAlertArchive({ database, write }: EvaluatorDatabase): AlertArchive {
  const selectAlerts = database.prepare('SELECT resolved, body FROM alerts ORDER BY pending_since_ms');
  const upsert = database.prepare(
    'INSERT OR REPLACE INTO alerts (fingerprint, pending_since_ms, resolved, body) VALUES (?, ?, ?, ?)',
  );
  const remove = database.prepare(
    'DELETE FROM alerts WHERE fingerprint = ? AND pending_since_ms = ? AND resolved = 0',
  );
  const dropResolved = database.prepare(
    'DELETE FROM alerts WHERE resolved = 1 AND rowid NOT IN (SELECT rowid FROM alerts WHERE resolved = 1 ORDER BY pending_since_ms DESC LIMIT ?)',
  );
  const selectEvents = database.prepare('SELECT body FROM events ORDER BY id');
  const insertEvent = database.prepare('INSERT INTO events (body) VALUES (?)');
  const dropEvents = database.prepare('DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?');
  /** Of each active row that is on disk, its signature. */
  const saved = new Map<
    string,
    { readonly signature: string; readonly fingerprint: string; readonly sinceMs: number }
  >();
  let events = 0;

  const keyOf = ({ fingerprint, pendingSinceMs }: AlertInstance): string =>
    `${fingerprint} ${pendingSinceMs}`;

  return {
    load() {
      const active: KeptAlert[] = [];
      const resolved: AlertInstance[] = [];
      for (const row of selectAlerts.all()) {
        if (row.resolved === 1) resolved.push(read<AlertInstance>(row.body));
        else active.push(read<KeptAlert>(row.body));
      }
      for (const alert of active) {
        const { fingerprint, pendingSinceMs } = alert.instance;
        saved.set(keyOf(alert.instance), { signature: '', fingerprint, sinceMs: pendingSinceMs });
      }
      return {
        active,
        resolved,
        events: selectEvents.all().map(({ body }) => JSON.parse(String(body)) as AlertEvent),
      };
    },
    note(instance, event) {
      write(() => {
        insertEvent.run(JSON.stringify(event));
        if (event.kind !== 'resolved') return;
        upsert.run(instance.fingerprint, instance.pendingSinceMs, 1, written(instance));
      });
      events += 1;
      if (events % CARE_INTERVAL !== 0) return;
      write(() => {
        dropEvents.run(EVENTS_LIMIT);
        dropResolved.run(RESOLVED_LIMIT);
      });
    },
    saveActive(alerts) {
      const now = new Map(alerts.map((alert) => [keyOf(alert.instance), alert]));
      const changed = [...now].flatMap(([key, alert]) => {
        const text = signature(alert);
        return saved.get(key)?.signature === text ? [] : [{ key, alert, text }];
      });
      const gone = [...saved].filter(([key]) => !now.has(key));
      if (changed.length === 0 && gone.length === 0) return;
      const committed = write(() => {
        for (const { alert } of changed) {
          const { fingerprint, pendingSinceMs } = alert.instance;
          upsert.run(fingerprint, pendingSinceMs, 0, written(alert));
        }
        for (const [, { fingerprint, sinceMs }] of gone) remove.run(fingerprint, sinceMs);
      });
      if (!committed) return;
      for (const { key, alert, text } of changed) {
        const { fingerprint, pendingSinceMs } = alert.instance;
        saved.set(key, { signature: text, fingerprint, sinceMs: pendingSinceMs });
      }
      for (const [key] of gone) saved.delete(key);
    },
  };
}
