/** Writing what derives from the objectives: all of it or nothing. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OWNED_TEST } from '../slo/generated_alerts.ts';

export interface Written {
  /** Paths with the folder, in the order of the files. */
  readonly changed: readonly string[];
  readonly unchanged: readonly string[];
  readonly removed: readonly string[];
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Tests that an earlier build wrote and this one does not. */
function staleTests(folder: string, files: Readonly<Record<string, string>>): string[] {
  try {
    return readdirSync(join(folder, 'tests')).filter(
      (name) => OWNED_TEST.test(name) && !(`tests/${name}` in files),
    );
  } catch {
    return [];
  }
}

/**
 * Writes the files below the folder. Each is written beside its place first, and only when all are there they
 * take their places, so an error on the way (a full disk, a missing right) leaves the folder as it was.
 * @param files text by path below the folder
 */
export function writeFiles(folder: string, files: Readonly<Record<string, string>>): Written {
  const changed = Object.entries(files).filter(([path, text]) => contentOf(join(folder, path)) !== text);
  const staged: { readonly from: string; readonly to: string }[] = [];
  try {
    for (const [path, text] of changed) {
      const to = join(folder, path);
      const from = `${to}.${process.pid}.new`;
      mkdirSync(dirname(to), { recursive: true });
      staged.push({ from, to });
      writeFileSync(from, text, { flag: 'wx' });
    }
  } catch (error) {
    for (const { from } of staged) rmSync(from, { force: true });
    throw error;
  }
  for (const { from, to } of staged) renameSync(from, to);
  const removed = staleTests(folder, files).map((name) => join(folder, 'tests', name));
  for (const path of removed) rmSync(path, { force: true });
  return {
    changed: changed.map(([path]) => join(folder, path)),
    unchanged: Object.keys(files)
      .filter((path) => !changed.some(([each]) => each === path))
      .map((path) => join(folder, path)),
    removed,
  };
}
