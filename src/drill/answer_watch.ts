/** Queries beside the load, one after the other, that have to be answered as the first one was. */
import type { DrillTarget } from './drill.ts';

const PAUSE_MS = 50;
const TIMEOUT_MS = 10_000;
/** More would say the same. */
const PROBLEMS_LIMIT = 5;
const TIMES_LIMIT = 20_000;

type Phase = 'calm' | 'fault' | 'lifted';

export interface AnswerWatch {
  /** Which answers were missing or other than the first, in sentences; the first few. */
  readonly problems: readonly string[];
  /** Of the answers in each phase; undefined for one without any. */
  readonly medianMs: Readonly<Record<Phase, number | undefined>>;
  /** From now on; `calm` at first. */
  setPhase(phase: Phase): void;
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Asks until the signal is aborted. */
export function watchAnswers({ url, model, samples }: DrillTarget, signal: AbortSignal): AnswerWatch {
  const address = `${url.replace(/\/+$/, '')}/v2/models/${encodeURIComponent(model)}/infer`;
  const problems: string[] = [];
  const times: Record<Phase, number[]> = { calm: [], fault: [], lifted: [] };
  let phase: Phase = 'calm';
  let first: string | undefined;
  const note = (problem: string): void => {
    if (problems.length < PROBLEMS_LIMIT) problems.push(`with the state ${phase}, ${problem}`);
  };

  const ask = async (): Promise<void> => {
    const [sample] = samples;
    if (sample === undefined) return;
    const startMs = performance.now();
    const response = await fetch(address, {
      method: 'POST',
      body: new Uint8Array(sample.body),
      headers: sample.headers,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const body = await response.text();
    if (times[phase].length < TIMES_LIMIT) times[phase].push(performance.now() - startMs);
    if (!response.ok) return note(`a query was answered ${response.status}`);
    const outputs = JSON.stringify((JSON.parse(body) as { outputs?: unknown }).outputs);
    first ??= outputs;
    if (outputs !== first) note('a query was answered with other outputs than before');
  };
  const next = (): void => {
    if (signal.aborted) return;
    ask()
      .catch((error: Error) => {
        if (!signal.aborted) note(`a query was not answered: ${error.message}`);
      })
      .finally(() => setTimeout(next, PAUSE_MS));
  };
  next();
  return {
    problems,
    get medianMs() {
      return { calm: median(times.calm), fault: median(times.fault), lifted: median(times.lifted) };
    },
    setPhase: (to) => {
      phase = to;
    },
  };
}
