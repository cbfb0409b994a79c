/** Reads a `Server-Timing` header (https://www.w3.org/TR/server-timing/) as the gateway writes it. */

const LIMIT_CHARS = 8192;

/**
 * Milliseconds by name. What cannot be read is left out.
 * @param {string | null} header
 * @returns {Map<string, number>}
 */
export function readServerTiming(header) {
  /** @type {Map<string, number>} */
  const durations = new Map();
  for (const entry of (header ?? '').slice(0, LIMIT_CHARS).split(',')) {
    const [name = '', ...parameters] = entry.split(';').map((part) => part.trim());
    const duration = parameters.find((parameter) => /^dur=/i.test(parameter));
    const ms = duration === undefined ? Number.NaN : Number(duration.slice(4));
    if (/^[\w-]+$/.test(name) && Number.isFinite(ms)) durations.set(name, (durations.get(name) ?? 0) + ms);
  }
  return durations;
}
