/** What a drill asks of the console: alerts, their timelines, and the objectives with their time scale. */
import { ClientError } from '../client/client_error.ts';
import type { AlertEvent, AlertInstance, ObjectiveStatus } from '../contract/alerts.ts';

/** The part of GET /console/objectives that drills go by. */
export interface ObjectivesInForce {
  /** Divides every window of alerts. */
  readonly timeScale: number;
  readonly objectives: readonly Pick<ObjectiveStatus, 'name' | 'model' | 'kind'>[];
}

export interface ConsoleWatch {
  /** Active ones first, then resolved ones. */
  alerts(): Promise<readonly AlertInstance[]>;
  objectives(): Promise<ObjectivesInForce>;
  timeline(fingerprint: string): Promise<readonly AlertEvent[]>;
  /** Whether the trace is stored. @param traceId 32 hex digits */
  hasTrace(traceId: string): Promise<boolean>;
  /** The sum over the series of one of the console's own metrics; 0 when it has none. */
  metric(name: string): Promise<number>;
}

const CALL_TIMEOUT_MS = 5000;

/** @throws ClientError from each call: no console there, or one that does not evaluate alerts */
export function watchConsole(address: string, token: string): ConsoleWatch {
  const origin = address.replace(/\/+$/, '');
  const ask = async (path: string): Promise<Response> => {
    try {
      return await fetch(`${origin}${path}`, {
        headers: token === '' ? {} : { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      });
    } catch (cause) {
      throw new ClientError(
        'connection_refused',
        `no console answers at ${origin}; start the service, or give its address with --console`,
        { cause },
      );
    }
  };
  const get = async <T>(path: string): Promise<T> => {
    const response = await ask(path);
    if (response.ok) return (await response.json()) as T;
    const { error = '' } = (await response.json().catch(() => ({}))) as { error?: string };
    throw new ClientError(undefined, `the console answered ${response.status} to ${path}: ${error}`, {
      status: response.status,
    });
  };
  return {
    alerts: async () => (await get<{ alerts: AlertInstance[] }>('/console/alerts')).alerts,
    objectives: () => get<ObjectivesInForce>('/console/objectives'),
    timeline: async (fingerprint) =>
      (await get<{ events: AlertEvent[] }>(`/console/alerts/${fingerprint}`)).events,
    async hasTrace(traceId) {
      const response = await ask(`/api/traces/${traceId}`);
      await response.arrayBuffer();
      return response.ok;
    },
    async metric(name) {
      const lines = (await (await ask('/metrics')).text()).split('\n');
      const own = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
      return own.reduce(
        (sum, line) => sum + Number(line.replace(/^[^ {]+(?:\{[^}]*\})? /, '').split(' ')[0]),
        0,
      );
    },
  };
}
