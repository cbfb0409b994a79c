/** The sources of the repository, parsed: what each file imports, exports and calls. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { parseSync, Visitor, type VisitorObject } from 'oxc-parser';

export const ROOT = new URL('../../', import.meta.url).pathname;

export interface Reference {
  /** From the top of the repository where the target is a file of ours, else the name of a package. */
  readonly target: string;
  /** `value`: evaluated before the importer. `lazy`: import(). `entry`: a file for a thread or process. */
  readonly kind: 'type' | 'value' | 'lazy' | 'entry';
  readonly line: number;
}

export interface SourceFile {
  /** From the top of the repository: `src/gateway/app.ts`. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly references: readonly Reference[];
  readonly starExports: readonly number[];
  /** Visits the syntax tree. */
  visit(visitor: VisitorObject): void;
  lineAt(offset: number): number;
}

const PATTERNS = ['src/**/*.{ts,tsx,mjs,js}', 'test/**/*.{ts,mjs}', 'bench/**/*.{ts,mjs}', '*.ts'];
/** Bundled code of others, and anything that a build left. */
const LEFT_OUT = /(^|\/)(node_modules|dist|vendor|out)\//;

function resolve(from: string, specifier: string): string {
  if (!/^\.\.?\//.test(specifier)) return specifier;
  return normalize(join(dirname(from), specifier));
}

export function readSource(path: string, text: string): SourceFile {
  const { program, module, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path} does not parse: ${errors[0]?.message}`);
  const starts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)];
  const lineAt = (offset: number): number => starts.findLastIndex((start) => start <= offset) + 1;

  const references: Reference[] = [];
  const add = (specifier: string, kind: Reference['kind'], offset: number): void => {
    references.push({ target: resolve(path, specifier), kind, line: lineAt(offset) });
  };
  for (const { moduleRequest, entries, start } of module.staticImports) {
    const isType = entries.length > 0 && entries.every((entry) => entry.isType);
    add(moduleRequest.value, isType ? 'type' : 'value', start);
  }
  const starExports: number[] = [];
  for (const { entries, start } of module.staticExports) {
    for (const entry of entries) {
      if (entry.moduleRequest === null) continue;
      add(entry.moduleRequest.value, entry.isType ? 'type' : 'value', start);
      if (entry.importName.kind === 'All' || entry.importName.kind === 'AllButDefault') {
        starExports.push(lineAt(start));
      }
    }
  }
  new Visitor({
    ImportExpression: ({ source, start }) => {
      if (source.type === 'Literal' && typeof source.value === 'string') add(source.value, 'lazy', start);
    },
    TSImportType: ({ source, start }) => add(source.value, 'type', start),
    // Files named for a thread or a process: new URL('./thread.ts', import.meta.url).
    NewExpression: ({ callee, arguments: [first], start }) => {
      if (callee.type !== 'Identifier' || callee.name !== 'URL') return;
      if (
        first?.type === 'Literal' &&
        typeof first.value === 'string' &&
        /^\.\.?\/.*\.\w+$/.test(first.value)
      ) {
        add(first.value, 'entry', start);
      }
    },
  }).visit(program);
  return {
    path,
    text,
    lines: starts.length - (text.endsWith('\n') ? 1 : 0),
    references,
    starExports,
    visit: (visitor) => new Visitor(visitor).visit(program),
    lineAt,
  };
}

/** Every source file, by path. */
export function sourceFiles(): ReadonlyMap<string, SourceFile> {
  const paths = globSync(PATTERNS, { cwd: ROOT }).filter(
    (path) => !LEFT_OUT.test(path) && existsSync(join(ROOT, path)),
  );
  return new Map(
    paths.toSorted().map((path) => [path, readSource(path, readFileSync(join(ROOT, path), 'utf8'))]),
  );
}

/** Written for tests: may import more than its room. */
export function isTest(path: string): boolean {
  return /\.test\.ts$/.test(path) || path.startsWith('test/') || path.startsWith('bench/');
}

/** `src/gateway/app.ts` → `gateway`; undefined outside src. */
export function roomOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}
