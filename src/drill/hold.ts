/** Faults that are held up for as long as a drill needs them. */
import type { FaultPoint } from '../contract/fault_points.ts';
import type { Drill, Injected } from './drill.ts';
import type { FaultBody, FaultDoors } from './fault_doors.ts';

/** Well below the lease of a fault. */
const RENEW_MS = 1000;

/**
 * Holds a fault up until it is disposed: renews its lease again and again.
 * @param fault asked at each renewal
 * @throws Error when one of the processes does not take it; then none has it
 */
export async function holdFault(
  doors: FaultDoors,
  processes: readonly string[],
  point: FaultPoint,
  fault: FaultBody | (() => FaultBody),
): Promise<Injected> {
  const now = typeof fault === 'function' ? fault : () => fault;
  const setAll = () => Promise.all(processes.map((process) => doors.set(process, point, now())));
  const liftAll = () => Promise.allSettled(processes.map((process) => doors.lift(process, point)));
  try {
    await setAll();
  } catch (error) {
    await liftAll();
    throw error;
  }
  let lost: string | undefined;
  let renewing: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    renewing = renewing.then(setAll).then(
      () => {
        lost = undefined;
      },
      (error: Error) => {
        lost = error.message;
      },
    );
  }, RENEW_MS);
  return {
    get problem() {
      return lost === undefined ? undefined : `the fault could not be held: ${lost}`;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await renewing;
      await liftAll();
    },
  };
}

/** Injects a fault into the first worker alone. */
export function holdAtFirstWorker(point: FaultPoint, fault: FaultBody): Drill['inject'] {
  return ({ doors, target }) => holdFault(doors, target.workers.slice(0, 1), point, fault);
}

/** Injects a fault into every gateway. */
export function holdAtGateways(point: FaultPoint, fault: FaultBody): Drill['inject'] {
  return async ({ doors }) => {
    const gateways = (await doors.processes()).filter((name) => name.startsWith('gateway-'));
    return holdFault(doors, gateways, point, fault);
  };
}

/** Injects a fault into every worker. */
export function holdAtWorkers(point: FaultPoint, fault: FaultBody): Drill['inject'] {
  return ({ doors, target }) => holdFault(doors, target.workers, point, fault);
}

/** Where `holdAtWorkers` strikes. */
export function ofWorkers(point: FaultPoint): Drill['place'] {
  return ({ workers }) => `${point} of ${workers.join(', ')}`;
}
