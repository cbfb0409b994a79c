/** `vitrine up`: runs console, workers and gateways on this machine until it is stopped. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { readArguments, UsageError } from './command.ts';

export const summary = 'start the service: gateway, workers and console';

export const help = `Usage: vitrine up

Starts every process of the service on this machine, restarts what dies, and says
where everything listens and what to try. Ctrl-C finishes what is in flight and
stops; a second Ctrl-C stops at once. "npm start" does the same.

Every setting is an environment variable or a line in vitrine.yaml:
docs/configuration.md lists them. Some that one meets first:

  VITRINE_GATEWAY_HTTP_PORT=9000       another port for queries
  VITRINE_WORKER_COUNT=4               more worker processes
  VITRINE_WORKER_MODEL_REPOSITORY=dir  another folder of models
  VITRINE_CONSOLE_ENABLED=false        no console: send telemetry elsewhere with
                                       OTEL_EXPORTER_OTLP_ENDPOINT

Example:

  VITRINE_WORKER_COUNT=2 npx vitrine up`;

export async function run(argv: readonly string[]): Promise<number> {
  const { positionals } = readArguments(argv, { options: {}, allowPositionals: true });
  if (positionals.length > 0) throw new UsageError('up takes no argument; settings are variables');
  const supervisor = fork(new URL('../bin/supervisor.ts', import.meta.url).pathname, [], {
    stdio: 'inherit',
  });
  // A terminal signals the whole process group; from elsewhere we are the only address.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => supervisor.kill(signal));
  }
  // Whoever started us with a channel is gone: so is the reason to run.
  process.on('disconnect', () => supervisor.kill('SIGTERM'));
  const [code, signal] = (await once(supervisor, 'exit')) as [number | null, NodeJS.Signals | null];
  return code ?? 128 + (signal === null ? 0 : (constants.signals[signal] ?? 0));
}
