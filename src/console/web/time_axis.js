/** Round marks on a time axis. */

const STEPS = [1, 2, 5, 10];

/**
 * Round moments from 0 to the end, at most `most` after the first.
 * @param {number} durationMs
 * @param {number} most
 * @returns {number[]}
 */
export function ticks(durationMs, most) {
  if (!(durationMs > 0) || most < 1) return [0];
  const least = durationMs / most;
  const magnitude = 10 ** Math.floor(Math.log10(least));
  const step = magnitude * (STEPS.find((each) => each * magnitude >= least * (1 - 1e-9)) ?? 10);
  const marks = [];
  for (let index = 0; index <= most && index * step <= durationMs * (1 + 1e-9); index += 1) {
    marks.push(index * step);
  }
  return marks;
}
