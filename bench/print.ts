/** Results as text, at most 110 columns wide. */
import { type Aim, type BenchResult, type Figure, isMet } from './bench.ts';
import type { Spread } from './rounds.ts';

const LABEL_COLUMNS = 52;

export function formatResult(title: string, result: BenchResult): string {
  const lines = [title, ''];
  const heading = ['median', 'min', 'max', 'rounds'].map((text) => text.padStart(8)).join('');
  lines.push(`  ${''.padEnd(LABEL_COLUMNS)}${heading}`);
  for (const figure of result.figures) lines.push(`  ${formatFigure(figure)}`);
  for (const table of result.tables) lines.push('', ...table.map((line) => `  ${line}`.trimEnd()));
  if (result.notes.length > 0) lines.push('', ...result.notes.map((note) => `  - ${note}`));
  return `${lines.join('\n')}\n`;
}

function formatFigure(figure: Figure): string {
  const { label, spread, unit, aim } = figure;
  const cells = [spread.median, spread.min, spread.max].map((value) => digits(value).padStart(8)).join('');
  const met = isMet(figure);
  const judged = aim === undefined ? '' : `  aim ${formatAim(aim)}: ${met ? 'met' : 'NOT MET'}`;
  const named = unit === 'x' ? label : `${label}, ${unit}`;
  return `${named.padEnd(LABEL_COLUMNS)}${cells}${String(spread.rounds).padStart(8)}${judged}`;
}

function formatAim({ relation, value }: Aim): string {
  return `${relation} ${value >= 1000 ? value.toLocaleString('en-US') : value}`;
}

/** Three significant digits: 0.031, 1.24, 31.0, 1,240. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

export function range(spread: Spread): string {
  return `${digits(spread.median)} (${digits(spread.min)} to ${digits(spread.max)})`;
}

/** Rows in columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart((widths[at] ?? 0) + 2)))
      .join(''),
  );
}
