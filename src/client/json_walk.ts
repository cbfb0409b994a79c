/** Steps through a JSON answer of unknown shape: what is not there, or is something else, reads as empty. */

export type JsonObject = Readonly<Record<string, unknown>>;

export function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function objectsOf(value: unknown): readonly JsonObject[] {
  return listOf(value).map(objectOf);
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A whole number that JSON may give as a number or, as protobuf's JSON form does for 64 bits, as a string. */
export function bigintOf(value: unknown): bigint {
  if (typeof value === 'number' && Number.isFinite(value)) return BigInt(Math.trunc(value));
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : 0n;
}
