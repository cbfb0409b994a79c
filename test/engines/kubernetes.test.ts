/** The manifests as Kustomize builds them, held to the strict schemas of Kubernetes' API and of the Prometheus operator. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { SCHEMAS_FOLDER } from './kubernetes_schemas.ts';
import { findEngine } from './prometheus.ts';

const OVERLAYS = join(import.meta.dirname, '../../deploy/kubernetes/overlays');
const kustomize = findEngine('kustomize');
const kubeconform = findEngine('kubeconform');
const schemas = findEngine(SCHEMAS_FOLDER);

interface Built {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

function build(overlay: string): string {
  return execFileSync(kustomize as string, ['build', join(OVERLAYS, overlay)], { encoding: 'utf8' });
}

function problems(manifests: string): string[] {
  const location = `${schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`;
  const { stdout } = spawnSync(
    kubeconform as string,
    ['-strict', '-output', 'json', '-schema-location', location],
    { input: manifests, encoding: 'utf8' },
  );
  const { resources } = JSON.parse(stdout) as {
    resources: { kind: string; name: string; status: string; msg: string }[];
  };
  return resources.map(({ kind, name, status, msg }) => `${kind} ${name}: ${status} ${msg}`);
}

const KINDS = {
  small: [
    'ConfigMap',
    'Deployment',
    'Namespace',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'Service',
    'StatefulSet',
  ],
  full: ['HorizontalPodAutoscaler', 'PodMonitor', 'PrometheusRule'],
};

describe.skipIf(kustomize === undefined || kubeconform === undefined)('manifests', () => {
  test('every overlay is tested', () => {
    expect(readdirSync(OVERLAYS).sort()).toEqual(['production', 'production-gpu', 'small']);
  });

  test.each([
    ['small', KINDS.small],
    ['production', [...KINDS.small, ...KINDS.full]],
    ['production-gpu', [...KINDS.small, ...KINDS.full]],
  ])('%s is valid, and all in one namespace', (overlay, kinds) => {
    const manifests = build(overlay);
    expect(problems(manifests)).toEqual([]);
    const built = parseAllDocuments(manifests).map((document) => document.toJS() as Built);
    expect([...new Set(built.map(({ kind }) => kind))].sort()).toEqual([...kinds].sort());
    const elsewhere = built.filter(
      ({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== 'vitrine',
    );
    expect(elsewhere).toEqual([]);
  });

  test('a GPU, and models from a volume, where they are asked for', () => {
    expect(build('production')).not.toMatch(/nvidia|vitrine-models/);
    const workers = build('production-gpu');
    expect(workers).toMatch(/nvidia\.com\/gpu: "1"/);
    expect(workers).toMatch(/claimName: vitrine-models/);
  });

  test('what no schema names is found: in a pod, in a rule, in an autoscaler', () => {
    const manifests = build('production');
    for (const [right, wrong] of [
      ['enableServiceLinks: false', 'enableServiceLink: false'],
      ['keep_firing_for:', 'keep_firing:'],
      ['averageValue: 500m', 'averageValues: 500m'],
      ['maxUnavailable: 1', 'maxUnavailable: []'],
    ] as const) {
      expect(manifests).toContain(right);
      expect(problems(manifests.replace(right, wrong)), wrong).toHaveLength(1);
    }
  });
});
