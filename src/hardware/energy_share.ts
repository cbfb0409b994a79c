/**
 * The energy of GPUs, divided over the batches that ran on them. A board counts its energy, and is looked at once a
 * second; batches take milliseconds. So what a second took is known, and what ran in it, not what each batch took.
 *
 *   due = sum over GPUs of (energy between two looks / processes on the GPU) * min(1, busy / (looks apart * GPUs))
 *
 * busy is the time that batches of this process kept a GPU; time in which none ran is nobody's. A GPU that several
 * processes share is divided evenly: together they are never given more than it took.
 *
 * A query is answered before the next look, so it is given an estimate: its time on the GPU, at the rate of the
 * interval before. What these estimates were short of, or over, is made up for in the interval after, so that their
 * sum follows what is due; the two differ by no more than the newest intervals' error.
 */
import type { GpuReading } from './gpu_reading.ts';

interface Look {
  readonly atMs: number;
  /** Joules and processes, by the id of each GPU that this process uses. */
  readonly gpus: ReadonlyMap<string, { readonly energyJoules: number; readonly processes: number }>;
}

/** A correction may double the rate at most, so that no query is given what others took over minutes. */
const CORRECTION_LIMIT = 2;

export class EnergyShare {
  readonly #processId: number;
  #last: Look | undefined;
  /** Joules for each millisecond on a GPU; undefined while nothing is known. */
  #rate: number | undefined;
  /** Since the last look: time that was given a share. */
  #busyMs = 0;
  #given = 0;
  #due = 0;

  /** @param processId as the driver knows it; in a container of its own numbers it is not found, and nothing is given */
  constructor(processId: number) {
    this.#processId = processId;
  }

  /** GPUs of a look on which this process holds a compute context. */
  used(readings: readonly GpuReading[]): GpuReading[] {
    return readings.filter(({ processIds }) => processIds?.includes(this.#processId));
  }

  /** @param atMs monotonic time of the look */
  look(atMs: number, readings: readonly GpuReading[]): void {
    const gpus = new Map(
      this.used(readings).flatMap(({ id, values, processIds }) =>
        values.energyJoules === undefined
          ? []
          : [[id, { energyJoules: values.energyJoules, processes: processIds?.length ?? 1 }]],
      ),
    );
    const last = this.#last;
    this.#last = { atMs, gpus };
    const busyMs = this.#busyMs;
    this.#busyMs = 0;
    // A GPU that came, went or whose counter began anew since (its driver was loaded) tells nothing this time.
    const took = [...gpus].flatMap(([id, { energyJoules, processes }]) => {
      const joules = energyJoules - (last?.gpus.get(id)?.energyJoules ?? Number.NaN);
      return joules >= 0 ? [joules / processes] : [];
    });
    const capacityMs = last === undefined ? 0 : (atMs - last.atMs) * took.length;
    if (capacityMs <= 0) {
      this.#rate = undefined;
      return;
    }
    const joules = took.reduce((sum, each) => sum + each, 0);
    const rate = joules / Math.max(capacityMs, busyMs);
    this.#due += rate * busyMs;
    const owed = busyMs === 0 ? 0 : (this.#due - this.#given) / busyMs;
    this.#rate = Math.min(Math.max(0, rate + owed), CORRECTION_LIMIT * rate);
  }

  /**
   * The share of a batch.
   * @param deviceMs that it kept the GPU
   * @returns joules, an estimate; undefined when this process uses no GPU that counts its energy
   */
  take(deviceMs: number): number | undefined {
    if (this.#rate === undefined) return undefined;
    const joules = this.#rate * deviceMs;
    this.#busyMs += deviceMs;
    this.#given += joules;
    return joules;
  }

  /** What the shares have to sum to, as of the last look. Joules. */
  get dueJoules(): number {
    return this.#due;
  }
}
