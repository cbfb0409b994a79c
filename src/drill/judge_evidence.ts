/** Whether evidence names what was done: the stage, and the workers that have the fault. */
import type { Evidence } from '../contract/evidence.ts';
import type { ExpectedEvidence } from './drill.ts';

/** @returns what it does not say, in sentences; empty when it is right */
export function judgeEvidence(
  found: Evidence,
  expected: ExpectedEvidence,
  place: { readonly model: string; readonly workers: readonly string[] },
): string[] {
  if (found.cannotSay !== undefined && found.cannotSay !== null) {
    return [`the evidence cannot say why: ${found.cannotSay}`];
  }
  const problems: string[] = [];
  if (found.subject !== expected.subject) {
    problems.push(`the evidence is about ${found.subject}, not ${expected.subject}`);
  }
  if (expected.subject === 'latency' && found.stage?.stage !== expected.stage) {
    problems.push(`the evidence names the stage ${found.stage?.stage ?? 'none'}, not ${expected.stage}`);
  }
  const valuesOf = (dimension: 'worker' | 'model'): string =>
    [...(found.places.find((finding) => finding.dimension === dimension)?.values ?? [])].sort().join(', ');
  const workers = [...place.workers].sort().join(', ');
  if (valuesOf('worker') !== workers) {
    problems.push(`the evidence places it at ${valuesOf('worker') || 'no worker'}, not ${workers}`);
  }
  const model = valuesOf('model');
  if (model !== '' && model !== place.model) {
    problems.push(`the evidence places it at the model ${model}, not ${place.model}`);
  }
  return problems;
}
