/** The manifests of deploy/kubernetes as data, and the environment that their containers would have. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';

export const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'deploy/kubernetes');

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: readonly EnvVar[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly resources: { readonly limits: Readonly<Record<string, string>> };
  readonly securityContext: Readonly<Record<string, unknown>>;
}

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own form, and strict schemas hold them elsewhere
  readonly spec: any;
}

/** Every object of a file. */
export function manifestsOf(path: string): Manifest[] {
  return parseAllDocuments(readFileSync(join(FOLDER, path), 'utf8'), { merge: true }).map(
    (document) => document.toJS() as Manifest,
  );
}

export function yamlOf<T>(path: string): T {
  return parse(readFileSync(join(FOLDER, path), 'utf8')) as T;
}

/** settings.env of the base. */
export function settings(): Record<string, string> {
  return parseEnv(readFileSync(join(FOLDER, 'base/settings.env'), 'utf8')) as Record<string, string>;
}

export interface Workload {
  readonly manifest: Manifest;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly pod: any;
  readonly container: Container;
}

/** Deployments and StatefulSets, by the name of their container. */
export function workloads(): Record<'gateway' | 'worker' | 'enricher', Workload> {
  const of = (name: string): Workload => {
    const manifest = manifestsOf(`base/${name}.yaml`).find(({ kind }) =>
      /^(Deployment|StatefulSet)$/.test(kind),
    );
    if (manifest === undefined) throw new Error(`base/${name}.yaml has no workload`);
    const pod = manifest.spec.template.spec;
    return { manifest, pod, container: pod.containers[0] as Container };
  };
  return { gateway: of('gateway'), worker: of('worker'), enricher: of('enricher') };
}

/** As the kubelet would make it. @param secrets by key of the Secret `vitrine` */
export function environmentOf(
  { container }: Workload,
  podName: string,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const environment = settings();
  for (const { name, value, valueFrom } of container.env) {
    const key = valueFrom?.secretKeyRef?.key;
    environment[name] =
      valueFrom?.fieldRef?.fieldPath === 'metadata.name'
        ? podName
        : key === undefined
          ? (value ?? '').replaceAll(/\$\(([A-Z_]+)\)/g, (_, other: string) => environment[other] ?? '')
          : (secrets[key] ?? '');
  }
  return environment;
}
