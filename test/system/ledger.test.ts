/** The invariants of the ledger, asserted on the running service through its public interfaces. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Trace, TraceSpan } from '../../src/client/trace.ts';
import { ATTR, stageAttribute } from '../../src/contract/attributes.ts';
import type { FaultPoint } from '../../src/contract/fault_points.ts';
import { STAGES } from '../../src/contract/stages.ts';
import { type Service, startService } from './service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({ workers: 1 });
  // The first queries pay for compiled code; what is asserted below are the later ones.
  for (let index = 0; index < 20; index += 1) await service.client.text('langid', `Guten Morgen ${index}`);
}, 60_000);
afterAll(async () => service?.[Symbol.asyncDispose]());

const DELAY_MS = 50;
/** Scheduling on a busy machine may add to a stage; a stage that was not delayed stays well below the delay. */
const OTHER_LIMIT_MS = DELAY_MS * 0.6;

function server(trace: Trace): TraceSpan {
  const found = trace.spans.find((span) => span.service === 'vitrine-gateway' && span.kind === 'server');
  if (found === undefined) throw new Error('the trace has no gateway span');
  return found;
}

function stagesOf(trace: Trace): Map<string, number> {
  const { attributes } = server(trace);
  return new Map(
    STAGES.flatMap((stage) => {
      const value = attributes.get(stageAttribute(stage));
      return typeof value === 'number' ? [[stage, value] as const] : [];
    }),
  );
}

/** The whole trace: gateway, attempt and worker parts travel apart. */
function whole(traceId: string | undefined): Promise<Trace> {
  return service.client.trace(traceId ?? '', service.consoleUrl, {
    waitMs: 10_000,
    until: (trace) =>
      trace.spans.some((span) => span.service === 'vitrine-worker') &&
      trace.spans.some((span) => span.service === 'vitrine-gateway'),
  });
}

/** Queries until one met no stall of the machine's own; each query is judged by its own stages. */
async function growsExactly(stage: string, query: () => Promise<string | undefined>): Promise<void> {
  const seen: string[] = [];
  for (let attempt = 0; attempt < 15; attempt += 1) {
    const stages = stagesOf(await whole(await query()));
    const grown = stages.get(stage) ?? 0;
    expect(grown).toBeGreaterThanOrEqual(DELAY_MS - 1);
    const others = [...stages].filter(([name, ms]) => name !== stage && ms > OTHER_LIMIT_MS);
    if (others.length === 0) return;
    seen.push(others.map(([name, ms]) => `${name} ${ms}`).join(', '));
  }
  throw new Error(`${stage} was delayed, and each time others grew too: ${seen.join(' | ')}`);
}

const text = async (): Promise<string | undefined> =>
  (await service.client.text('langid', 'Wo ist der Bahnhof?')).traceId;

