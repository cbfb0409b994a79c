/**
 * `npm run engines`: builds the engines that `npm run test:engines` needs into .engines/, from the versions that
 * the Go modules here pin. What is there from the same pins is kept, so only the first run takes minutes.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { buildKubernetesSchemas } from './kubernetes_schemas.ts';

/** Folder of a Go module beside this file → what is built from it. Modules are apart, so that pins do not pull at each other. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  '.': ['github.com/prometheus/prometheus/cmd/promtool', 'github.com/prometheus/prometheus/cmd/prometheus'],
  alertmanager: ['github.com/prometheus/alertmanager/cmd/amtool'],
  // Programs of ours around the engines' own packages.
  collector: ['vitrine.example/engines/collector'],
  compose: ['vitrine.example/engines/compose'],
  jaeger: ['github.com/jaegertracing/jaeger/cmd/jaeger'],
  kubernetes: ['github.com/yannh/kubeconform/cmd/kubeconform', 'sigs.k8s.io/kustomize/kustomize/v5'],
};

const target = join(import.meta.dirname, '../../.engines');

/** What `go build` calls the program of a package: its last element that is no major version. */
function programOf(path: string): string {
  return path
    .split('/')
    .filter((part) => !/^v[2-9]$/.test(part))
    .at(-1) as string;
}

/** Builds a module's programs unless they are there from the same pins. @returns false when that failed */
function build(folder: string, packages: readonly string[]): boolean {
  const source = join(import.meta.dirname, folder);
  const names = packages.map(programOf);
  const pins = createHash('sha256');
  for (const file of ['go.mod', 'go.sum', 'main.go']) {
    if (existsSync(join(source, file))) pins.update(readFileSync(join(source, file)));
  }
  const wanted = `${pins.digest('hex')} ${names.join(' ')}\n`;
  const stamp = join(target, `${names.join('-')}.stamp`);
  const built = names.every((name) => existsSync(join(target, name)));
  if (built && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return true;
  process.stdout.write(`building ${names.join(', ')}: minutes, the first time...\n`);
  const run = spawnSync('go', ['build', '-o', `${target}/`, ...packages], { cwd: source, stdio: 'inherit' });
  if (run.error !== undefined) {
    process.stderr.write(`engines need Go 1.26 or newer on the PATH: ${run.error.message}\n`);
  }
  if (run.status !== 0) return false;
  writeFileSync(stamp, wanted);
  return true;
}

mkdirSync(target, { recursive: true });
// Whatever else the machine does goes first.
setPriority(constants.priority.PRIORITY_LOW);
const done = Object.entries(MODULES).every(([folder, packages]) => build(folder, packages));
if (done) buildKubernetesSchemas(target);
if (done)
  process.stdout.write(`engines are built: ${Object.values(MODULES).flat().map(programOf).join(', ')}\n`);
else process.exitCode = 1;
