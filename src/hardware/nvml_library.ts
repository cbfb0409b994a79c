/**
 * NVIDIA's management library as a table of calls, and its binding to the shared library of the driver.
 * Signatures, structures and codes: https://docs.nvidia.com/deploy/nvml-api/
 */

/** What each call writes to its output; `undefined` where it has none. */
export interface NvmlOutputs {
  readonly nvmlInit_v2: undefined;
  readonly nvmlShutdown: undefined;
  readonly nvmlDeviceGetCount_v2: number;
  readonly nvmlDeviceGetHandleByIndex_v2: NvmlDevice;
  readonly nvmlDeviceGetUUID: string;
  readonly nvmlDeviceGetName: string;
  /** Per cent. */
  readonly nvmlDeviceGetUtilizationRates: { readonly gpu: number; readonly memory: number };
  /** Bytes. */
  readonly nvmlDeviceGetMemoryInfo: { readonly total: number; readonly free: number; readonly used: number };
  /** Milliwatts. */
  readonly nvmlDeviceGetPowerUsage: number;
  /** Millijoules since the driver was loaded. */
  readonly nvmlDeviceGetTotalEnergyConsumption: number;
  /** Degrees Celsius. */
  readonly nvmlDeviceGetTemperature: number;
  /** INSUFFICIENT_SIZE: more than there is room for (PROCESSES_LIMIT), and none is named. */
  readonly nvmlDeviceGetComputeRunningProcesses_v3: {
    readonly count: number;
    readonly pids: readonly number[];
  };
}

export type NvmlFunction = keyof NvmlOutputs;

/** A pointer that only the library reads. */
export type NvmlDevice = bigint;

export interface NvmlAnswer<F extends NvmlFunction> {
  /** nvmlReturn_t. */
  readonly code: number;
  /** What the output held after the call; only the codes say whether it means anything. */
  readonly value: NvmlOutputs[F];
}

export interface NvmlLibrary {
  /**
   * Runs off the main thread: some calls take milliseconds, and the first may wake the driver for seconds.
   * @param subject index of nvmlDeviceGetHandleByIndex_v2, the device of every other nvmlDevice call
   */
  call<F extends NvmlFunction>(name: F, subject?: number | NvmlDevice): Promise<NvmlAnswer<F>>;
}

/** nvmlReturn_t, those that are told apart. */
export const NVML = {
  success: 0,
  notSupported: 3,
  noPermission: 4,
  insufficientSize: 7,
  functionNotFound: 13,
  gpuIsLost: 15,
  resetRequired: 16,
} as const;

/** The library, or FFI to call it with, is not on this machine. */
export class NvmlUnavailable extends Error {}

/** NVML_DEVICE_UUID_V2_BUFFER_SIZE and NVML_DEVICE_NAME_V2_BUFFER_SIZE. */
const TEXT_BYTES = 96;
const TEMPERATURE_SENSOR_GPU = 0;

/** nvmlProcessInfo_t: unsigned int pid, padding, unsigned long long memory, two unsigned int of MIG. */
const PROCESS_BYTES = 24;
/** Named processes of one GPU. */
const PROCESSES_LIMIT = 64;
/** The array of processes lies behind their count, where an unsigned long long may lie. */
const PROCESSES_AT = 8;

type Parameter = 'device' | 'index' | 'output' | 'size' | 'sensor' | 'processes';

interface Signature<F extends NvmlFunction> {
  readonly parameters: readonly Parameter[];
  readonly outputBytes: number;
  /** What the output holds before the call. */
  readonly room?: number;
  readonly decode: (output: Buffer) => NvmlOutputs[F];
}

const readU32 = (output: Buffer): number => output.readUInt32LE(0);
const readU64 = (output: Buffer, offset = 0): number => Number(output.readBigUInt64LE(offset));
function readText(output: Buffer): string {
  const end = output.indexOf(0);
  return output.toString('utf8', 0, end === -1 ? output.length : end);
}

/** Those that were written: no process has the number 0. */
function readPids(output: Buffer): number[] {
  const pids: number[] = [];
  for (let at = PROCESSES_AT; at < output.length; at += PROCESS_BYTES) {
    const pid = output.readUInt32LE(at);
    if (pid !== 0) pids.push(pid);
  }
  return pids;
}

