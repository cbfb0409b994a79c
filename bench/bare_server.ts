/**
 * A model served in twenty lines: node:http and onnxruntime-node in one process, no batching, no limits, no
 * telemetry. The least that serving costs, and what one gets without a server made for it.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { serveBench } from './child.ts';

interface Query {
  readonly inputs: readonly [{ readonly name: string; readonly shape: number[]; readonly data: number[] }];
}

const [repository = '', ...models] = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const sessions = new Map<string, InferenceSession>();
for (const model of models) {
  const path = join(repository, model, '1', 'model.onnx');
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, executionProviders: ['cpu'] };
  sessions.set(model, await InferenceSession.create(path, options));
}

async function answer(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const model = request.url?.split('/')[3] ?? '';
  const session = sessions.get(model);
  if (session === undefined) throw new Error(`no model ${model}`);
  const { inputs } = JSON.parse(Buffer.concat(chunks).toString()) as Query;
  const [input] = inputs;
  const feeds = { [input.name]: new Tensor('float32', Float32Array.from(input.data), input.shape) };
  const outputs = Object.entries(await session.run(feeds)).map(([name, output]) => ({
    name,
    datatype: 'FP32',
    shape: output.dims,
    data: Array.from(output.data as Float32Array),
  }));
  return JSON.stringify({ model_name: model, outputs });
}

const server = createServer((request, response) => {
  answer(request).then(
    (text) => response.writeHead(200, { 'content-type': 'application/json' }).end(text),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
serveBench('bare-server', { http: (server.address() as AddressInfo).port });
