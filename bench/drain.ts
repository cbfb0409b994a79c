/** A receiver of OTLP that reads every byte and keeps none: what exporting costs without what receiving costs. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveBench } from './child.ts';

let bytes = 0;
let requests = 0;
const server = createServer((request, response) => {
  requests += 1;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
});
server.listen(0, '127.0.0.1', () => {
  serveBench('drain', { http: (server.address() as AddressInfo).port }, async () => ({ bytes, requests }));
});
