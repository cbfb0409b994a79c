/** Calls that have one place, and habits that tests do without. Found in the syntax tree, never in text or comments. */
import { isTest, roomOf, type SourceFile } from './source_files.ts';

/** Why each exception stands is said where it is written. */
const READS_ENVIRONMENT: ReadonlySet<string> = new Set([
  // Hands the environment of the process to the runtime before its first thread; reads no setting.
  'src/bin/worker.ts',
]);

const SLEEPS: ReadonlySet<string> = new Set([
  // What is tested is a clock: that time passes is the event.
  'src/telemetry/context.test.ts',
]);

type Node = { readonly type: string; readonly start: number } & Record<string, unknown>;

/** `process.env` → ['process', 'env']; undefined for what is no plain chain of names. */
function chain(node: unknown): readonly string[] | undefined {
  const { type, name, object, property, computed } = node as Node;
  if (type === 'Identifier') return [String(name)];
  if (type !== 'MemberExpression' || computed === true) return undefined;
  const head = chain(object);
  const tail = (property as Node).name;
  return head === undefined || typeof tail !== 'string' ? undefined : [...head, tail];
}

function isTimer(node: unknown): boolean {
  const names = chain(node) ?? [];
  return names.at(-1) === 'setTimeout';
}

/** What the file does that it should not, as `path:line: what`. */
export function bannedIn(file: SourceFile): readonly string[] {
  const problems: string[] = [];
  const awaitsEvents = file.path.endsWith('.test.ts') && !SLEEPS.has(file.path);
  const room = roomOf(file.path);
  const test = isTest(file.path);
  const report = (node: { start: number }, what: string): void => {
    problems.push(`${file.path}:${file.lineAt(node.start)}: ${what}`);
  };
  file.visit({
    MemberExpression: (node) => {
      const names = chain(node);
      if (names?.length !== 2) return;
      const name = names.join('.');
      if (name === 'process.env' && !test && room !== 'config' && !READS_ENVIRONMENT.has(file.path)) {
        report(node, 'reads process.env; only config/ does');
      }
      if (
        name.startsWith('console.') &&
        !['cli', 'bin'].includes(room ?? '') &&
        !file.path.includes('/web/')
      ) {
        report(node, `${name}; log through the log that you are given`);
      }
      if (name === 'process.exit' && !test && !['bin', 'cli', 'lifecycle'].includes(room ?? '')) {
        report(node, 'ends the process; only bin, cli and lifecycle do');
      }
      if (test && /^(test|it|describe)\.only$/.test(name)) report(node, 'leaves other tests out');
    },
    CallExpression: (node) => {
      if (chain(node.callee)?.join('.') === 'eval') report(node, 'evaluates text as code');
    },
    NewExpression: (node) => {
      const callee = chain(node.callee)?.join('.');
      if (callee === 'Function') report(node, 'evaluates text as code');
      if (!awaitsEvents || callee !== 'Promise') return;
      // new Promise((resolve) => setTimeout(resolve, ...))
      const [executor] = node.arguments;
      if (executor?.type !== 'ArrowFunctionExpression') return;
      const { body } = executor;
      const only = body.type === 'BlockStatement' && body.body.length === 1 ? body.body[0] : body;
      const call = only?.type === 'ExpressionStatement' ? only.expression : only;
      if (call?.type === 'CallExpression' && isTimer(call.callee))
        report(node, 'sleeps; await an event instead');
    },
    ImportDeclaration: (node) => {
      if (!awaitsEvents || node.source.value !== 'node:timers/promises') return;
      const sleeps = node.specifiers.some(
        (each) =>
          each.type === 'ImportSpecifier' &&
          each.imported.type === 'Identifier' &&
          each.imported.name === 'setTimeout',
      );
      if (sleeps) report(node, 'imports a sleep; await an event instead');
    },
  });
  return problems;
}
