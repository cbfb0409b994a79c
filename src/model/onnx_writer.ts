/**
 * Writes small ONNX models without Python: for tests, and for the models that the bench generates. Only the
 * parts of `ModelProto` that these need are here; field numbers are those of onnx.proto (IR version 8).
 */
import protobuf from 'protobufjs/minimal.js';
import type { Datatype } from '../contract/datatypes.ts';

/** `TensorProto.DataType` of each datatype. */
const ELEMENT_TYPE: Readonly<Record<Datatype | 'BF16', number>> = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
  BF16: 16,
};

/** An input or output of the graph. A dimension is a size, or a name where it varies. */
interface OnnxValue {
  readonly name: string;
  readonly datatype: Datatype | 'BF16';
  readonly shape: readonly (number | string)[];
}

/** A constant of the graph. */
export interface OnnxInitializer {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** Little-endian elements, or the place of a file beside the model that holds them. */
  readonly data: Uint8Array | { readonly file: string; readonly lengthBytes: number };
}

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Integer attributes; that is all our generated models need. */
  readonly integers?: Readonly<Record<string, number>>;
  /** Empty for ONNX's own operators. */
  readonly domain?: string;
}

export interface OnnxGraph {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers?: readonly OnnxInitializer[];
  /** Another output: a sequence that holds the first input, which is no tensor. */
  readonly sequenceOutput?: string;
  /** Version of ONNX's own operator set; 17 by default. */
  readonly opset?: number;
  /** Version of the file format; 8 by default. */
  readonly irVersion?: number;
}

type Writer = protobuf.Writer;

const LENGTH_DELIMITED = 2;
const VARINT = 0;

function message(writer: Writer, field: number, write: (inner: Writer) => void): void {
  writer.uint32((field << 3) | LENGTH_DELIMITED).fork();
  write(writer);
  writer.ldelim();
}

function text(writer: Writer, field: number, value: string): void {
  writer.uint32((field << 3) | LENGTH_DELIMITED).string(value);
}

function integer(writer: Writer, field: number, value: number): void {
  writer.uint32((field << 3) | VARINT).int64(value);
}

function writeValue(writer: Writer, value: OnnxValue): void {
  text(writer, 1, value.name);
  message(writer, 2, (type) =>
    message(type, 1, (tensor) => {
      integer(tensor, 1, ELEMENT_TYPE[value.datatype]);
      message(tensor, 2, (shape) => {
        for (const size of value.shape) {
          message(shape, 1, (dimension) => {
            if (typeof size === 'number') integer(dimension, 1, size);
            else text(dimension, 2, size);
          });
        }
      });
    }),
  );
}

function writeInitializer(writer: Writer, initializer: OnnxInitializer): void {
  for (const size of initializer.shape) integer(writer, 1, size);
  integer(writer, 2, ELEMENT_TYPE[initializer.datatype]);
  text(writer, 8, initializer.name);
  const { data } = initializer;
  if (data instanceof Uint8Array) {
    writer.uint32((9 << 3) | LENGTH_DELIMITED).bytes(data);
    return;
  }
  for (const [key, value] of [
    ['location', data.file],
    ['length', String(data.lengthBytes)],
  ] as const) {
    message(writer, 13, (entry) => {
      text(entry, 1, key);
      text(entry, 2, value);
    });
  }
  integer(writer, 14, 1); // data_location: EXTERNAL
}

function writeNode(writer: Writer, node: OnnxNode): void {
  for (const name of node.inputs) text(writer, 1, name);
  for (const name of node.outputs) text(writer, 2, name);
  text(writer, 4, node.operator);
  for (const [name, value] of Object.entries(node.integers ?? {})) {
    message(writer, 5, (attribute) => {
      text(attribute, 1, name);
      integer(attribute, 3, value);
      integer(attribute, 20, 2); // type: INT
    });
  }
  if (node.domain !== undefined) text(writer, 7, node.domain);
}

function writeSequence(writer: Writer, graph: OnnxGraph, name: string): void {
  const first = graph.inputs[0];
  if (first === undefined) throw new RangeError('a sequence needs an input to hold');
  const node = { operator: 'SequenceConstruct', inputs: [first.name], outputs: [name] };
  message(writer, 1, (each) => writeNode(each, node));
  message(writer, 12, (value) => {
    text(value, 1, name);
    message(value, 2, (type) =>
      message(type, 4, (sequence) =>
        message(sequence, 1, (element) =>
          message(element, 1, (tensor) => integer(tensor, 1, ELEMENT_TYPE[first.datatype])),
        ),
      ),
    );
  });
}

/** The graph as the bytes of a model.onnx. */
export function encodeOnnx(graph: OnnxGraph): Uint8Array {
  const writer = protobuf.Writer.create();
  integer(writer, 1, graph.irVersion ?? 8);
  text(writer, 2, 'vitrine');
  message(writer, 7, (inner) => {
    for (const node of graph.nodes) message(inner, 1, (each) => writeNode(each, node));
    text(inner, 2, 'generated');
    for (const initializer of graph.initializers ?? []) {
      message(inner, 5, (each) => writeInitializer(each, initializer));
    }
    for (const value of graph.inputs) message(inner, 11, (each) => writeValue(each, value));
    for (const value of graph.outputs) message(inner, 12, (each) => writeValue(each, value));
    if (graph.sequenceOutput !== undefined) writeSequence(inner, graph, graph.sequenceOutput);
  });
  const domains = new Set(graph.nodes.flatMap((node) => (node.domain === undefined ? [] : [node.domain])));
  message(writer, 8, (opset) => integer(opset, 2, graph.opset ?? 17));
  for (const domain of domains) {
    message(writer, 8, (opset) => {
      text(opset, 1, domain);
      integer(opset, 2, 1);
    });
  }
  return writer.finish();
}
