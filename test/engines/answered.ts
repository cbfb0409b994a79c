/** Whether expressions return data, asked again until they do or the time is over. */
import { setTimeout as pause } from 'node:timers/promises';
import type { RunningPrometheus } from './prometheus.ts';

const PAUSE_MS = 500;

export interface Question {
  readonly where: string;
  readonly promql: string;
}

export interface Unanswered extends Question {
  readonly why: string;
}

async function faultOf(prometheus: RunningPrometheus, promql: string): Promise<string | undefined> {
  try {
    const elements = await prometheus.query(promql);
    if (elements.length === 0) return 'no data';
    return elements.some(({ value }) => Number.isFinite(value)) ? undefined : 'no number';
  } catch (error) {
    return String(error);
  }
}

/** Those that still return no number after the time. Counters need two scrapes, rules an evaluation. */
export async function unanswered(
  prometheus: RunningPrometheus,
  questions: readonly Question[],
  withinMs: number,
): Promise<Unanswered[]> {
  const untilMs = performance.now() + withinMs;
  let open: readonly Unanswered[] = questions.map((question) => ({ ...question, why: 'not asked' }));
  while (open.length > 0) {
    const still: Unanswered[] = [];
    for (const question of open) {
      const why = await faultOf(prometheus, question.promql);
      if (why !== undefined) still.push({ ...question, why });
    }
    open = still;
    if (performance.now() > untilMs) break;
    if (open.length > 0) await pause(PAUSE_MS);
  }
  return [...open];
}
