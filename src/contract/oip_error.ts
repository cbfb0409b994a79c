/** The protocol's body of every answer that is not a success. */

export interface ErrorBody {
  readonly error: string;
}

/** @param error its message is sent as it is, so it names fields and never payloads (asVitrineError sees to it) */
export function errorBody(error: { readonly message: string }): ErrorBody {
  return { error: error.message };
}
