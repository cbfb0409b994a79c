/**
 * Reads YAML field by field, so that each problem names its line, the key's full path, the value and what to
 * write instead. Nothing is thrown: a field that cannot be read is a problem and `undefined`.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { nearestName } from '../contract/nearest_name.ts';

export interface FieldProblem {
  /** 1-based. */
  readonly line: number;
  readonly severity: 'error' | 'warning';
  /** What is wrong and what to do about it, one line. */
  readonly message: string;
}

/** A value with its place; `node` is undefined for what is not there. */
export interface Field {
  /** `spec.objectives[0].target`; empty for a whole document. */
  readonly path: string;
  readonly line: number;
  readonly node: Node | undefined;
}

/** Problems told of one file; the rest follows once these are fixed. */
const PROBLEM_LIMIT = 50;
const SHOWN_CHARS = 60;

/** A value in a message, cut; lists and maps by their kind. */
function shown(node: Node | undefined): string {
  if (node === undefined) return 'is missing';
  if (isMap(node)) return 'is a map';
  if (isSeq(node)) return 'is a list';
  if (!isScalar(node)) return 'is an alias (write the value out)';
  if (node.value === null) return 'is empty';
  const text =
    typeof node.value === 'string' ? JSON.stringify(node.value) : (node.source ?? String(node.value));
  return `is ${text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}...` : text}`;
}

/** `; did you mean x?`, or the list of what is known. */
export function suggestion(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  if (near !== undefined) return `did you mean ${near}?`;
  return known.length === 0 ? 'there is none' : `known are ${known.slice(0, 20).join(', ')}`;
}

export class FieldReader {
  readonly #lines = new LineCounter();
  readonly #problems: FieldProblem[] = [];

  /** The documents of a file that hold something; none when the text is not valid YAML. */
  documents(text: string): Field[] {
    try {
      const documents = [
        ...parseAllDocuments(text, { lineCounter: this.#lines, prettyErrors: false, schema: 'core' }),
      ];
      const errors = documents.flatMap((document) => document.errors);
      for (const error of errors) {
        this.problem(
          this.#lines.linePos(error.pos[0]).line,
          `not valid YAML: ${error.message.split('\n')[0]}`,
        );
      }
      if (errors.length > 0) return [];
      return documents.flatMap(({ contents }) =>
        contents === null || (isScalar(contents) && contents.value === null)
          ? []
          : [{ path: '', line: this.#lineOf(contents), node: contents }],
      );
    } catch (error) {
      // Nested deeper than the parser's stack.
      this.problem(1, `not valid YAML: ${(error as Error).message.split('\n')[0]}`);
      return [];
    }
  }

  problem(line: number, message: string, severity: FieldProblem['severity'] = 'error'): void {
    if (this.#problems.length < PROBLEM_LIMIT) this.#problems.push({ line, severity, message });
  }

  /** Complains about a field. @param accepts what it takes, and an example */
  refuse(field: Field, accepts: string): undefined {
    const name = field.path === '' ? 'the document' : field.path;
    this.problem(field.line, `${name} ${shown(field.node)}; it takes ${accepts}`);
    return undefined;
  }

  /** The fields of a map. Unknown keys and required ones that are missing are problems. */
  map(
    field: Field,
    required: readonly string[],
    optional: readonly string[] = [],
  ): Map<string, Field> | undefined {
    const known = [...required, ...optional];
    if (!isMap(field.node)) return this.refuse(field, `a map with ${known.join(', ')}`);
    const fields = new Map<string, Field>();
    const prefix = field.path === '' ? '' : `${field.path}.`;
    for (const pair of field.node.items) {
      const key = pair.key as Node;
      const name = isScalar(key) ? String(key.value) : '?';
      const line = this.#lineOf(key);
      if (!known.includes(name)) {
        this.problem(line, `${prefix}${name.slice(0, SHOWN_CHARS)}: unknown key; ${suggestion(name, known)}`);
        continue;
      }
      const value = pair.value as Node | null;
      fields.set(name, {
        path: `${prefix}${name}`,
        line: value === null || isMap(value) || isSeq(value) ? line : this.#lineOf(value),
        node: value ?? undefined,
      });
    }
    for (const name of required) {
      if (!fields.has(name)) {
        this.problem(field.line, `${prefix}${name} is missing`);
      }
    }
    return fields;
  }

  /** The entries of a list. */
  list(field: Field, accepts: string): Field[] | undefined {
    if (!isSeq(field.node)) return this.refuse(field, accepts);
    return field.node.items.map((item, index) => ({
      path: `${field.path}[${index}]`,
      line: this.#lineOf(item as Node),
      node: item as Node,
    }));
  }

  /** A text, or a number or flag as it was written (`version: 1`). */
  text(field: Field, accepts: string, accept: (text: string) => boolean = () => true): string | undefined {
    const { node } = field;
    if (!isScalar(node) || node.value === null) return this.refuse(field, accepts);
    const text = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
    return accept(text) ? text : this.refuse(field, accepts);
  }

  number(field: Field, accepts: string, accept: (value: number) => boolean): number | undefined {
    const { node } = field;
    if (!isScalar(node) || typeof node.value !== 'number' || !accept(node.value)) {
      return this.refuse(field, accepts);
    }
    return node.value;
  }

  /** Exactly true or false. */
  flag(field: Field, accepts: string, accept: (value: boolean) => boolean): boolean | undefined {
    const { node } = field;
    if (!isScalar(node) || typeof node.value !== 'boolean' || !accept(node.value)) {
      return this.refuse(field, accepts);
    }
    return node.value;
  }

  /** Everything found so far, by line. */
  get problems(): readonly FieldProblem[] {
    return [...this.#problems].sort((a, b) => a.line - b.line);
  }

  #lineOf(node: Node): number {
    return this.#lines.linePos(node.range?.[0] ?? 0).line;
  }
}
