/** The Open Inference Protocol v2 over REST: what crosses the wire, as types, and the limits on it. */
import type { Tensor, TensorMetadata } from './tensors.ts';

/** Extensions that `GET /v2` names. */
export const OIP_EXTENSIONS = ['binary_tensor_data', 'schedule_policy'] as const;

/** Answer of `GET /v2`. */
export interface ServerMetadata {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
}

/** Answer of `GET /v2/models/{model}[/versions/{version}]`. */
export interface ModelMetadata {
  readonly name: string;
  readonly versions?: readonly string[];
  /** `<project>_<format>`: `onnxruntime_onnx`. */
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

/** A parameter that the protocol does not define. */
export type ParameterValue = string | number | boolean;

export interface InferParameters {
  /** `parameters.timeout` in microseconds, from 1; absent when not given or 0, which asks for the default. */
  readonly timeoutUs?: number;
  /** `parameters.priority`: 0 = the default, 1 = the highest, then descending. */
  readonly priority: number;
  /** All that are not read here, by name. */
  readonly others: ReadonlyMap<string, ParameterValue>;
}

export interface RequestedOutput {
  readonly name: string;
  /** `parameters.binary_data`; absent means that the request's `binaryDataOutput` decides. */
  readonly binaryData?: boolean;
}

export interface InferRequest {
  /** Returned as it came. */
  readonly id?: string;
  readonly parameters: InferParameters;
  /** In the order in which they were sent, no name twice. */
  readonly inputs: readonly Tensor[];
  /** Absent or never empty: absent means all outputs. No name twice. */
  readonly outputs?: readonly RequestedOutput[];
  /** Whether outputs go as bytes when `binaryData` of the requested output says nothing. */
  readonly binaryDataOutput: boolean;
}

export interface InferResponse {
  readonly modelName: string;
  readonly modelVersion?: string;
  readonly id?: string;
  readonly parameters?: Readonly<Record<string, ParameterValue>>;
  readonly outputs: readonly Tensor[];
}

/** Bounds on one request; what lies beyond them is refused with the limit in the message. */
export interface OipLimits {
  readonly maxInputs: number;
  readonly maxOutputs: number;
  /** Elements of one tensor, at most 2^26. */
  readonly maxElements: number;
  /** Elements of one BYTES tensor: each is an object of its own, many times the size of a short string. */
  readonly maxBytesElements: number;
  readonly maxRank: number;
  /** Parameters of the request, and of each input and output. */
  readonly maxParameters: number;
  /** Characters of a tensor's name or a parameter's. */
  readonly maxNameChars: number;
  readonly maxIdChars: number;
  /** Levels of arrays and objects in the JSON part. */
  readonly maxNesting: number;
  readonly maxTimeoutUs: number;
  readonly maxPriority: number;
}

export const DEFAULT_OIP_LIMITS: OipLimits = {
  maxInputs: 64,
  maxOutputs: 64,
  maxElements: 2 ** 24,
  maxBytesElements: 2 ** 16,
  maxRank: 16,
  maxParameters: 64,
  maxNameChars: 256,
  maxIdChars: 256,
  maxNesting: 64,
  maxTimeoutUs: 24 * 3_600 * 1_000_000,
  maxPriority: 255,
};
