/** `vitrine up`: starts console, workers and gateways, watches them, and ends them in order. */
import { createServer } from 'node:http';
import { enableCompileCache } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../client/client.ts';
import type { Config } from '../config/settings.ts';
import { claimSharedPort } from '../lifecycle/listen.ts';
import { EXIT_CONFIG } from '../lifecycle/service_process.ts';
import { StartupError } from '../lifecycle/startup_error.ts';
import { createSupervision, type Supervision } from '../lifecycle/supervision.ts';
import { superviseUntilEnd } from '../lifecycle/supervisor_process.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { configOrExit } from './config_or_exit.ts';
import { type ProcessListOptions, processList } from './process_list.ts';
import { formatWelcome, modelsToTry, welcome } from './welcome.ts';

/** After so long without being ready the log says who is waited for. */
const PATIENCE_MS = 10_000;
const READY_CHECK_INTERVAL_MS = 50;
const READY_CHECKS_LIMIT = 200;

// For our children, whose environment names the folder: compiled code is kept between starts.
enableCompileCache();
const config = configOrExit();
const terminal = process.stdout.isTTY && config.telemetry.logFormat !== 'json';
const log = await createLogger({
  level: config.telemetry.logLevel,
  format: config.telemetry.logFormat,
  serviceName: 'vitrine-supervisor',
  instanceId: 'supervisor',
});

/** Several gateways share one port; where a platform cannot, one has to do. */
async function gatewayPlaces({ gateway }: Config): Promise<ProcessListOptions> {
  if (gateway.count === 1) return { gatewayPort: gateway.httpPort, gatewayCount: 1 };
  const { port, sharable } = await claimSharedPort(() => createServer(), {
    host: gateway.host,
    port: gateway.httpPort,
    setting: 'VITRINE_GATEWAY_HTTP_PORT',
    hostSetting: 'VITRINE_GATEWAY_HOST',
  });
  if (!sharable) {
    log.warn('this platform cannot share a port between processes; one gateway is started', {
      setting: 'VITRINE_GATEWAY_COUNT',
    });
  }
  return { gatewayPort: port, gatewayCount: sharable ? gateway.count : 1 };
}

async function greet(supervision: Supervision, log: Logger): Promise<void> {
  const gateway = supervision.processes.find(({ name, state }) => name === 'gateway' && state === 'ready');
  if (gateway === undefined) return;
  await using client = createClient({ url: `http://localhost:${gateway.ports?.http}` });
  // Gateways learn of the workers a moment after we do.
  for (let check = 0; check < READY_CHECKS_LIMIT; check += 1) {
    if (await client.serverReady().catch(() => false)) break;
    await sleep(READY_CHECK_INTERVAL_MS);
  }
  const peers = supervision.processes.flatMap(({ name, index, ports, state }) =>
    state === 'ready' && ports !== undefined ? [{ name, index, ports }] : [],
  );
  const welcomed = welcome(peers, await modelsToTry(client));
  const seconds = performance.now() / 1000;
  if (terminal) process.stdout.write(formatWelcome(welcomed, seconds));
  else {
    const places = Object.fromEntries(welcomed.places.map(({ what, where }) => [what, where]));
    log.info('vitrine is ready', { seconds: Number(seconds.toFixed(2)), ...places, try: welcomed.tryThis });
  }
}

try {
  const specs = processList(config, await gatewayPlaces(config));
  const settled = Promise.withResolvers<void>();
  const supervision = createSupervision(specs, config.lifecycle, {
    log,
    changed: () => {
      // The first changes come while the supervision is being made.
      queueMicrotask(() => {
        const over = ({ state, ended }: Supervision['processes'][number]): boolean =>
          state === 'ready' || ended;
        if (supervision.processes.every(over)) settled.resolve();
      });
    },
  });
  const patience = setTimeout(() => {
    const waiting = supervision.processes.filter(({ state }) => state !== 'ready').map(({ label }) => label);
    log.warn('still starting', { waiting });
  }, PATIENCE_MS);
  settled.promise
    .then(() => {
      clearTimeout(patience);
      return greet(supervision, log);
    })
    .catch((error: unknown) => log.warn('the welcome failed', { error }));
  process.exitCode = await superviseUntilEnd(supervision, log);
  process.exit();
} catch (error) {
  if (!(error instanceof StartupError)) throw error;
  log.error(error.message, { code: error.code, setting: error.setting });
  process.exit(EXIT_CONFIG);
}