/** NVIDIA's drivers exist for little-endian machines with 64-bit pointers alone. */
const SIGNATURES: { readonly [F in NvmlFunction]: Signature<F> } = {
  nvmlInit_v2: { parameters: [], outputBytes: 0, decode: () => undefined },
  nvmlShutdown: { parameters: [], outputBytes: 0, decode: () => undefined },
  nvmlDeviceGetCount_v2: { parameters: ['output'], outputBytes: 4, decode: readU32 },
  nvmlDeviceGetHandleByIndex_v2: {
    parameters: ['index', 'output'],
    outputBytes: 8,
    decode: (output) => output.readBigUInt64LE(0),
  },
  nvmlDeviceGetUUID: { parameters: ['device', 'output', 'size'], outputBytes: TEXT_BYTES, decode: readText },
  nvmlDeviceGetName: { parameters: ['device', 'output', 'size'], outputBytes: TEXT_BYTES, decode: readText },
  nvmlDeviceGetUtilizationRates: {
    parameters: ['device', 'output'],
    outputBytes: 8,
    decode: (output) => ({ gpu: output.readUInt32LE(0), memory: output.readUInt32LE(4) }),
  },
  nvmlDeviceGetMemoryInfo: {
    parameters: ['device', 'output'],
    outputBytes: 24,
    decode: (output) => ({ total: readU64(output), free: readU64(output, 8), used: readU64(output, 16) }),
  },
  nvmlDeviceGetPowerUsage: { parameters: ['device', 'output'], outputBytes: 4, decode: readU32 },
  nvmlDeviceGetTotalEnergyConsumption: { parameters: ['device', 'output'], outputBytes: 8, decode: readU64 },
  nvmlDeviceGetTemperature: { parameters: ['device', 'sensor', 'output'], outputBytes: 4, decode: readU32 },
  nvmlDeviceGetComputeRunningProcesses_v3: {
    parameters: ['device', 'output', 'processes'],
    outputBytes: PROCESSES_AT + PROCESSES_LIMIT * PROCESS_BYTES,
    room: PROCESSES_LIMIT,
    decode: (output) => ({ count: readU32(output), pids: readPids(output) }),
  },
};

/** As C knows them; a device is an opaque pointer, which an integer of its size stands for. */
const C_TYPES: Readonly<Record<Parameter, string>> = {
  device: 'uintptr_t',
  index: 'unsigned int',
  output: 'void *',
  size: 'unsigned int',
  sensor: 'int',
  processes: 'void *',
};

/** The name under which the dynamic loader finds it: the driver's own installation, never a path of ours. */
const NVML_NAME = process.platform === 'win32' ? 'nvml.dll' : 'libnvidia-ml.so.1';

type NativeFunction = ReturnType<import('koffi').LibraryHandle['func']>;

/**
 * Loads FFI (which costs about 50 ms and 8 MB, so nothing else imports it) and then the library.
 * A function that an old driver lacks answers FUNCTION_NOT_FOUND.
 * @throws NvmlUnavailable when either is not there
 */
export async function loadNvml(name: string = NVML_NAME): Promise<NvmlLibrary> {
  let library: import('koffi').LibraryHandle;
  try {
    const { load } = await import('koffi');
    library = load(name);
  } catch (error) {
    throw new NvmlUnavailable(`${name} cannot be loaded`, { cause: error });
  }
  const functions = new Map<NvmlFunction, NativeFunction | undefined>();
  for (const [each, { parameters }] of Object.entries(SIGNATURES)) {
    let native: NativeFunction | undefined;
    try {
      native = library.func(
        each,
        'int',
        parameters.map((parameter) => C_TYPES[parameter]),
      );
    } catch {
      native = undefined;
    }
    functions.set(each as NvmlFunction, native);
  }
  return {
    call: (each, subject) => {
      const { parameters, outputBytes, room, decode } = SIGNATURES[each];
      const output = Buffer.alloc(outputBytes);
      if (room !== undefined) output.writeUInt32LE(room);
      const native = functions.get(each);
      if (native === undefined) {
        return Promise.resolve({ code: NVML.functionNotFound, value: decode(output) });
      }
      const values: Readonly<Record<Parameter, unknown>> = {
        device: subject,
        index: subject,
        output,
        size: outputBytes,
        sensor: TEMPERATURE_SENSOR_GPU,
        processes: output.subarray(PROCESSES_AT),
      };
      return new Promise((resolve, reject) => {
        native.async(
          ...parameters.map((parameter) => values[parameter]),
          (error: Error | null, code: number) => {
            if (error) reject(error);
            else resolve({ code, value: decode(output) });
          },
        );
      });
    },
  };
}
