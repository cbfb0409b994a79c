/** What evaluation reads: series by sample name (`x_total`, `x_bucket`, `up`) and labels, as of now. */
import type { Selection } from '../../slo/expression.ts';
import type { SampleSeries } from './sample_series.ts';

export interface SampleSource {
  /** Unix milliseconds that retention is counted from: the newest time that the store knows. */
  readonly nowMs: number;
  /** Series of that sample name whose labels the selection keeps. */
  select(sampleName: string, where: Selection): readonly SampleSeries[];
}

export function matches(labels: Readonly<Record<string, string>>, where: Selection): boolean {
  return where.every(({ label, is, values }) => values.includes(labels[label] ?? '') === (is === 'in'));
}
