/** When evidence is looked for, by an engine that the test moves: of a flood, after a restart, at the end. */
import { afterEach, expect, test, vi } from 'vitest';
import type { AlertInstance } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import type { QueryRecord } from '../../contract/query_record.ts';
import { compileEvaluatorPlan } from '../../slo/compile_evaluator.ts';
import { AlertEngine } from './alert_engine.ts';
import { attachEvidence, type EvidenceAttacherDeps } from './evidence_attacher.ts';
import { SampleStore } from './sample_store.ts';
import { T0_MS } from './series_for_tests.ts';

const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const plan = compileEvaluatorPlan([], {
  timeScale: 1,
  links: { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' },
});
/** Fires for each instance whose event loop stands still, after two minutes. */
const RULES = plan.rules.filter(({ id }) => id === 'VitrineEventLoopDelayed');
const NOW_MS = T0_MS + 600_000;

function stalled(instances: number): { engine: AlertEngine; fire: () => void } {
  const store = new SampleStore({ needs: plan.needs, timeScale: 1, seriesLimit: 10_000 });
  const engine = new AlertEngine({ ...plan, rules: RULES }, LOG, () => NOW_MS);
  return {
    engine,
    fire() {
      for (let atMs = T0_MS; atMs <= NOW_MS; atMs += 15_000) {
        for (let index = 0; index < instances; index += 1) {
          const labels = { job: 'vitrine-gateway', instance: `gateway-${index}` };
          store.seriesOf('nodejs_eventloop_delay_max_seconds', labels)?.append(atMs, 1);
        }
        store.nowMs = atMs;
        engine.evaluate(store, atMs);
      }
    },
  };
}

function record(startMs: number, slow: boolean, index: number): QueryRecord {
  return {
    traceId: index.toString(16).padStart(32, '0'),
    startUs: startMs * 1000,
    totalMs: slow ? 260 : 12,
    unattributedMs: 0.1,
    stagesMs: { receive: 1, compute: slow ? 255 : 8 + (index % 3), respond: 1 },
    model: 'm',
    version: '1',
    outcome: 'ok',
    errorCode: '',
    worker: 'worker-1',
  };
}

/** Slow queries in the window that ends now, and usual ones before it. */
function deps(engine: AlertEngine, isThere = (): boolean => true): EvidenceAttacherDeps {
  const store = new SampleStore({ needs: plan.needs, timeScale: 1, seriesLimit: 1 });
  store.nowMs = NOW_MS;
  return {
    engine,
    log: LOG,
    nowMs: () => NOW_MS,
    sources: (atMs) => ({
      ledgers: async ({ startMinUs, startMaxUs }) => ({
        queries: isThere()
          ? Array.from({ length: 100 }, (_, index) => {
              const share = index / 100;
              const startUs = startMinUs + (startMaxUs - startMinUs) * share;
              return record(startUs / 1000, startMaxUs > (atMs - 1000) * 1000 && index % 2 === 1, index);
            })
          : [],
        matched: 0,
        scanLimitReached: false,
      }),
      moment: { source: store, timeMs: atMs, lookbackMs: 300_000 },
      timeScale: 1,
      traceUrl: (traceId) => traceId,
    }),
  };
}

afterEach(() => {
  vi.useRealTimers();
});

/** Resolves when so many events of evidence have been told. */
function evidenceTold(engine: AlertEngine, count: number): Promise<AlertInstance[]> {
  const told: AlertInstance[] = [];
  return new Promise((resolve) => {
    engine.onChange((alert, { kind }) => {
      if (kind !== 'evidence') return;
      told.push(alert);
      if (told.length === count) resolve(told);
    });
  });
}

test('an alert that fired before a restart, and has no explanation, is looked at once more', async () => {
  const before = stalled(1);
  before.fire();
  const { engine } = stalled(0);
  engine.restore(before.engine.kept(), [], [], NOW_MS);
  expect(engine.active()[0]).toMatchObject({ state: 'firing', evidence: undefined });
  const told = evidenceTold(engine, 1);
  using _ = attachEvidence(deps(engine), { secondLookMs: () => 1 });
  expect((await told)[0]?.evidence?.stage?.stage).toBe('compute');
});

test('one that has its explanation is left alone, also after a restart', async () => {
  const before = stalled(1);
  {
    const told = evidenceTold(before.engine, 1);
    using _ = attachEvidence(deps(before.engine));
    before.fire();
    await told;
  }
  const { engine } = stalled(0);
  engine.restore(before.engine.kept(), [], [], NOW_MS);
  let planned = false;
  using _ = attachEvidence(deps(engine), {
    secondLookMs: () => {
      planned = true;
      return 1;
    },
  });
  expect(planned).toBe(false);
});

test('of a flood of alerts fifty wait for evidence, and the others are told that they go without', async () => {
  const { engine, fire } = stalled(70);
  const told = evidenceTold(engine, 70);
  using _ = attachEvidence(deps(engine), { secondLookMs: () => 60_000 });
  fire();
  const found = await told;
  expect(found.filter(({ evidence }) => evidence !== undefined)).toHaveLength(50);
  const without = found.find(({ evidence }) => evidence === undefined);
  expect(engine.timeline(without?.fingerprint ?? '').at(-1)?.detail).toBe(
    'no evidence: 50 other alerts wait for theirs',
  );
});

test('nothing is looked at any more once it is closed', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { engine, fire } = stalled(1);
  let asked = 0;
  const told = evidenceTold(engine, 1);
  const evidence = attachEvidence(
    deps(engine, () => {
      asked += 1;
      return false;
    }),
  );
  fire();
  await told;
  // One look asks twice; the second look is planned.
  expect([asked, vi.getTimerCount()]).toEqual([2, 1]);
  evidence[Symbol.dispose]();
  expect(vi.getTimerCount()).toBe(0);
});
