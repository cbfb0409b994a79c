/** `npm run generate`: writes every generated file. A test compares them with what is committed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { GENERATED_FILES } from './generated_files.ts';

for (const [path, make] of Object.entries(GENERATED_FILES)) {
  const file = new URL(`../../${path}`, import.meta.url);
  mkdirSync(new URL('.', file), { recursive: true });
  writeFileSync(file, make());
  process.stdout.write(`${path}\n`);
}
