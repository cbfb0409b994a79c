/**
 * The model repository: `<name>/<version>/model.onnx`, as Triton users know it, and for a first try
 * `<name>/model.onnx`, which is version 1. A scan is the only place where names become paths: whoever looks a
 * model up by a name from a request does so in what the scan found.
 */
import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { isInside, readLabels } from './labels.ts';
import {
  MANIFEST_FILE,
  MANIFEST_LIMIT_BYTES,
  type Manifest,
  type ManifestFile,
  mergeManifests,
  parseManifest,
} from './manifest.ts';
import type { ModelProblem, ModelProblemCode } from './model_problem.ts';

const MODEL_FILE = 'model.onnx';
const MODEL_NAME = /^[A-Za-z0-9._-]{1,128}$/;
const VERSION = /^[1-9][0-9]{0,14}$/;
const NUMERIC = /^[0-9]+$/;

export interface RepositoryLimits {
  readonly maxModels: number;
  readonly maxVersionsPerModel: number;
}

const DEFAULT_REPOSITORY_LIMITS: RepositoryLimits = { maxModels: 1000, maxVersionsPerModel: 100 };

/** One version of a model that can be loaded; plain data, for the thread that loads it. */
export interface ModelEntry {
  readonly name: string;
  /** A positive integer in decimal, at most 15 digits. */
  readonly version: string;
  /** The version's folder, a real path inside the repository. */
  readonly folder: string;
  /** model.onnx, a real path inside the repository. */
  readonly modelPath: string;
  /** model.onnx relative to the repository, for messages. */
  readonly shownPath: string;
  readonly modelSizeBytes: number;
  readonly manifest: Manifest;
  /** The labels, read; undefined when the manifest names none. */
  readonly labels: readonly string[] | undefined;
  /** Changes when model.onnx, a manifest or the labels change on disk. */
  readonly fingerprint: string;
}

export interface RepositoryScan {
  /** By name, then by version, ascending. */
  readonly entries: readonly ModelEntry[];
  /** In the order in which they were found; they concern versions that are in no entry, unless they say so. */
  readonly problems: readonly ModelProblem[];
}

interface RepositoryDiff {
  readonly added: readonly ModelEntry[];
  /** The files of a version changed: load the new entry, then drop the old. */
  readonly changed: readonly { readonly before: ModelEntry; readonly after: ModelEntry }[];
  readonly removed: readonly ModelEntry[];
}

/** Ascending; versions are compared as numbers. */
export function compareVersions(a: string, b: string): number {
  return Number(a) - Number(b);
}

/** What changed between two scans. Pure; a version with a new problem counts as removed. */
export function diffRepository(before: readonly ModelEntry[], after: readonly ModelEntry[]): RepositoryDiff {
  const key = (entry: ModelEntry): string => `${entry.name}/${entry.version}`;
  const old = new Map(before.map((entry) => [key(entry), entry]));
  const added: ModelEntry[] = [];
  const changed: { before: ModelEntry; after: ModelEntry }[] = [];
  for (const entry of after) {
    const previous = old.get(key(entry));
    old.delete(key(entry));
    if (previous === undefined) added.push(entry);
    else if (previous.fingerprint !== entry.fingerprint) changed.push({ before: previous, after: entry });
  }
  return { added, changed, removed: [...old.values()] };
}

/** Why a file system call failed, without its path. */
function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'it does not exist';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied; let the server read it';
    case 'ENOTDIR':
      return 'it is not a folder';
    case 'ELOOP':
      return 'its links go round in a circle';
    default:
      return `${(error as NodeJS.ErrnoException).code ?? 'unknown error'}`;
  }
}

function fingerprintOf(found: BigIntStats): string {
  return `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}`;
}

/** What one scan gathers, and where it stands. */
interface Scan {
  /** The repository's real path. */
  readonly root: string;
  readonly limits: RepositoryLimits;
  readonly entries: ModelEntry[];
  readonly problems: ModelProblem[];
}

/** The model, and the version unless the problem is the whole model's. */
interface Subject {
  readonly model: string;
  readonly version?: string;
}

