/** An engine that tests move by hand, and receivers of real HTTP. */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { AlertEvent, AlertInstance } from '../../contract/alerts.ts';
import type { Log } from '../../contract/log.ts';
import type { AlertRule } from '../../slo/alert.ts';
import type { PlannedRule } from '../../slo/evaluator_plan.ts';
import { AlertEngine } from '../evaluator/alert_engine.ts';
import type { SampleSeries } from '../evaluator/sample_series.ts';
import { SampleStore } from '../evaluator/sample_store.ts';

/** Starts at a full hour. */
export const START_MS = Date.UTC(2026, 0, 2, 3);

export class FakeClock {
  #passedMs = 0;
  readonly wallMs = (): number => START_MS + this.#passedMs;
  readonly monotonicMs = (): number => this.#passedMs;
  pass(seconds: number): void {
    this.#passedMs += seconds * 1000;
  }
}

export interface LogLine {
  readonly message: string;
  readonly fields: unknown;
}

export function recordingLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const add = (message: string, fields?: unknown): void => {
    lines.push({ message, fields });
  };
  return { lines, debug: add, info: add, warn: add, error: add };
}

interface TestRule {
  readonly name: string;
  readonly severity?: AlertRule['severity'];
  readonly inhibits?: AlertRule['inhibits'];
  readonly always?: boolean;
}

/** Fires for each series of `up` whose job is the rule's name, while it is 0. */
function planned({ name, severity = 'page', inhibits = [], always = false }: TestRule): PlannedRule {
  const rule: AlertRule = {
    name,
    severity,
    expression: always
      ? { kind: 'always' }
      : {
          kind: 'threshold',
          measure: {
            kind: 'level',
            metric: 'up',
            where: [{ label: 'job', is: 'in', values: [name] }],
            over: undefined,
            aggregate: 'max',
            by: ['instance', 'model'],
          },
          op: '<',
          threshold: 1,
          guards: [],
        },
    forS: 0,
    keepFiringForS: 0,
    labels: { system: 'vitrine' },
    summary: '{instance} is slow',
    description: 'Queries of {model} on {instance} are slow.',
    valueUnit: 'number',
    runbook: 'slow',
    dashboard: { uid: 'vitrine-workers', variables: { instance: 'instance' } },
    place: 'worker',
    drill: { noDrill: 'made for tests' },
    inhibits,
  };
  return { id: name, rule, labels: { alertname: name, severity, system: 'vitrine' }, promql: 'up < 1' };
}

/** A real engine over real samples; what fires is said by the test. */
export class StagedEngine {
  readonly engine: AlertEngine;
  readonly events: AlertEvent[] = [];
  readonly #clock: FakeClock;
  readonly #samples = new SampleStore({
    needs: [{ metric: 'up', where: [], reachS: 7200, stepS: 15 }],
    timeScale: 1,
    seriesLimit: 1000,
  });
  readonly #values = new Map<SampleSeries, number>();

  constructor(rules: readonly TestRule[], clock: FakeClock, log: Log) {
    this.#clock = clock;
    const links = { runbooks: 'https://docs.example/runbooks', dashboards: 'https://grafana.example' };
    this.engine = new AlertEngine({ rules: rules.map(planned), links, lookbackS: 86_400 }, log, clock.wallMs);
    this.engine.onChange((_, event) => this.events.push(event));
  }

  /** From now on the rule holds for this instance, or no longer; takes effect with the next evaluation. */
  set(rule: string, holds: boolean, instance = 'worker-1', model = 'langid'): void {
    const series = this.#samples.seriesOf('up', { job: rule, instance, model });
    if (series !== undefined) this.#values.set(series, holds ? 0 : 1);
  }

  evaluate(): void {
    const nowMs = this.#clock.wallMs();
    this.#samples.nowMs = nowMs;
    for (const [series, value] of this.#values) series.append(nowMs, value);
    this.engine.evaluate(this.#samples, nowMs);
  }

  /** The active alert of a rule and an instance. */
  alert(rule: string, instance = 'worker-1'): AlertInstance {
    const found = this.engine
      .active()
      .find(({ name, labels }) => name === rule && labels.instance === instance);
    if (found === undefined) throw new Error(`${rule} is not active for ${instance}`);
    return found;
  }
}

type Answering = (response: ServerResponse, request: IncomingMessage) => void;

export const ok: Answering = (response) => response.end('ok');

/** A receiver on a free port that keeps every body, and answers as told. */
export async function startReceiver(answer: Answering = ok) {
  const bodies: string[] = [];
  const arrivals = new EventEmitter();
  const state = { answer };
  const server = createServer(async (request, response) => {
    bodies.push(await text(request));
    arrivals.emit('body');
    state.answer(response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/services/T0/SECRET-PATH?key=SECRET-QUERY`,
    bodies,
    arrivals,
    /** @param next how it answers from now on */
    answer(next: Answering): void {
      state.answer = next;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface AlertmanagerBody {
  readonly status: string;
  readonly groupKey: string;
  readonly alerts: readonly {
    readonly status: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly startsAt: string;
    readonly endsAt: string;
    readonly fingerprint: string;
  }[];
}

export function parsed(body: string | undefined): AlertmanagerBody {
  return JSON.parse(body ?? '') as AlertmanagerBody;
}

/** `firing worker-1, resolved worker-2`: what a body tells. */
export function told(body: string | undefined): string {
  return parsed(body)
    .alerts.map(({ status, labels }) => `${status} ${labels.instance}`)
    .join(', ');
}
