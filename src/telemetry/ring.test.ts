import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { RingReader, RingWriter, ringBuffer } from './ring.ts';

function record(text: string): Buffer {
  return Buffer.from(text);
}

describe('ring', () => {
  test('gives records back in order, across the end of the memory, whatever their length', () => {
    const shared = ringBuffer(64 * 1024);
    const writer = new RingWriter(shared);
    const reader = new RingReader(shared);
    let written = 0;
    let read = 0;
    for (let round = 0; round < 5000; round += 1) {
      const text = `${written}:${'x'.repeat((written * 37) % 700)}`;
      if (writer.write(record(text), text.length)) written += 1;
      if (round % 3 === 0) {
        for (let next = reader.next(); next !== undefined; next = reader.next()) {
          expect(Number(next.toString().split(':')[0])).toBe(read);
          expect(next.length).toBe(`${read}:`.length + ((read * 37) % 700));
          read += 1;
        }
        reader.commit();
      }
    }
    for (let next = reader.next(); next !== undefined; next = reader.next()) read += 1;
    expect(read).toBe(written);
    expect(written).toBe(5000);
  });

  test('refuses what does not fit, and takes it once the reader has freed room', () => {
    const shared = ringBuffer(64 * 1024);
    const writer = new RingWriter(shared);
    const reader = new RingReader(shared);
    const body = Buffer.alloc(1000, 1);
    let accepted = 0;
    while (writer.write(body, body.length)) accepted += 1;
    expect(accepted).toBe(Math.floor((64 * 1024) / 1004));
    expect(writer.usedBytes()).toBeLessThanOrEqual(writer.capacityBytes);
    expect(reader.next()).toBeDefined();
    expect(writer.write(body, body.length)).toBe(false);
    reader.commit();
    expect(writer.write(body, body.length)).toBe(true);
  });

  test('what a reader took and did not commit, its successor reads again', () => {
    const shared = ringBuffer(64 * 1024);
    const writer = new RingWriter(shared);
    for (const text of ['a', 'b', 'c']) writer.write(record(text), 1);
    const first = new RingReader(shared);
    first.next();
    first.commit();
    first.next();
    const second = new RingReader(shared);
    expect(second.next()?.toString()).toBe('b');
    expect(second.next()?.toString()).toBe('c');
    expect(second.next()).toBeUndefined();
  });

  test('positions survive their 32 bits', () => {
    const shared = ringBuffer(64 * 1024);
    const ints = new Int32Array(shared, 0, 2);
    const near = (2 ** 32 - 4096) | 0;
    ints[0] = near;
    ints[1] = near;
    const writer = new RingWriter(shared);
    const reader = new RingReader(shared);
    const body = Buffer.alloc(500, 7);
    for (let round = 0; round < 100; round += 1) {
      expect(writer.write(body, body.length)).toBe(true);
      expect(reader.next()?.length).toBe(500);
      reader.commit();
      expect(writer.usedBytes()).toBe(0);
    }
  });

  test('another thread reads what this one writes', async () => {
    const shared = ringBuffer(64 * 1024);
    const writer = new RingWriter(shared);
    const url = new URL('./ring.ts', import.meta.url).href;
    const thread = new Worker(
      `import { workerData, parentPort } from 'node:worker_threads';
       import { RingReader } from ${JSON.stringify(url)};
       const reader = new RingReader(workerData);
       let expected = 0, wrong = 0;
       while (expected < 20000) {
         const next = reader.next();
         if (next === undefined) continue;
         if (next.readUInt32LE(0) !== expected || next.length !== 4 + (expected % 300)) wrong += 1;
         expected += 1;
         reader.commit();
       }
       parentPort.postMessage(wrong);`,
      { eval: true, workerData: shared, execArgv: ['--input-type=module'] },
    );
    const done = once(thread, 'message');
    const body = Buffer.alloc(304);
    for (let index = 0; index < 20_000; ) {
      body.writeUInt32LE(index, 0);
      if (writer.write(body, 4 + (index % 300))) index += 1;
      else await new Promise(setImmediate);
    }
    expect((await done)[0]).toBe(0);
  });
});
