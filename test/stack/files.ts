/** The committed files of the stack, as data. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { parseDocument } from 'yaml';

export const ROOT = join(import.meta.dirname, '../..');

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** @throws Error for a file that is no YAML, or that names a key twice */
export function yamlOf<T>(path: string): T {
  const document = parseDocument(textOf(path), { merge: true, uniqueKeys: true });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw new Error(`${path}: ${problem.message}`);
  return document.toJS() as T;
}

/** `${NAME:-default}` becomes the default: nothing is set. */
export function withDefaults(text: string): string {
  return text.replace(
    /\$\{(?:env:)?([A-Z0-9_]+)(?::-([^}]*))?\}/g,
    (_, _name: string, value?: string) => value ?? '',
  );
}

export interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly restart: string;
  readonly cap_drop: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly env_file?: readonly string[];
  readonly volumes?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly network_mode?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[]; readonly interval: string };
  readonly logging: { readonly options: Readonly<Record<string, string>> };
  readonly deploy: {
    readonly resources: {
      readonly limits: { readonly cpus?: string; readonly memory: string; readonly pids: number };
      readonly reservations?: { readonly devices: readonly { readonly driver: string }[] };
    };
  };
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly 'x-no-healthcheck'?: string;
  readonly 'x-root'?: string;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

export const COMPOSE = yamlOf<Compose>('docker-compose.yml');

/** @throws Error when compose has no such service */
export function serviceOf(name: string): Service {
  const service = COMPOSE.services[name];
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return service;
}

/** What deploy/secrets.sh writes into an empty folder; file below it → content. */
export function freshSecrets(env: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-secrets-'));
  try {
    const script = join(ROOT, 'deploy/secrets.sh');
    const run = (): string =>
      execFileSync('sh', [script, folder], { env: { ...process.env, ...env }, encoding: 'utf8' });
    const said = run();
    const read = (): Record<string, string> =>
      Object.fromEntries(
        [
          'serving.env',
          'enricher.env',
          'grafana_password',
          'prometheus/worker_secret',
          'prometheus/enricher_token',
          'receivers/enricher_token',
          'receivers/watchdog_url',
        ].map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
      );
    const first = read();
    run();
    if (JSON.stringify(read()) !== JSON.stringify(first)) throw new Error('a second run changed secrets');
    return { ...first, said };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Variables of a service as its process sees them when nothing is set outside. */
export function environmentOf(
  name: string,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const { environment = {}, env_file: files = [] } = serviceOf(name);
  const fromFiles = files.flatMap((file) => {
    const text = secrets[file.replace('.secrets/', '')];
    if (text === undefined) throw new Error(`deploy/secrets.sh writes no ${file}`);
    return Object.entries(parseEnv(text) as Record<string, string>);
  });
  const own = Object.entries(environment).map(([key, value]): [string, string] => [
    key,
    withDefaults(String(value)),
  ]);
  return Object.fromEntries([...fromFiles, ...own]);
}

/** Source and target of a volume or bind mount, and whether it can only be read. */
export function mountOf(text: string): {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
} {
  const [source = '', target = '', mode] = text.split(':');
  return { source, target, readOnly: mode === 'ro' };
}

export function isThere(path: string): boolean {
  return existsSync(join(ROOT, path));
}
