/** The protocol's body of every answer that is not a success. */

/** Characters of a server's message that are read; what is longer is cut. */
const MESSAGE_CHARS = 4_096;

export interface ErrorBody {
  readonly error: string;
}

/** @param error its message is sent as it is, so it names fields and never payloads (asVitrineError sees to it) */
export function errorBody(error: { readonly message: string }): ErrorBody {
  return { error: error.message };
}

/** The message in an answer that is not a success; undefined when the body is not the protocol's. */
export function readErrorBody(body: Buffer): string | undefined {
  try {
    const document: unknown = JSON.parse(body.toString('utf8'));
    if (typeof document !== 'object' || document === null || !('error' in document)) return undefined;
    return typeof document.error === 'string' ? document.error.slice(0, MESSAGE_CHARS) : undefined;
  } catch {
    return undefined;
  }
}
