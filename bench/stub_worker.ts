/**
 * An upstream that answers at once and always the same, as a worker would: what is measured is then the gateway
 * before it, and not a model.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WORKER_REPORT } from '../src/contract/headers.ts';
import type { RepositoryIndexEntry } from '../src/contract/repository_index.ts';
import { WORKER_STAGES } from '../src/contract/stages.ts';
import { formatWorkerReport } from '../src/contract/worker_report.ts';
import { serveBench } from './child.ts';

const MODEL = 'stub';
const index: RepositoryIndexEntry[] = [{ name: MODEL, version: '1', state: 'READY', reason: '' }];
const answer = Buffer.from(
  JSON.stringify({
    model_name: MODEL,
    model_version: '1',
    outputs: [{ name: 'output', datatype: 'FP32', shape: [1, 4], data: [0.1, 0.2, 0.3, 0.4] }],
  }),
);
const stages = WORKER_STAGES.map((_, stage) => (stage === 0 ? 0.05 : -1));
const headers = {
  'content-type': 'application/json',
  'content-length': answer.length,
  [WORKER_REPORT]: formatWorkerReport({
    totalMs: 0.05,
    stagesMs: stages,
    version: '1',
    worker: 'worker-1',
    eventLoopDelayMs: 0,
    batchRows: 1,
  }),
};

const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    if (request.url === '/v2/repository/index') response.end(JSON.stringify(index));
    else if (request.url?.endsWith('/infer') === true) response.writeHead(200, headers).end(answer);
    else response.end('{}');
  });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
serveBench('stub-worker', { http: (server.address() as AddressInfo).port });
