/**
 * `npm run engines`: builds the engines that `npm run test:engines` needs into .engines/, from the versions that
 * go.mod beside this file pins. What is there from the same pins is kept, so only the first run takes minutes.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { basename, join } from 'node:path';

const PACKAGES = [
  'github.com/prometheus/prometheus/cmd/promtool',
  'github.com/prometheus/prometheus/cmd/prometheus',
];

const source = import.meta.dirname;
const folder = join(source, '../../.engines');
const stamp = join(folder, 'stamp');
const pins = createHash('sha256');
for (const file of ['go.mod', 'go.sum']) pins.update(readFileSync(join(source, file)));
const wanted = `${pins.digest('hex')} ${PACKAGES.join(' ')}\n`;
const built = PACKAGES.every((name) => existsSync(join(folder, basename(name))));

if (built && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) {
  process.stdout.write(`engines are built: ${PACKAGES.map((name) => basename(name)).join(', ')}\n`);
} else {
  process.stdout.write('building engines, which takes minutes the first time...\n');
  mkdirSync(folder, { recursive: true });
  // Whatever else the machine does goes first.
  setPriority(constants.priority.PRIORITY_LOW);
  const run = spawnSync('go', ['build', '-o', `${folder}/`, ...PACKAGES], { cwd: source, stdio: 'inherit' });
  if (run.error !== undefined) {
    process.stderr.write(`engines need Go 1.26 or newer on the PATH: ${run.error.message}\n`);
    process.exitCode = 1;
  } else if (run.status === 0) writeFileSync(stamp, wanted);
  else process.exitCode = run.status ?? 1;
}
