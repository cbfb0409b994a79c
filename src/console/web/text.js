/** Text from elsewhere, and numbers, as people read them. */

/** Controls, and characters that reorder or hide what stands around them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this looks for
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** @param {string} char */
function visible(char) {
  return `<U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}>`;
}

/**
 * Text with every control character made visible, so that a name can neither hide nor reorder anything.
 * @param {string} text
 * @param {number} [limitChars] longer text is cut, with an ellipsis
 */
export function clean(text, limitChars = 4096) {
  const cut = text.length > limitChars ? `${text.slice(0, limitChars)}…` : text;
  return cut.replace(INVISIBLE, visible);
}

/** The same, with its lines and tabs as they are. @param {string} text @param {number} [limitChars] */
export function cleanLines(text, limitChars = 65_536) {
  const cut = text.length > limitChars ? `${text.slice(0, limitChars)}…` : text;
  return cut
    .replaceAll('\r\n', '\n')
    .replace(INVISIBLE, (char) => (char === '\n' || char === '\t' ? char : visible(char)));
}

/**
 * The address when a link may lead there: http and https alone.
 * @param {string} text
 * @returns {string | undefined}
 */
export function linkOf(text) {
  if (!/^https?:\/\//i.test(text) || text.length > 2048 || clean(text) !== text) return undefined;
  return URL.canParse(text) ? new URL(text).href : undefined;
}

/**
 * A duration with three significant digits: `85 µs`, `1.23 ms`, `12.3 s`, `2 min 5 s`.
 * @param {number} ms
 */
export function durationText(ms) {
  if (!Number.isFinite(ms)) return '–';
  const size = Math.abs(ms);
  const sign = ms < 0 ? '−' : '';
  if (size === 0) return '0 ms';
  if (size < 0.9995) return `${sign}${trim(size * 1000)} µs`;
  if (size < 999.5) return `${sign}${trim(size)} ms`;
  if (size < 59_995) return `${sign}${trim(size / 1000)} s`;
  const seconds = Math.round(size / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${sign}${minutes} min ${seconds % 60} s`;
  return `${sign}${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number} value */
function trim(value) {
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

/**
 * Milliseconds as a plain number, for columns that must add up.
 * @param {number} ms
 */
export function millisecondsText(ms) {
  return ms.toFixed(3).replace('-', '−');
}

/** @param {number} bytes */
export function bytesText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function countText(count, one, many = `${one}s`) {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** A span of time in its largest unit: `3 h`. @param {number} ms */
export function roughly(ms) {
  const minutes = ms / 60_000;
  if (minutes < 1) return `${Math.max(0, Math.round(ms / 1000))} s`;
  if (minutes < 90) return `${Math.round(minutes)} min`;
  if (minutes < 36 * 60) return `${Math.round(minutes / 60)} h`;
  return `${Math.round(minutes / 1440)} days`;
}

/** @param {number} value @param {number} width */
const pad = (value, width) => String(value).padStart(width, '0');

/** Local time of day with milliseconds: `14:03:21.004`. @param {number} unixMs */
export function clockText(unixMs) {
  const date = new Date(unixMs);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => pad(part, 2)).join(':');
  return `${time}.${pad(date.getMilliseconds(), 3)}`;
}

/** Local date: `2026-11-21`. @param {number} unixMs */
export function dateText(unixMs) {
  const date = new Date(unixMs);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1, 2)}-${pad(date.getDate(), 2)}`;
}
