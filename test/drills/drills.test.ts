/** Drills on the running service: the fault, its alerts, their evidence, and that nothing stays behind. */
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { DRILLS } from '../../src/drill/drills.ts';
import type { DrillReport } from '../../src/drill/report.ts';
import { ALERT_CATALOG } from '../../src/slo/alert_catalog.ts';
import { runVitrine, startVitrine } from '../fixtures/run_vitrine.ts';
import { type Service, startService } from '../system/service.ts';

const OBJECTIVES = new URL('../fixtures/drill_objectives.yaml', import.meta.url).pathname;
const LIMIT_MS = 150_000;

function drilled(timeScale: number): Promise<Service> {
  return startService({
    env: { VITRINE_SLO_TIME_SCALE: String(timeScale), VITRINE_SLO_PATH: OBJECTIVES },
  });
}

function commandOf(service: Service, ...args: string[]) {
  const env = { VITRINE_DRILL_SOCKET_DIRECTORY: join(service.folder, 'drill') };
  return { args: ['drill', ...args, '--url', service.url, '--console', service.consoleUrl], env };
}

async function drill(service: Service, name: string): Promise<DrillReport> {
  const { args, env } = commandOf(service, name, '--json');
  const { code, stdout, stderr } = await runVitrine(args, { env });
  expect(stderr).toBe('');
  const report = JSON.parse(stdout) as DrillReport;
  expect(report.missing).toEqual([]);
  expect(code).toBe(0);
  expect(report.passed).toBe(true);
  return report;
}

/** The faults that a process has now. */
async function faultsOf(service: Service, process: string): Promise<readonly { readonly point: string }[]> {
  const call = request({ socketPath: join(service.folder, 'drill', `${process}.sock`), path: '/faults' });
  call.end();
  const [response] = await once(call, 'response');
  return JSON.parse(await text(response)).faults;
}

function expectOrder(report: DrillReport): void {
  expect(report.alerts.length).toBeGreaterThan(0);
  for (const { pendingAfterMs, firingAfterMs, clearedAfterMs } of report.alerts) {
    expect(pendingAfterMs).toBeGreaterThan(0);
    expect(firingAfterMs).toBeGreaterThanOrEqual(pendingAfterMs ?? Number.POSITIVE_INFINITY);
    expect(clearedAfterMs).not.toBeNull();
  }
  const kinds = report.steps.map(({ kind }) => kind);
  for (const kind of ['load', 'fault', 'first_slow', 'pending', 'firing', 'lifted', 'cleared'] as const) {
    expect(kinds).toContain(kind);
  }
}

test('drills and the catalogue of alerts agree', () => {
  for (const { name, alerts } of DRILLS) {
    const ofCatalog = ALERT_CATALOG.filter(({ drill: of }) => 'drill' in of && of.drill === name);
    const own = alerts.map((alert) => alert.name);
    expect(own).toEqual(expect.arrayContaining(ofCatalog.map((alert) => alert.name)));
  }
});

describe.concurrent('a drill against the running service', () => {
  test(
    'slow-compute: both alerts fire, and the evidence names stage and worker',
    async () => {
      await using service = await drilled(60);
      const report = await drill(service, 'slow-compute');
      expectOrder(report);
      expect(report.alerts.map(({ name }) => name).sort()).toEqual([
        'VitrineBudgetBurnsFast',
        'VitrineLatencyP99High',
      ]);
      expect(report.evidence).toMatch(/^compute takes \d+ ms instead of/m);
      expect(report.evidence).toContain('worker-1');
    },
    LIMIT_MS,
  );

  test(
    'worker-crash: the alert names the worker',
    async () => {
      await using service = await drilled(30);
      const report = await drill(service, 'worker-crash');
      expectOrder(report);
      expect(report.alerts).toMatchObject([
        { name: 'VitrineProcessRestarting', labels: { job: 'vitrine-worker', instance: 'worker-1' } },
      ]);
    },
    LIMIT_MS,
  );

  test(
    'errors: the evidence says that they fail; then a killed driver leaves no fault behind',
    async () => {
      await using service = await drilled(120);
      const report = await drill(service, 'errors');
      expectOrder(report);
      expect(report.evidence).toMatch(/of queries fail/);

      const { args, env } = commandOf(service, 'slow-preprocess');
      const driver = startVitrine(args, env);
      const gone = once(driver, 'exit');
      while ((await faultsOf(service, 'worker-1')).length === 0) await nextTurn();
      driver.kill('SIGKILL');
      await gone;
      expect(await faultsOf(service, 'worker-1')).toMatchObject([{ point: 'preprocess' }]);
      while ((await faultsOf(service, 'worker-1')).length > 0) await nextTurn();
    },
    LIMIT_MS,
  );
});

test('a service that does not allow drills is left alone, and the message says what to do', async () => {
  const { code, stderr } = await runVitrine(['drill', 'errors'], {
    env: { VITRINE_DRILL_SOCKET_DIRECTORY: join(import.meta.dirname, 'no-such-folder') },
  });
  expect(code).toBe(1);
  expect(stderr).toContain('VITRINE_DRILL_ALLOWED=true');
});
