/** Drills on a service of their own, run as a person does. */
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import type { DrillName } from '../../src/contract/drill_names.ts';
import type { DrillReport } from '../../src/drill/report.ts';
import { runVitrine } from '../fixtures/run_vitrine.ts';
import { type Service, startService } from '../system/service.ts';

const OBJECTIVES = new URL('../fixtures/drill_objectives.yaml', import.meta.url).pathname;

export function drilledService(options: {
  readonly timeScale: number;
  readonly workers: number;
}): Promise<Service> {
  const { timeScale, workers } = options;
  return startService({
    workers,
    env: { VITRINE_SLO_TIME_SCALE: String(timeScale), VITRINE_SLO_PATH: OBJECTIVES },
  });
}

/** Arguments and environment of `vitrine drill` against the service. */
export function drillCommand(service: Service, ...args: string[]) {
  const env = { VITRINE_DRILL_SOCKET_DIRECTORY: join(service.folder, 'drill') };
  return { args: ['drill', ...args, '--url', service.url, '--console', service.consoleUrl], env };
}

/** Runs drills one after the other on one service, which saves the calm that each needs before it. */
export async function runDrills(
  names: readonly DrillName[],
  options: { readonly timeScale: number; readonly workers: number },
): Promise<ReadonlyMap<DrillName, DrillReport>> {
  await using service = await drilledService(options);
  const { args, env } = drillCommand(service, ...names, '--json');
  const { stdout, stderr } = await runVitrine(args, { env });
  expect(stderr).toBe('');
  const printed = JSON.parse(stdout) as DrillReport | DrillReport[];
  return new Map([printed].flat().map((report) => [report.drill, report]));
}

/** The faults that a process has now. */
export async function faultsOf(
  service: Service,
  process: string,
): Promise<readonly { readonly point: string }[]> {
  const call = request({ socketPath: join(service.folder, 'drill', `${process}.sock`), path: '/faults' });
  call.end();
  const [response] = await once(call, 'response');
  return JSON.parse(await text(response)).faults;
}

/** Everything happened, and in its order. */
export function expectWhole(report: DrillReport | undefined): asserts report is DrillReport {
  if (report === undefined) throw new Error('the drill has no report');
  expect(report.missing).toEqual([]);
  expect(report.passed).toBe(true);
  expect(report.alerts.length).toBeGreaterThan(0);
  for (const { pendingAfterMs, firingAfterMs, clearedAfterMs } of report.alerts) {
    expect(pendingAfterMs).toBeGreaterThan(0);
    expect(firingAfterMs).toBeGreaterThanOrEqual(pendingAfterMs ?? Number.POSITIVE_INFINITY);
    expect(clearedAfterMs).not.toBeNull();
  }
  const kinds = report.steps.map(({ kind }) => kind);
  for (const kind of ['load', 'fault', 'pending', 'firing', 'lifted', 'cleared'] as const) {
    expect(kinds).toContain(kind);
  }
}
