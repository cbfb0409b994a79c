/**
 * Which processes fail, for alerts about processes: those that answer no scrape, those that answer but are not found
 * ready by gateways, and those that restarted; and how queries took it.
 */
import { SERVICE_WORKER } from '../contract/attributes.ts';
import type { Evidence, PlaceFinding } from '../contract/evidence.ts';
import type { EvidenceInput, ProcessSight } from './evidence_input.ts';
import { cannotSay, clock, common, fails, placeText, slowTraces } from './evidence_parts.ts';

type Failing = 'silent' | 'cut_off' | 'restarted';

interface Finding {
  readonly sight: ProcessSight;
  readonly how: Failing;
  /** Unix milliseconds; undefined: somewhere in the window. */
  readonly sinceMs: number | undefined;
}

function findingOf(sight: ProcessSight): Finding | undefined {
  const { silentSinceMs, unreadySinceMs, restarts } = sight;
  if (silentSinceMs !== undefined) return { sight, how: 'silent', sinceMs: silentSinceMs };
  if (unreadySinceMs !== undefined) return { sight, how: 'cut_off', sinceMs: unreadySinceMs };
  return restarts > 0 ? { sight, how: 'restarted', sinceMs: undefined } : undefined;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function sentence(how: Failing, findings: readonly Finding[], windowS: number): string {
  const names = findings.map(({ sight }) => sight.instance).join(', ');
  const one = findings.length === 1;
  const unanswered = findings.reduce((sum, { sight }) => sum + sight.unanswered, 0);
  const left =
    unanswered === 0 ? '' : ` and left ${unanswered} ${unanswered === 1 ? 'query' : 'queries'} unanswered`;
  const since = (): string => `since ${clock(Math.min(...findings.flatMap(({ sinceMs }) => sinceMs ?? [])))}`;
  switch (how) {
    case 'silent':
      return `${names} ${one ? 'has' : 'have'} answered no scrape ${since()}${left}: ${one ? 'it hangs, is down' : 'they hang, are down'}, or cannot be reached.`;
    case 'cut_off':
      return `${names} ${one ? 'answers' : 'answer'} scrapes, but gateways do not find ${one ? 'it' : 'them'} ready ${since()}${left}: ${one ? 'it is' : 'they are'} cut off from the gateways, or ${one ? 'says' : 'say'} not to be ready.`;
    case 'restarted': {
      const counts = findings
        .map(({ sight }) => `${sight.instance} restarted ${times(sight.restarts)}`)
        .join(', ');
      return `${counts} within ${Math.round(windowS)} s${left}.`;
    }
  }
}

function queriesText({ now }: EvidenceInput, sinceMs: number): string[] {
  const since = now.filter(({ startMs, serviceMs }) => startMs + serviceMs >= sinceMs);
  if (since.length === 0) return [];
  const codes = new Map<string, number>();
  for (const query of since.filter(fails)) {
    const code = query.errorCode || query.outcome;
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  const [most] = [...codes].sort((a, b) => b[1] - a[1]);
  const failed = [...codes.values()].reduce((sum, count) => sum + count, 0);
  return most === undefined
    ? [`None of the ${since.length} queries that were kept since then failed.`]
    : [`Of ${since.length} queries that were kept since then ${failed} failed, most with ${most[0]}.`];
}

/** Never throws; without a failing process it says that it cannot say. */
export function explainProcesses(input: EvidenceInput): Evidence {
  const { processes, now, atMs, windowS, circumstances } = input;
  if (processes === undefined) return cannotSay(input, 'nothing is at hand that tells of processes');
  const findings = processes
    .flatMap((sight) => findingOf(sight) ?? [])
    .sort((a, b) => a.sight.instance.localeCompare(b.sight.instance));
  if (findings.length === 0) {
    return cannotSay(input, 'every process answers scrapes, is found ready, and has not restarted');
  }
  const byKind = Map.groupBy(findings, ({ how }) => how);
  const sentences = (['silent', 'cut_off', 'restarted'] as const).flatMap((how) => {
    const found = byKind.get(how);
    return found === undefined ? [] : [sentence(how, found, windowS)];
  });
  const sinceMs = Math.min(...findings.map((finding) => finding.sinceMs ?? Number.POSITIVE_INFINITY));
  const fromMs = Number.isFinite(sinceMs) ? sinceMs : atMs - windowS * 1000;
  const isWorker = ({ job }: ProcessSight): boolean => job === SERVICE_WORKER;
  const workers = findings.filter(({ sight }) => isWorker(sight)).map(({ sight }) => sight.instance);
  const places: PlaceFinding[] =
    workers.length === 0
      ? []
      : [
          {
            dimension: 'worker',
            values: workers.toSorted(),
            all: workers.length === processes.filter(isWorker).length,
          },
        ];
  const failed = now.filter(fails);
  return {
    ...common(input),
    stage: undefined,
    stages: [],
    places,
    sinceMs: Number.isFinite(sinceMs) ? sinceMs : undefined,
    traces: slowTraces(input, failed.length > 0 ? failed : now),
    confidence: 1,
    cannotSay: undefined,
    text: [
      ...sentences,
      ...(places.length === 0 ? [] : [placeText(places)]),
      ...queriesText(input, fromMs),
      ...circumstances
        .filter(({ kind }) => kind !== 'restart')
        .slice(0, 1)
        .map(({ text }) => `Also: ${text}.`),
    ]
      .slice(0, 6)
      .join('\n'),
  };
}
