/** Files that a manifest names: read only from inside the version's folder. */
import { readFile, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize, relative, sep } from 'node:path';

/** A labels file beyond this is refused. */
const LABELS_LIMIT_BYTES = 4 * 1024 * 1024;

type LabelsResult =
  | {
      readonly labels: readonly string[];
      /** Changes when the file changes. */
      readonly fingerprint: string;
    }
  | { readonly problem: string };

/** Whether `path` is `folder` itself or inside it; both real paths, without links. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

/**
 * Reads a labels file: UTF-8, one label per line, the line's index (from 0) is the class.
 * @param folder the version's folder, a real path
 * @param file as the manifest names it: relative, inside the folder, also after its links are followed
 * @returns the labels, or what is wrong and the fix, without the manifest's place
 */
export async function readLabels(folder: string, file: string): Promise<LabelsResult> {
  const shown = JSON.stringify(file);
  const outside = `${shown} leaves the version folder; put the file beside model.onnx and name it alone`;
  if (isAbsolute(file) || file.includes('\0') || !isInside(folder, normalize(join(folder, file)))) {
    return { problem: outside };
  }
  let text: string;
  let fingerprint: string;
  try {
    const path = await realpath(join(folder, file));
    if (!isInside(folder, path)) return { problem: outside };
    const found = await stat(path);
    if (!found.isFile()) return { problem: `${shown} is not a file` };
    if (found.size > LABELS_LIMIT_BYTES) {
      return { problem: `${shown} has ${found.size} bytes; at most ${LABELS_LIMIT_BYTES} are read` };
    }
    fingerprint = `${found.ino}:${found.size}:${found.mtimeMs}`;
    text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return { problem: `there is no file ${shown} in the version folder` };
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { problem: `${shown} is not UTF-8 text` };
    return { problem: `${shown} cannot be read (${code ?? 'unknown error'})` };
  }
  const labels = text.split(/\r?\n/);
  while (labels.at(-1) === '') labels.pop();
  if (labels.length === 0) return { problem: `${shown} is empty; it takes one label per line` };
  const blank = labels.indexOf('');
  if (blank >= 0) {
    return { problem: `${shown} line ${blank + 1} is empty; every line is the label of one class` };
  }
  return { labels, fingerprint };
}
