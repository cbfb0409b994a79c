/**
 * Which alerts a silence holds back, as people write it: `VitrineWorkerDown`, `model=langid, worker="a, b"`.
 * Label equalities separated by commas, all of which must hold; `name` stands for the alert's name, and a word
 * without `=` is such a name. Values with a comma, a quote or blanks at the ends are written as JSON text.
 */
import type { AlertInstance, AlertMatcher } from '../../contract/alerts.ts';
import { VitrineError } from '../../contract/errors.ts';

const EQUALITIES_LIMIT = 16;
const VALUE_LIMIT_CHARS = 1024;
const EQUALITY = /^\s*(?:([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*)?("(?:[^"\\]|\\.)*"|[^,"]*?)\s*(?:,|$)/;

function refusal(message: string): VitrineError {
  return new VitrineError(
    'invalid_request',
    `matcher: ${message}; write label=value, separated by commas, such as name=VitrineWorkerDown,worker=worker-2`,
    { field: 'matcher' },
  );
}

function readValue(written: string): string {
  if (!written.startsWith('"')) return written;
  try {
    return JSON.parse(written) as string;
  } catch {
    throw refusal('a value in quotes is no JSON text');
  }
}

/** @throws VitrineError invalid_request, with the fix */
export function parseMatcher(text: string): AlertMatcher {
  const matcher = new Map<string, string>();
  let rest = text.trim();
  if (rest === '') throw refusal('it is empty, and a silence of everything is not offered');
  while (rest !== '') {
    const [whole, label = 'name', written = ''] = EQUALITY.exec(rest) ?? [];
    if (whole === undefined) throw refusal('it has a part that is no equality');
    const value = readValue(written);
    if (value === '') throw refusal(`the value of ${label} is missing`);
    if (value.length > VALUE_LIMIT_CHARS) throw refusal(`the value of ${label} is too long`);
    if (matcher.has(label)) throw refusal(`${label} stands there twice`);
    matcher.set(label, value);
    if (matcher.size > EQUALITIES_LIMIT) throw refusal(`it has more than ${EQUALITIES_LIMIT} parts`);
    rest = rest.slice(whole.length).trim();
  }
  return Object.fromEntries(matcher);
}

export function matches(
  matcher: AlertMatcher,
  { name, labels }: Pick<AlertInstance, 'name' | 'labels'>,
): boolean {
  return Object.entries(matcher).every(
    ([label, value]) => (label === 'name' ? name : (labels[label] ?? '')) === value,
  );
}
