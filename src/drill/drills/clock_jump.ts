import type { AlertInstance } from '../../contract/alerts.ts';
import { type Drill, type DrillContext, HOUR_S, MINUTE_S } from '../drill.ts';
import { holdAtWorkers, holdFault } from '../hold.ts';

const CONSOLE = 'console-0';
const JUMP_MS = HOUR_S * 1000;
/** Longer than anything has to hold before it fires. */
const WATCHED_S = 7 * MINUTE_S;
/** The console has to have noticed by then. */
const NOTICE_LIMIT_MS = 10_000;
const ALERT = 'VitrineErrorSurge';
const JUMPS = 'vitrine_evaluator_clock_jumps_total';

/** How far two readings of one moment may lie apart. */
const TOLERANCE_MS = 5000;

async function firing({ console: watch }: DrillContext): Promise<Map<string, AlertInstance>> {
  const alerts = (await watch.alerts()).filter(({ state }) => state === 'firing');
  return new Map(alerts.map((alert) => [alert.fingerprint, alert]));
}

/** Sets the clock, or sets it back, and sees that the console noticed. */
async function jump(context: DrillContext, set: () => Promise<unknown>): Promise<void> {
  const { console: watch, until } = context;
  const before = await watch.metric(JUMPS);
  await set();
  const noticed = await until(
    'waiting for the clock to be set',
    NOTICE_LIMIT_MS,
    async () => (await watch.metric(JUMPS)) > before,
  );
  if (!noticed) throw new Error('the console did not notice that its clock was set');
}

/** @throws Error when `wrong` says what is wrong, meanwhile */
async function watch(
  { until, timeScale }: DrillContext,
  what: string,
  wrong: () => Promise<string | undefined>,
): Promise<void> {
  let problem: string | undefined;
  await until(what, (WATCHED_S * 1000) / timeScale, async () => {
    problem = await wrong();
    return problem !== undefined;
  });
  if (problem !== undefined) throw new Error(problem);
}

/** @returns what says how alerts that fired before were lost, or moved; `aheadMs` is where the clock stands now */
function lostOf(
  context: DrillContext,
  before: ReadonlyMap<string, AlertInstance>,
  aheadMs: number,
): () => Promise<string | undefined> {
  return async () => {
    const now = await firing(context);
    for (const [fingerprint, { firingSinceMs }] of before) {
      const movedMs = (now.get(fingerprint)?.firingSinceMs ?? Number.NaN) - (firingSinceMs ?? Number.NaN);
      if (Number.isNaN(movedMs)) return `the clock was set, and ${ALERT} was lost`;
      // As long ago as before, by the clock as it is now.
      if (Math.abs(movedMs - aheadMs) > TOLERANCE_MS) {
        return `the clock was set, and ${ALERT} has fired for ${Math.round((aheadMs - movedMs) / 1000)} s more than it has`;
      }
    }
    return undefined;
  };
}

/** Holds the clock an hour ahead while `watched` looks, and sees it set back; whatever happens. */
async function whileAhead(context: DrillContext, watched: () => Promise<void>): Promise<void> {
  let ahead: AsyncDisposable | undefined;
  try {
    await jump(context, async () => {
      ahead = await holdFault(context.doors, [CONSOLE], 'clock', { jumpMs: JUMP_MS });
    });
    await watched();
  } finally {
    await jump(context, async () => ahead?.[Symbol.asyncDispose]());
  }
}

/**
 * Forward and back without a fault, and while an alert fires, which then has to clear.
 * What is drilled is the fault of the clock; the errors are there so that something fires.
 */
export const CLOCK_JUMP: Drill = {
  name: 'clock-jump',
  summary: 'the clock of the console is set an hour ahead and back, also while every batch fails',
  place: ({ workers }) => `the clock of ${CONSOLE}, and compute of ${workers.join(', ')}`,
  async prepare(context) {
    const before = await firing(context);
    const noNewAlert = async (): Promise<string | undefined> => {
      const fresh = [...(await firing(context)).values()].filter(
        ({ fingerprint }) => !before.has(fingerprint),
      );
      const names = fresh.map(({ name }) => name).join(', ');
      return names === '' ? undefined : `the clock was set, and ${names} fired for nothing`;
    };
    await whileAhead(context, () => watch(context, 'an hour ahead', noNewAlert));
    await watch(context, 'an hour back', noNewAlert);
    context.checked('the clock was set an hour ahead and back, and no alert fired');
  },
  inject: holdAtWorkers('compute', { error: true }),
  async whileFiring(context) {
    const before = new Map([...(await firing(context))].filter(([, { name }]) => name === ALERT));
    await whileAhead(context, () =>
      watch(context, 'an hour ahead, with the fault', lostOf(context, before, JUMP_MS)),
    );
    await watch(context, 'an hour back, with the fault', lostOf(context, before, 0));
    context.checked('the clock was set an hour ahead and back, and the alert fired on');
  },
  lifted: 'queries are answered again',
  feltFromMs: Number.POSITIVE_INFINITY,
  alerts: [{ name: ALERT, of: 'model', firesS: 6 * MINUTE_S, clearsS: 6 * MINUTE_S }],
  evidence: undefined,
};
