/** Drills on the running service: the fault, its alerts, their evidence, and that nothing stays behind. */
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { DRILLS } from '../../src/drill/drills.ts';
import type { DrillReport } from '../../src/drill/report.ts';
import { ALERT_CATALOG } from '../../src/slo/alert_catalog.ts';
import { runVitrine, startVitrine } from '../fixtures/run_vitrine.ts';
import { type Service, startService } from './service.ts';

const OBJECTIVES = new URL('../fixtures/drill_objectives.yaml', import.meta.url).pathname;
const FAST_ENOUGH_MS = 150_000;

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
    'slow-compute: both alerts fire, the evidence names stage and worker; a killed driver leaves nothing',
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

      const { args, env } = commandOf(service, 'slow-preprocess');
      const driver = startVitrine(args, env);
      const gone = once(driver, 'exit');
      const lines = createInterface(driver.stdout);
      for await (const line of lines) if (/ fault /.test(line)) break;
      while ((await faultsOf(service, 'worker-1')).length === 0) await nextTurn();
      driver.kill('SIGKILL');
      await gone;
      expect(await faultsOf(service, 'worker-1')).toMatchObject([{ point: 'preprocess' }]);
      while ((await faultsOf(service, 'worker-1')).length > 0) await nextTurn();
    },
    FAST_ENOUGH_MS,
  );

  test(
    'errors, then worker-crash',
    async () => {
      await using service = await drilled(60);
      const errors = await drill(service, 'errors');
      expectOrder(errors);
      expect(errors.evidence).toMatch(/of queries fail/);
      const crash = await drill(service, 'worker-crash');
      expectOrder(crash);
      expect(crash.alerts).toMatchObject([
        { name: 'VitrineProcessRestarting', labels: { job: 'vitrine-worker', instance: 'worker-1' } },
      ]);
    },
    FAST_ENOUGH_MS,
  );
});

test('a service that does not allow drills is left alone, and the message says what to do', async () => {
  const { code, stderr } = await runVitrine(['drill', 'errors'], {
    env: { VITRINE_DRILL_SOCKET_DIRECTORY: join(import.meta.dirname, 'no-such-folder') },
  });
  expect(code).toBe(1);
  expect(stderr).toContain('VITRINE_DRILL_ALLOWED=true');
});
