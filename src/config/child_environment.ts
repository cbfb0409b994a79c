/** The environment of the processes that the supervisor starts: its own, and what only it knows. */
import { getCompileCacheDir } from 'node:module';
import type { Config } from './settings.ts';
import { variableName } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Values by room, as in `loadConfig`'s overrides; written in the form that a variable has. */
export type SettingValues = {
  readonly [R in keyof Config]?: { readonly [N in keyof Config[R]]?: string | number };
};

const OTLP_ENDPOINTS = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
const OTLP_HEADERS = ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'];

/**
 * @param values settings that this child gets instead of ours
 * @param console_ the embedded console's OTLP receiver, where spans go unless a standard variable says otherwise;
 *   undefined without one
 */
export function childEnvironment(
  values: SettingValues,
  console_: { readonly otlpPort: number; readonly token: string } | undefined,
  env: Environment = process.env,
): Record<string, string | undefined> {
  const own: Record<string, string> = {};
  for (const [room, settings] of Object.entries(values)) {
    for (const [name, value] of Object.entries(settings)) own[variableName(room, name)] = String(value);
  }
  if (console_ !== undefined && !OTLP_ENDPOINTS.some((name) => env[name])) {
    own.OTEL_EXPORTER_OTLP_ENDPOINT = `http://localhost:${console_.otlpPort}`;
    if (console_.token !== '' && !OTLP_HEADERS.some((name) => env[name])) {
      own.OTEL_EXPORTER_OTLP_HEADERS = `authorization=${encodeURIComponent(`Bearer ${console_.token}`)}`;
    }
  }
  const cache = env.NODE_COMPILE_CACHE ?? getCompileCacheDir();
  if (cache !== undefined) own.NODE_COMPILE_CACHE = cache;
  return { ...env, ...own };
}