function shownPath(scan: Scan, path: string): string {
  return relative(scan.root, path).split(sep).join('/');
}

function report(scan: Scan, code: ModelProblemCode, subject: Subject, path: string, message: string): void {
  scan.problems.push({ code, ...subject, path: shownPath(scan, path), message });
}

/** The real path inside the repository, or undefined after reporting why there is none. */
async function realPathInside(scan: Scan, subject: Subject, path: string): Promise<string | undefined> {
  try {
    const real = await realpath(path);
    if (isInside(scan.root, real)) return real;
    report(scan, 'layout', subject, path, 'is a link that leaves the repository; copy what it points to');
  } catch (error) {
    report(scan, 'layout', subject, path, `cannot be read: ${reasonOf(error)}`);
  }
  return undefined;
}

/** The merged manifest of these folders, the last winning, or undefined after reporting. */
async function readManifest(
  scan: Scan,
  subject: Subject,
  folders: readonly string[],
  fingerprints: string[],
): Promise<Manifest | undefined> {
  const files: ManifestFile[] = [];
  for (const folder of folders) {
    const path = join(folder, MANIFEST_FILE);
    const there = await lstat(path).catch(() => undefined);
    if (there === undefined) {
      fingerprints.push('');
      continue;
    }
    const real = await realPathInside(scan, subject, path);
    if (real === undefined) return undefined;
    const found = await stat(real, { bigint: true });
    if (!found.isFile() || found.size > BigInt(MANIFEST_LIMIT_BYTES)) {
      const message = `is no manifest; it takes a text file of at most ${MANIFEST_LIMIT_BYTES} bytes`;
      report(scan, 'manifest', subject, path, message);
      return undefined;
    }
    fingerprints.push(fingerprintOf(found));
    files.push(parseManifest(await readFile(real, 'utf8'), shownPath(scan, path)));
  }
  const problems = files.flatMap((file) => file.problems);
  for (const problem of problems) scan.problems.push({ code: 'manifest', ...subject, ...problem });
  return problems.length > 0 ? undefined : mergeManifests(files);
}

/** The labels, undefined when the manifest names none, or null after reporting. */
async function resolveLabels(
  scan: Scan,
  subject: Subject,
  folder: string,
  manifest: Manifest,
  fingerprints: string[],
): Promise<readonly string[] | undefined | null> {
  if (manifest.labels === undefined || !('file' in manifest.labels)) return manifest.labels;
  const { file } = manifest.labels;
  const result = await readLabels(folder, file);
  if ('labels' in result) {
    fingerprints.push(result.fingerprint);
    return result.labels;
  }
  const location = manifest.locations.labels ?? { path: shownPath(scan, folder), line: 1 };
  scan.problems.push({ code: 'manifest', ...subject, ...location, message: `labels: ${result.problem}` });
  return null;
}

async function scanVersion(
  scan: Scan,
  subject: Required<Subject>,
  modelFolder: string,
  versionFolder: string,
): Promise<void> {
  const folder = await realPathInside(scan, subject, versionFolder);
  if (folder === undefined) return;
  const listed = join(versionFolder, MODEL_FILE);
  if ((await lstat(listed).catch(() => undefined)) === undefined) {
    report(
      scan,
      'layout',
      subject,
      versionFolder,
      `holds no ${MODEL_FILE}; put the model there by that name`,
    );
    return;
  }
  const modelPath = await realPathInside(scan, subject, listed);
  if (modelPath === undefined) return;
  const found = await stat(modelPath, { bigint: true });
  if (!found.isFile()) {
    report(scan, 'layout', subject, listed, 'is not a file');
    return;
  }
  const fingerprints = [fingerprintOf(found)];
  const folders = [...new Set([modelFolder, versionFolder])];
  const manifest = await readManifest(scan, subject, folders, fingerprints);
  if (manifest === undefined) return;
  const labels = await resolveLabels(scan, subject, folder, manifest, fingerprints);
  if (labels === null) return;
  scan.entries.push({
    name: subject.model,
    version: subject.version,
    folder,
    modelPath,
    shownPath: shownPath(scan, listed),
    modelSizeBytes: Number(found.size),
    manifest,
    labels,
    fingerprint: fingerprints.join(','),
  });
}

