/** Whether evidence names what was done: the stage or the condition, and the workers that have the fault. */
import type { Evidence } from '../contract/evidence.ts';
import type { ExpectedEvidence } from './drill.ts';

export interface FaultPlace {
  readonly model: string;
  /** Those that have the fault; */
  readonly workers: readonly string[];
  /** and whether that is all there are. */
  readonly all: boolean;
}

/** @returns what it does not say, in sentences; empty when it is right */
export function judgeEvidence(found: Evidence, expected: ExpectedEvidence, place: FaultPlace): string[] {
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
  if (expected.subject === 'other') {
    const told = found.circumstances.filter(({ kind }) => kind === expected.circumstance);
    const missing = place.workers.filter((worker) => !told.some(({ text }) => text.includes(worker)));
    if (missing.length > 0) {
      problems.push(`the evidence tells no ${expected.circumstance} of ${missing.join(', ')}`);
    }
  }
  const findingOf = (dimension: 'worker' | 'model') =>
    found.places.find((finding) => finding.dimension === dimension);
  const named = [...(findingOf('worker')?.values ?? [])].sort().join(', ');
  const workers = [...place.workers].sort().join(', ');
  if (named !== workers) {
    problems.push(`the evidence places it at ${named || 'no worker'}, not ${workers || 'before any worker'}`);
  } else if (workers !== '' && findingOf('worker')?.all !== place.all) {
    problems.push(`the evidence says that ${place.all ? 'not all workers have it' : 'all workers have it'}`);
  }
  const model = (findingOf('model')?.values ?? []).join(', ');
  if (model !== '' && model !== place.model) {
    problems.push(`the evidence places it at the model ${model}, not ${place.model}`);
  }
  return problems;
}