describe('50 ms at a boundary grow exactly that stage', () => {
  const points: readonly [FaultPoint, string, string][] = [
    ['admit', 'gateway-0', 'admit'],
    ['route', 'gateway-0', 'route'],
    ['attempt', 'gateway-0', 'network'],
    ['worker_network', 'gateway-0', 'network'],
    ['respond', 'gateway-0', 'respond'],
    ['worker_receive', 'worker-1', 'worker_receive'],
    ['preprocess', 'worker-1', 'preprocess'],
    ['queue', 'worker-1', 'queue'],
    ['batch_wait', 'worker-1', 'batch_wait'],
    ['dispatch', 'worker-1', 'dispatch'],
    ['compute', 'worker-1', 'compute'],
    ['postprocess', 'worker-1', 'postprocess'],
    ['worker_respond', 'worker-1', 'worker_respond'],
  ];
  test.each(points)('%s in %s grows %s', async (point, process, stage) => {
    await service.fault(process, point, { delayMs: DELAY_MS, leaseMs: 20_000 });
    try {
      await growsExactly(stage, text);
    } finally {
      await service.liftFault(process, point);
    }
  });

  test('a client that sends its body late grows receive', async () => {
    await growsExactly('receive', async () => {
      const body = JSON.stringify({
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['hello there'] }],
      });
      const { hostname, port } = new URL(service.url);
      return new Promise<string | undefined>((resolve, reject) => {
        const socket = connect(Number(port), hostname, () => {
          socket.write(
            `POST /v2/models/langid/infer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
              `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`,
          );
          setTimeout(() => socket.write(body), DELAY_MS + 5);
        });
        let answer = '';
        socket.on('data', (chunk: Buffer) => {
          answer += chunk.toString('latin1');
        });
        socket.on('end', () => resolve(/x-trace-id: ([0-9a-f]{32})/i.exec(answer)?.[1]));
        socket.on('error', reject);
      });
    });
  });
});

describe('over a mixed load', () => {
  const sent = { ok: 0, clientError: 0, notFound: 0 };
  const traceIds: string[] = [];
  let before: Map<string, number>;

  beforeAll(async () => {
    before = await service.scrape();
    const digits = {
      name: 'image',
      datatype: 'FP32' as const,
      shape: [1, 64],
      data: new Float32Array(64).fill(3),
    };
    const jobs: (() => Promise<void>)[] = [];
    for (let index = 0; index < 600; index += 1) {
      jobs.push(async () => {
        const result =
          index % 3 === 0
            ? await service.client.infer('digits', { inputs: [digits] })
            : await service.client.text('langid', 'ein Satz '.repeat(1 + (index % 20)));
        sent.ok += 1;
        traceIds.push(result.traceId ?? '');
      });
      if (index % 20 === 0) {
        jobs.push(async () => {
          await expect(
            service.client.infer('digits', { inputs: [{ ...digits, name: 'picture' }] }),
          ).rejects.toThrow();
          sent.clientError += 1;
        });
        jobs.push(async () => {
          await expect(service.client.infer('nowhere', { inputs: [digits] })).rejects.toThrow();
          sent.notFound += 1;
        });
      }
    }
    let next = 0;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) await job();
      }),
    );
  }, 120_000);

  function total(samples: Map<string, number>, name: string, ...having: string[]): number {
    let sum = 0;
    for (const [sample, value] of samples) {
      if (sample.startsWith(`${name}{`) && having.every((label) => sample.includes(label))) sum += value;
    }
    return sum;
  }

  test('begun = outcomes + in flight, and outcomes are what clients saw, exactly', async () => {
    const after = await service.scrape();
    const grown = (name: string, ...having: string[]): number =>
      total(after, name, ...having) - total(before, name, ...having);
    expect(grown('inference_requests_total', 'outcome="ok"')).toBe(sent.ok);
    expect(grown('inference_requests_total', 'outcome="client_error"')).toBe(
      sent.clientError + sent.notFound,
    );
    expect(grown('inference_requests_begun_total')).toBe(sent.ok + sent.clientError + sent.notFound);
    expect(grown('inference_requests_total', 'model="unknown"')).toBe(sent.notFound);
    expect(total(after, 'inference_in_flight_requests')).toBe(0);
  });

  test('sums over stages add up to the sum of durations', async () => {
    const samples = await service.scrape();
    for (const model of ['model="langid"', 'model="digits"']) {
      const stages = total(samples, 'inference_stage_duration_seconds_sum', model);
      const durations = total(samples, 'inference_request_duration_seconds_sum', model);
      expect(Math.abs(stages - durations)).toBeLessThanOrEqual(durations * 1e-6 + 1e-6);
    }
  });

  test('unattributed stays under the larger of 1 % and 50 us at p99', async () => {
    const traces: Trace[] = [];
    for (const id of traceIds.slice(0, 300)) traces.push(await whole(id));
    const over = traces.filter((trace) => {
      const { attributes } = server(trace);
      const totalMs = Number(attributes.get(ATTR.totalMs));
      return Math.abs(Number(attributes.get(ATTR.unattributedMs))) > Math.max(totalMs * 0.01, 0.05);
    });
    expect(over.length).toBeLessThanOrEqual(3);
    for (const trace of traces) {
      const stages = [...stagesOf(trace).values()].reduce((sum, ms) => sum + ms, 0);
      const { attributes } = server(trace);
      expect(stages + Number(attributes.get(ATTR.unattributedMs))).toBeCloseTo(
        Number(attributes.get(ATTR.totalMs)),
        3,
      );
    }
  });

  test('no network time is negative', async () => {
    const samples = await service.scrape();
    expect(total(samples, 'vitrine_ledger_violations_total', 'kind="network"')).toBe(0);
  });

  test('every kept trace is one connected subtree, linked both ways with its batch', async () => {
    for (const id of traceIds.slice(0, 100)) {
      const trace = await service.client.trace(id, service.consoleUrl, {
        waitMs: 10_000,
        until: ({ spans }) =>
          ['infer', 'attempt', 'work'].every((name) => spans.some((span) => span.name.startsWith(name))),
      });
      const ids = new Set(trace.spans.map((span) => span.spanId));
      const roots = trace.spans.filter((span) => !ids.has(span.parentSpanId));
      expect(roots.map((span) => span.parentSpanId)).toEqual(['']);
      const work = trace.spans.find((span) => span.service === 'vitrine-worker' && span.kind === 'server');
      const link = work?.links[0];
      expect(link).toBeDefined();
      const batch = await service.client.trace(link?.traceId ?? '', service.consoleUrl, { waitMs: 10_000 });
      expect(batch.spans[0]?.spanId).toBe(link?.spanId);
      expect(batch.spans[0]?.links.map((each) => each.spanId)).toContain(work?.spanId);
    }
  }, 60_000);

  test('every exemplar resolves to a stored trace, since nothing was dropped', async () => {
    const exemplars = [
      ...(await service.scrapeText()).matchAll(/# \{trace_id="([0-9a-f]{32})",span_id="([0-9a-f]{16})"\}/g),
    ];
    expect(exemplars.length).toBeGreaterThan(20);
    const unique = new Map(exemplars.map(([, traceId, spanId]) => [traceId as string, spanId as string]));
    for (const [traceId, spanId] of unique) {
      const trace = await service.client.trace(traceId, service.consoleUrl, { waitMs: 10_000 });
      expect(trace.spans.map((span) => span.spanId)).toContain(spanId);
    }
    const samples = await service.scrape();
    expect(total(samples, 'vitrine_telemetry_records_total', 'outcome="dropped"')).toBe(0);
    expect(total(samples, 'vitrine_telemetry_records_total', 'outcome="shed"')).toBe(0);
  });
});
