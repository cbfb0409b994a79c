/** What becomes of a body that is refused before all of it has arrived. */
import type { IncomingMessage } from 'node:http';

/** How long the rest of a refused body is read and dropped. */
const LINGER_MS = 1000;

/**
 * Lets the client read the answer that is about to be sent. Closing at once would reset the connection under
 * a client that still sends, and its answer with it; reading on for ever would serve whoever sends for ever.
 * So what comes is dropped for a while, and a connection on which it still comes is then cut.
 */
export function lingerThenCut(request: IncomingMessage): void {
  request.resume();
  const { socket } = request;
  const timer = setTimeout(() => {
    if (!request.complete) socket.destroy();
  }, LINGER_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
}
