/** Looks at every GPU of the machine through NVML. */
import type { Log } from '../contract/log.ts';
import { GPU_LIMIT, type GpuReading } from './gpu_reading.ts';
import {
  NVML,
  type NvmlDevice,
  type NvmlFunction,
  type NvmlLibrary,
  type NvmlOutputs,
} from './nvml_library.ts';

export interface NvmlSession extends AsyncDisposable {
  /** GPUs that are looked at; 0 is possible. */
  readonly count: number;
  /** One look at every GPU, in the driver's order. Calls must not overlap. */
  look(): Promise<readonly GpuReading[]>;
}

interface Device {
  /** Absent: it was lost before it had a handle, and is asked for again at the next look. */
  handle: NvmlDevice | undefined;
  readonly index: number;
  id: string;
  model: string;
  lost: boolean;
  /** Calls that failed in a way that nobody expects, with their code: each is told once. */
  readonly told: Set<string>;
}

/** What a GPU may well not have: its reading is then absent, without a word. */
const ABSENT: ReadonlySet<number> = new Set([NVML.notSupported, NVML.noPermission, NVML.functionNotFound]);
const LOST: ReadonlySet<number> = new Set([NVML.gpuIsLost, NVML.resetRequired]);

class LostDevice extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`NVML answered ${code}`);
    this.code = code;
  }
}

/** @returns undefined when NVML does not start: no driver behind the library, or one of another version */
export async function openNvml(library: NvmlLibrary, log: Log): Promise<NvmlSession | undefined> {
  const { code } = await library.call('nvmlInit_v2');
  if (code !== NVML.success) {
    log.debug('NVML does not start', { code });
    return undefined;
  }
  const devices = await findDevices(library, log);

  /** The output of a call, or undefined when the reading is absent. @throws LostDevice */
  async function ask<F extends NvmlFunction>(
    device: Device,
    name: F,
    alsoFine?: number,
  ): Promise<NvmlOutputs[F] | undefined> {
    const answer = await library.call(name, device.handle);
    if (answer.code === NVML.success || answer.code === alsoFine) return answer.value;
    if (LOST.has(answer.code)) throw new LostDevice(answer.code);
    const failure = `${name} ${answer.code}`;
    if (!ABSENT.has(answer.code) && !device.told.has(failure)) {
      device.told.add(failure);
      log.warn('a reading of a GPU failed; it is absent while it does', {
        gpu: device.id,
        call: name,
        code: answer.code,
      });
    }
    return undefined;
  }

  async function lookAt(device: Device): Promise<GpuReading> {
    try {
      if (device.handle === undefined && !(await identify(library, device))) {
        throw new LostDevice(NVML.gpuIsLost);
      }
      const utilization = await ask(device, 'nvmlDeviceGetUtilizationRates');
      const memory = await ask(device, 'nvmlDeviceGetMemoryInfo');
      const powerMw = await ask(device, 'nvmlDeviceGetPowerUsage');
      const energyMj = await ask(device, 'nvmlDeviceGetTotalEnergyConsumption');
      const temperatureCelsius = await ask(device, 'nvmlDeviceGetTemperature');
      const processes = await ask(device, 'nvmlDeviceGetComputeRunningProcesses_v3', NVML.insufficientSize);
      if (device.lost) log.info('a GPU is back', { gpu: device.id });
      device.lost = false;
      return {
        id: device.id,
        model: device.model,
        state: 'ok',
        values: {
          utilizationRatio: utilization && utilization.gpu <= 100 ? utilization.gpu / 100 : undefined,
          memoryUsedBytes: memory?.used,
          memoryTotalBytes: memory?.total,
          powerWatts: powerMw === undefined ? undefined : powerMw / 1000,
          energyJoules: energyMj === undefined ? undefined : energyMj / 1000,
          temperatureCelsius,
          computeProcesses: processes?.count,
        },
        processIds: processes?.pids,
      };
    } catch (error) {
      if (!(error instanceof LostDevice)) throw error;
      if (!device.lost) {
        log.error('a GPU is lost: it fell off the bus or needs a reset', {
          gpu: device.id,
          model: device.model,
          code: error.code,
        });
      }
      device.lost = true;
      return { id: device.id, model: device.model, state: 'lost', values: {} };
    }
  }

  return {
    count: devices.length,
    async look() {
      const readings: GpuReading[] = [];
      for (const device of devices) readings.push(await lookAt(device));
      return readings;
    },
    async [Symbol.asyncDispose]() {
      await library.call('nvmlShutdown');
    },
  };
}

/** Those that this process may talk to: in a container others are counted, too. */
async function findDevices(library: NvmlLibrary, log: Log): Promise<readonly Device[]> {
  const counted = await library.call('nvmlDeviceGetCount_v2');
  const count = counted.code === NVML.success ? counted.value : 0;
  if (count > GPU_LIMIT) log.warn('this machine has more GPUs than are read', { count, limit: GPU_LIMIT });
  const devices: Device[] = [];
  for (let index = 0; index < Math.min(count, GPU_LIMIT); index += 1) {
    const device: Device = {
      handle: undefined,
      index,
      id: `index:${index}`,
      model: '',
      lost: false,
      told: new Set(),
    };
    try {
      if (await identify(library, device)) devices.push(device);
    } catch (error) {
      // Lost already: it is looked at, so that this is told and seen.
      if (!(error instanceof LostDevice)) throw error;
      devices.push(device);
    }
  }
  return devices;
}

/** Fills in handle, identifier and name. @returns false when this process may not use it @throws LostDevice */
async function identify(library: NvmlLibrary, device: Device): Promise<boolean> {
  const found = await library.call('nvmlDeviceGetHandleByIndex_v2', device.index);
  if (LOST.has(found.code)) throw new LostDevice(found.code);
  if (found.code !== NVML.success) return false;
  const uuid = await library.call('nvmlDeviceGetUUID', found.value);
  const name = await library.call('nvmlDeviceGetName', found.value);
  if (LOST.has(uuid.code)) throw new LostDevice(uuid.code);
  device.handle = found.value;
  if (uuid.code === NVML.success) device.id = uuid.value;
  if (name.code === NVML.success) device.model = name.value;
  return true;
}
