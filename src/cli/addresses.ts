/** Where the commands look for a running service: as the configuration says, unless an option says otherwise. */
import { loadConfig } from '../config/load.ts';
import { UsageError } from './command.ts';

/** A host that one listens on, as one that can be called. */
function callable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

function checked(option: string, url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError(`--${option} takes an address such as http://localhost:8000`);
  }
  return url;
}

/** @param given the value of `--url`, when there is one */
export function gatewayUrl(given: string | undefined): string {
  if (given !== undefined) return checked('url', given);
  const { gateway } = loadConfig();
  return `http://${callable(gateway.host)}:${gateway.httpPort}`;
}

/** @param given the value of `--console`, when there is one */
export function consoleUrl(given: string | undefined): string {
  if (given !== undefined) return checked('console', given);
  const { console } = loadConfig();
  return `http://${callable(console.host)}:${console.httpPort}`;
}
