/** `npm run generate`: writes every generated file. A test compares them with what is committed. */
import { writeFileSync } from 'node:fs';
import { GENERATED_FILES } from './generated_files.ts';

for (const [path, make] of Object.entries(GENERATED_FILES)) {
  writeFileSync(new URL(`../../${path}`, import.meta.url), make());
  process.stdout.write(`${path}\n`);
}
