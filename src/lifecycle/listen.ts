/** Opens a service's port: on both loopback addresses for `localhost`, with errors that name the setting to change. */
import type { AddressInfo, Server, Socket } from 'node:net';
import { StartupError } from './startup_error.ts';

/** A server of node:http, node:http2 or node:net. The first has the two methods, the others may lack them. */
export type ListeningServer = Server & {
  closeIdleConnections?(): void;
  closeAllConnections?(): void;
};

export interface ListenOptions {
  /** A name or address. `localhost` listens on 127.0.0.1 and, where the machine has IPv6, on ::1. */
  readonly host: string;
  /** 0 takes a free port, the same on both addresses. */
  readonly port: number;
  /** The variable that names the port, for error messages. */
  readonly setting: string;
  /** The variable that names the host, for error messages. */
  readonly hostSetting?: string;
  /** Several processes listen on this port and the kernel spreads connections over them (SO_REUSEPORT). */
  readonly shared?: boolean;
}

export interface Listener extends AsyncDisposable {
  readonly port: number;
  /** Every address in use, for example `127.0.0.1:8000` and `[::1]:8000`. */
  readonly addresses: readonly string[];
  /** Takes no more connections and lets those in use finish; idle keep-alive connections are closed at once. */
  stopAccepting(): void;
  /**
   * stopAccepting, then waits until every connection is closed.
   * @param graceMs after which connections that are still open are cut; 0 cuts at once
   */
  close(graceMs?: number): Promise<void>;
}

/** Tries of finding a port that is free on both addresses. */
const FREE_PORT_ATTEMPTS_LIMIT = 16;
const LOOPBACK = ['127.0.0.1', '::1'] as const;
/** What a machine without IPv6 answers. */
const NO_SUCH_FAMILY: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT']);
/** Between looks for connections that have become idle while draining, in milliseconds. */
const IDLE_SWEEP_MS = 50;

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

function open(server: ListeningServer, host: string, port: number, shared: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, reusePort: shared, exclusive: true }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function explain(error: unknown, options: ListenOptions, host: string): unknown {
  const { port, setting } = options;
  const hostSetting = options.hostSetting ?? setting.replace(/_[A-Z]+_PORT$|_PORT$/, '_HOST');
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new StartupError(
        'port_taken',
        setting,
        `port ${port} on ${host} is taken by another process; stop it, or set ${setting} to another port`,
        error,
      );
    case 'EACCES':
      return new StartupError(
        'port_forbidden',
        setting,
        `port ${port} on ${host} needs privileges that this process lacks; set ${setting} to 1024 or more`,
        error,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EINVAL':
    case 'EAFNOSUPPORT':
      return new StartupError(
        'address_unavailable',
        hostSetting,
        `this machine has no address ${host}; set ${hostSetting} to one that it has, such as localhost`,
        error,
      );
    default:
      return error;
  }
}

/**
 * Opens the port. Either every address is open when it resolves, or none.
 * @param createServer called once per address, with the same request handler each time
 * @throws StartupError when the port is taken or forbidden, or the machine lacks the address
 */
export async function listenAll(
  createServer: () => ListeningServer,
  options: ListenOptions,
): Promise<Listener> {
  const hosts: readonly string[] = options.host === 'localhost' ? LOOPBACK : [options.host];
  for (let attempt = 1; ; attempt += 1) {
    const servers: ListeningServer[] = [];
    let port = options.port;
    let failure: { error: unknown; host: string } | undefined;
    for (const host of hosts) {
      const server = createServer();
      try {
        port = await open(server, host, port, options.shared ?? false);
        servers.push(server);
      } catch (error) {
        if (host === '::1' && NO_SUCH_FAMILY.has(codeOf(error))) continue;
        failure = { error, host };
        break;
      }
    }
    if (failure === undefined) return listener(servers, port);
    for (const server of servers) server.close();
    const another = options.port === 0 && codeOf(failure.error) === 'EADDRINUSE';
    if (!another || attempt === FREE_PORT_ATTEMPTS_LIMIT) {
      throw explain(failure.error, { ...options, port }, failure.host);
    }
  }
}

/** Sockets of a server that cannot cut its connections itself (node:net, node:http2). */
function trackSockets(server: ListeningServer): () => void {
  if (server.closeAllConnections !== undefined) return () => server.closeAllConnections?.();
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

function listener(servers: readonly ListeningServer[], port: number): Listener {
  const cutters = servers.map(trackSockets);
  const addresses = servers.map((server) => {
    const { address, family } = server.address() as AddressInfo;
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  });
  let closing: Promise<void> | undefined;
  let closed = false;
  const stopAccepting = (): void => {
    closing ??= Promise.all(
      servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    ).then(() => {
      closed = true;
    });
    for (const server of servers) server.closeIdleConnections?.();
  };
  const close = async (graceMs = 0): Promise<void> => {
    stopAccepting();
    if (closed) return;
    // A connection that finishes its request while we drain becomes idle, and would hold us until its client leaves.
    const sweep = setInterval(() => {
      for (const server of servers) server.closeIdleConnections?.();
    }, IDLE_SWEEP_MS);
    const cut = setTimeout(() => {
      for (const cutConnections of cutters) cutConnections();
    }, graceMs);
    try {
      await closing;
    } finally {
      clearInterval(sweep);
      clearTimeout(cut);
    }
  };
  return { port, addresses, stopAccepting, close, [Symbol.asyncDispose]: () => close() };
}

export interface SharedPort {
  /** The port to give to every process; a free one when 0 was asked for. */
  readonly port: number;
  /** False where the platform cannot share a port: then one process has to do. */
  readonly sharable: boolean;
}

/**
 * Makes sure, before several processes share a port, that nobody else has it: sharing would otherwise succeed
 * silently beside an older instance of the same user, and split its traffic.
 * @throws StartupError as listenAll does
 */
export async function claimSharedPort(
  createServer: () => ListeningServer,
  options: Omit<ListenOptions, 'shared'>,
): Promise<SharedPort> {
  const probe = await listenAll(createServer, options);
  const { port } = probe;
  await probe.close();
  try {
    await using _ = await listenAll(createServer, { ...options, port, shared: true });
    return { port, sharable: true };
  } catch (error) {
    const code = codeOf(error instanceof StartupError ? error.cause : error);
    if (code === 'ENOTSUP' || code === 'EINVAL') return { port, sharable: false };
    throw error;
  }
}
