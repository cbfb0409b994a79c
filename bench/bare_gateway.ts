/**
 * The gateway that one would write in ten minutes: Express 5 and undici, the body buffered, sent on, the answer
 * buffered and sent back. No deadline, retry, limit, ledger or telemetry: what proxying itself costs.
 */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Agent } from 'undici';
import { serveBench } from './child.ts';

const [upstream = ''] = process.argv.slice(2);
const agent = new Agent({ connections: 128 });
const app = express();
app.disable('x-powered-by');
app.disable('etag');

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

app.post('/v2/models/:model/infer', async (request, response) => {
  const body = await readAll(request);
  const answer = await agent.request({
    origin: upstream,
    path: request.url,
    method: 'POST',
    headers: { 'content-type': request.headers['content-type'] ?? 'application/json' },
    body,
  });
  const content = Buffer.from(await answer.body.arrayBuffer());
  response.writeHead(answer.statusCode, {
    'content-type': String(answer.headers['content-type']),
    'content-length': content.length,
  });
  response.end(content);
});

const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');
serveBench('bare-gateway', { http: (server.address() as AddressInfo).port });