/** A version that changes or vanishes while it is read is a problem of its own, not the scan's end. */
async function tryVersion(
  scan: Scan,
  subject: Required<Subject>,
  modelFolder: string,
  versionFolder: string,
): Promise<void> {
  try {
    await scanVersion(scan, subject, modelFolder, versionFolder);
  } catch (error) {
    report(scan, 'layout', subject, versionFolder, `cannot be read: ${reasonOf(error)}`);
  }
}

/** @returns whether the folder is a model's, served or not */
async function scanModel(scan: Scan, model: string, folder: string): Promise<boolean> {
  const subject = { model };
  let children: string[];
  try {
    children = await readdir(folder);
  } catch (error) {
    report(scan, 'layout', subject, folder, `cannot be read: ${reasonOf(error)}`);
    return true;
  }
  const direct = children.includes(MODEL_FILE);
  const numeric = children.filter((child) => NUMERIC.test(child)).sort();
  if (!direct && numeric.length === 0) return false;
  if (!MODEL_NAME.test(model)) {
    const message = 'a model name takes 1 to 128 letters, digits, ".", "_" and "-"; rename the folder';
    report(scan, 'layout', subject, folder, message);
    return true;
  }
  if ((await realPathInside(scan, subject, folder)) === undefined) return true;
  if (numeric.length === 0) {
    await tryVersion(scan, { model, version: '1' }, folder, folder);
    return true;
  }
  if (direct) {
    const message = 'not served, because its folder has version folders; move it into one of them';
    report(scan, 'layout', subject, join(folder, MODEL_FILE), message);
  }
  for (const child of numeric.filter((name) => !VERSION.test(name))) {
    const message = 'a version is a positive integer without leading zeros, such as 1; rename the folder';
    report(scan, 'layout', subject, join(folder, child), message);
  }
  const versions = numeric.filter((name) => VERSION.test(name)).sort(compareVersions);
  const kept = versions.slice(-scan.limits.maxVersionsPerModel);
  if (kept.length < versions.length) {
    const message = `more than ${scan.limits.maxVersionsPerModel} versions; only the newest are served`;
    report(scan, 'layout', subject, folder, message);
  }
  for (const version of kept) await tryVersion(scan, { model, version }, folder, join(folder, version));
  return true;
}

async function scanFolders(scan: Scan): Promise<void> {
  let models = 0;
  for (const name of (await readdir(scan.root)).sort()) {
    if (name.startsWith('.')) continue;
    const folder = join(scan.root, name);
    const found = await stat(folder).catch((error: unknown) => error as Error);
    if (found instanceof Error) {
      report(scan, 'layout', { model: name }, folder, `cannot be read: ${reasonOf(found)}`);
      continue;
    }
    if (!found.isDirectory()) continue;
    if (models >= scan.limits.maxModels) {
      const message = `more than ${scan.limits.maxModels} models; ${name} and those after it are not served`;
      report(scan, 'repository', { model: '' }, scan.root, message);
      return;
    }
    if (await scanModel(scan, name, folder)) models += 1;
  }
}

/**
 * Reads the repository. Never throws for what lies in it: a model that cannot be served is a problem, and the
 * others go on. Hidden folders, files, and folders with neither model.onnx nor a version are passed over.
 * @param folder the repository, absolute or relative to the working directory
 */
export async function scanRepository(
  folder: string,
  limits: RepositoryLimits = DEFAULT_REPOSITORY_LIMITS,
): Promise<RepositoryScan> {
  const problems: ModelProblem[] = [];
  try {
    const scan: Scan = { root: await realpath(folder), limits, entries: [], problems };
    await scanFolders(scan);
    return { entries: scan.entries, problems };
  } catch (error) {
    const message = `the model repository cannot be read: ${reasonOf(error)}; create it or set its path`;
    return { entries: [], problems: [{ code: 'repository', model: '', path: '', message }] };
  }
}
