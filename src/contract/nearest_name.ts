/** For error messages about unknown names: the known name that was probably meant. */

/** Longer names are compared by their beginning; keeps the work bounded for hostile input. */
const COMPARED_CHARS = 80;

/** Levenshtein's distance: insertions, deletions and substitutions of one character. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known name nearest to `name`, or undefined when none is near: more than a third of it would change. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const compared = name.slice(0, COMPARED_CHARS).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.ceil(compared.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(compared, candidate.slice(0, COMPARED_CHARS).toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}
