/** What one look at one GPU found, whichever way it was looked at. */
export interface GpuReading {
  /** The driver's identifier, `GPU-` and a UUID; `index:<n>` of a GPU that was lost before it could be asked. */
  readonly id: string;
  /** As the vendor names it; empty when it could not be asked. */
  readonly model: string;
  /** `lost`: it fell off the bus or needs a reset; it has no values then. */
  readonly state: 'ok' | 'lost';
  /** Absent: what this GPU, its mode (MIG) or its driver does not tell. Never zero in place of unknown. */
  readonly values: GpuValues;
  /** Numbers of the processes that hold a compute context; absent when they are not told. */
  readonly processIds?: readonly number[] | undefined;
}

export interface GpuValues {
  /** 0 to 1: share of the driver's last sampling window (1/6 to 1 s) in which at least one kernel ran. */
  readonly utilizationRatio?: number | undefined;
  readonly memoryUsedBytes?: number | undefined;
  readonly memoryTotalBytes?: number | undefined;
  readonly powerWatts?: number | undefined;
  /** Since the driver was loaded. */
  readonly energyJoules?: number | undefined;
  readonly temperatureCelsius?: number | undefined;
  /** Processes that hold a compute context. */
  readonly computeProcesses?: number | undefined;
}

/** GPUs that are read on one machine; further ones are left out, with a warning. */
export const GPU_LIMIT = 64;
