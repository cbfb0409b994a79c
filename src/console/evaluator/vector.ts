/** A vector: elements, each a set of labels with a number; and grouping as PromQL's `by` does it. */

export interface Element {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export type Vector = ReadonlyMap<string, Element>;

export const EMPTY_VECTOR: Vector = new Map();

/** Labels of `by` that are there, and a key that is equal for equal labels. */
export function project(
  labels: Readonly<Record<string, string>>,
  by: readonly string[],
): { readonly key: string; readonly labels: Record<string, string> } {
  const kept: Record<string, string> = {};
  let key = '';
  for (const label of by) {
    const value = labels[label] ?? '';
    if (value !== '') kept[label] = value;
    key += `${value.length}:${value}`;
  }
  return { key, labels: kept };
}

/** Groups numbers by labels and reduces each group. */
export function groupBy(
  items: Iterable<{ readonly labels: Readonly<Record<string, string>>; readonly value: number }>,
  by: readonly string[],
  reduce: (values: readonly number[]) => number,
): Vector {
  const groups = new Map<string, { labels: Record<string, string>; values: number[] }>();
  for (const { labels, value } of items) {
    const { key, labels: kept } = project(labels, by);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { labels: kept, values: [value] });
    else group.values.push(value);
  }
  return new Map([...groups].map(([key, { labels, values }]) => [key, { labels, value: reduce(values) }]));
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
