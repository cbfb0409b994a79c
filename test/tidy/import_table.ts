/** Who may import whom, types included. What is absent is forbidden; a room may always import itself. */
export const IMPORT_TABLE: Readonly<Record<string, readonly string[] | 'any'>> = {
  contract: [],
  config: ['contract'],
  hardware: ['contract'],
  model: ['contract'],
  traces: ['contract'],
  client: ['contract'],
  batching: ['contract'],
  access: ['contract'],
  telemetry: ['contract', 'config'],
  lifecycle: ['contract', 'telemetry'],
  worker: ['batching', 'model', 'hardware', 'lifecycle', 'telemetry', 'contract'],
  gateway: ['batching', 'access', 'lifecycle', 'telemetry', 'contract'],
  jobs: ['lifecycle', 'telemetry', 'contract'],
  slo: ['contract', 'telemetry/catalog'],
  grafana: ['slo', 'telemetry/catalog', 'contract'],
  console: ['traces', 'slo', 'access', 'lifecycle', 'telemetry', 'contract'],
  enricher: ['slo', 'traces', 'lifecycle', 'telemetry', 'contract'],
  loadgen: ['client', 'contract'],
  drill: ['loadgen', 'client', 'contract'],
  cli: ['config', 'slo', 'grafana', 'loadgen', 'drill', 'client', 'contract'],
  bin: 'any',
};

/** Packages that one room alone may import, so that each has one place to change. */
export const PACKAGE_OWNERS: Readonly<Record<string, string>> = {
  'onnxruntime-node': 'model',
  koffi: 'hardware',
  'node:sqlite': 'traces',
  pino: 'telemetry',
  'pino-pretty': 'telemetry',
};

/** Whether a file of `room` may import `target`, a path such as `src/telemetry/catalog.ts`. */
export function mayImport(room: string, target: string): boolean {
  const allowed = IMPORT_TABLE[room];
  if (allowed === undefined) return false;
  if (allowed === 'any') return true;
  return [room, ...allowed].some(
    (place) => target === `src/${place}.ts` || target.startsWith(`src/${place}/`),
  );
}
