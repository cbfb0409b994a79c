/** Writing to a terminal: columns, bars, and nothing of a model or a trace that could command the terminal. */
import { stripVTControlCharacters } from 'node:util';

/** C0 and C1 controls but line feed and tab, and the marks that reverse the direction of text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from elsewhere, safe to print: no escape sequence, no control character, no reversal. */
export function plain(text: string): string {
  return stripVTControlCharacters(text).replace(UNSAFE, '\ufffd');
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** For what is not the result: progress, warnings. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Rows in columns, two blanks apart; the last column is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** A bar of `share` (0 to 1) of `cells` character cells, exact to an eighth; anything above 0 shows. */
export function bar(share: number, cells: number): string {
  const eighths = Math.max(share > 0 ? 1 : 0, Math.round(Math.min(1, Math.max(0, share)) * cells * 8));
  return '█'.repeat(eighths >> 3) + (EIGHTHS[eighths & 7] ?? '');
}

/** Milliseconds with as many digits as mean something: `0.043`, `1.63`, `25.6`, `1204`. */
export function formatMs(ms: number): string {
  if (ms >= 100) return ms.toFixed(0);
  if (ms >= 10) return ms.toFixed(1);
  return ms >= 1 ? ms.toFixed(2) : ms.toFixed(3);
}
