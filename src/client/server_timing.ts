/**
 * Reads the `Server-Timing` header (https://www.w3.org/TR/server-timing/): `name;dur=1.5;desc="text", ...`.
 * Vitrine's gateway writes one entry per stage and one named `total`, in milliseconds. A proxy on the way may
 * add its own entries, double the header, or cut it, so nothing here throws: what cannot be read is left out.
 */

/** Longer headers are read up to here: far more than all stages need, little enough to read at any rate. */
const READ_LIMIT_CHARS = 8192;
/** Entries read from one header. */
const ENTRY_LIMIT = 64;
/** The entry that the stages sum to. */
export const TOTAL_ENTRY = 'total';

const COMMA = 44;
const SEMICOLON = 59;
const QUOTE = 34;
const BACKSLASH = 92;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NUMBER = /^\d+(\.\d*)?([eE][+-]?\d{1,3})?$|^\.\d+$/;

/**
 * Calls `visit` for each readable entry that has a duration, in the order of the header. Allocates only the
 * names, so a load generator can afford it for every answer.
 * @returns how many entries could not be read: no name, a malformed name, or a duration that is no
 *   number of 0 or more. An entry without `dur` is well-formed and merely has nothing to count.
 */
export function visitServerTiming(
  header: string | readonly string[] | undefined,
  visit: (name: string, durationMs: number) => void,
): number {
  if (header === undefined) return 0;
  const text = (typeof header === 'string' ? header : header.join(',')).slice(0, READ_LIMIT_CHARS);
  let malformed = 0;
  let entries = 0;
  let start = 0;
  while (start < text.length && entries < ENTRY_LIMIT) {
    const end = endOfPart(text, start, COMMA);
    // An empty element of a list is allowed and means nothing (RFC 9110, section 5.6.1).
    if (text.slice(start, end).trim() !== '') {
      entries += 1;
      if (!visitEntry(text, start, end, visit)) malformed += 1;
    }
    start = end + 1;
  }
  return malformed;
}

/**
 * The durations by name, in milliseconds; entries of one name are added up. The record has no prototype, so
 * no name in a header can reach one.
 */
export function parseServerTiming(
  header: string | readonly string[] | undefined,
): Readonly<Record<string, number>> {
  const durations: Record<string, number> = Object.create(null);
  visitServerTiming(header, (name, durationMs) => {
    durations[name] = (durations[name] ?? 0) + durationMs;
  });
  return durations;
}

function visitEntry(
  text: string,
  start: number,
  end: number,
  visit: (name: string, durationMs: number) => void,
): boolean {
  let partEnd = endOfPart(text, start, SEMICOLON, end);
  const name = text.slice(start, partEnd).trim();
  if (!TOKEN.test(name)) return false;
  while (partEnd < end) {
    const partStart = partEnd + 1;
    partEnd = endOfPart(text, partStart, SEMICOLON, end);
    const part = text.slice(partStart, partEnd);
    const equals = part.indexOf('=');
    if (equals < 0 || part.slice(0, equals).trim().toLowerCase() !== 'dur') continue;
    const value = unquoted(part.slice(equals + 1).trim());
    const durationMs = Number(value);
    if (!NUMBER.test(value) || !Number.isFinite(durationMs)) return false;
    // Of a parameter given twice the first counts, as the specification says.
    visit(name, durationMs);
    return true;
  }
  return true;
}

/** Index of the next `separator` that stands outside quotes, or the end. */
function endOfPart(text: string, start: number, separator: number, end: number = text.length): number {
  let quoted = false;
  for (let index = start; index < end; index += 1) {
    const char = text.charCodeAt(index);
    if (quoted) {
      if (char === BACKSLASH) index += 1;
      else if (char === QUOTE) quoted = false;
    } else if (char === QUOTE) quoted = true;
    else if (char === separator) return index;
  }
  return end;
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}
