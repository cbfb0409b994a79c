/**
 * The only reader of process.env. Environment over vitrine.yaml over defaults; every fault of both is
 * collected and told at once, each with the variable or line, the value, and what is accepted.
 */
import { existsSync, readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { nearestName } from '../contract/nearest_name.ts';
import { type Config, eachSetting, yamlKey } from './settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`configuration is not valid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function suggestion(name: string, known: Iterable<string>): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}

interface FileValue {
  readonly value: string;
  readonly line: number;
}

function readFile(path: string, problems: string[]): Map<string, FileValue> {
  const values = new Map<string, FileValue>();
  if (!existsSync(path)) return values;
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(path, 'utf8'), { lineCounter: lines });
  for (const error of document.errors) {
    problems.push(`${path}:${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0]}`);
  }
  if (document.errors.length > 0) return values;
  const known = new Map(eachSetting().map((entry) => [`${entry.room}.${yamlKey(entry.name)}`, entry]));
  const root = document.toJS() as unknown;
  if (root === null || root === undefined) return values;
  if (typeof root !== 'object' || Array.isArray(root)) {
    problems.push(`${path}:1: must hold rooms such as "gateway:" with settings below`);
    return values;
  }
  for (const [room, settings] of Object.entries(root)) {
    const lineOf = (keys: readonly string[]): number => {
      const node = document.getIn(keys, true) as { range?: [number, number, number] } | undefined;
      return node?.range ? lines.linePos(node.range[0]).line : 1;
    };
    if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
      problems.push(`${path}:${lineOf([room])}: ${room} must hold settings such as "http_port: 8000"`);
      continue;
    }
    for (const [key, raw] of Object.entries(settings as Record<string, unknown>)) {
      const line = lineOf([room, key]);
      const entry = known.get(`${room}.${key}`);
      if (!entry) {
        problems.push(
          `${path}:${line}: ${room}.${key} is not a setting${suggestion(`${room}.${key}`, known.keys())}`,
        );
        continue;
      }
      const value = Array.isArray(raw) ? raw.map(String).join(',') : String(raw);
      values.set(entry.variable, { value, line });
    }
  }
  return values;
}

/**
 * Reads the configuration.
 * @param env usually process.env
 * @param overrides values by room, for tests and for the supervisor's children
 * @throws ConfigError with every problem found
 */
export function loadConfig(env: Environment = process.env, overrides: DeepPartial<Config> = {}): Config {
  const problems: string[] = [];
  const path = env.VITRINE_CONFIG ?? 'vitrine.yaml';
  if (env.VITRINE_CONFIG !== undefined && !existsSync(path)) {
    problems.push(`VITRINE_CONFIG: there is no file ${path}; create it or unset the variable`);
  }
  const fromFile = readFile(path, problems);
  const variables = new Set<string>(['VITRINE_CONFIG']);
  const config: Record<string, Record<string, unknown>> = {};
  for (const { room, name, variable, setting } of eachSetting()) {
    variables.add(variable);
    const fileValue = fromFile.get(variable);
    const given = env[variable] ?? fileValue?.value;
    let value = setting.fallback;
    if (given !== undefined) {
      const parsed = setting.parse(given);
      if (parsed === undefined) {
        const where =
          env[variable] === undefined ? `${path}:${fileValue?.line} ${room}.${yamlKey(name)}` : variable;
        const shown = setting.secret ? '(hidden)' : JSON.stringify(given.slice(0, 100));
        problems.push(`${where}: ${shown} is not accepted; it takes ${setting.accepts}`);
      } else {
        value = parsed;
      }
    }
    const override = (overrides as Record<string, Record<string, unknown> | undefined>)[room]?.[name];
    config[room] ??= {};
    config[room][name] = override ?? value;
  }
  for (const variable of Object.keys(env)) {
    if (variable.startsWith('VITRINE_') && !variables.has(variable)) {
      problems.push(`${variable}: is not a setting${suggestion(variable, variables)}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  for (const room of Object.values(config)) Object.freeze(room);
  return Object.freeze(config) as unknown as Config;
}

export type DeepPartial<T> = { readonly [K in keyof T]?: { readonly [N in keyof T[K]]?: T[K][N] } };
