/** The gateway's own errors: each names the field and the fix. */
import { VitrineError } from '../contract/errors.ts';
import { nearestName } from '../contract/nearest_name.ts';
import type { IndexedWorker, ModelRoute, ModelTable } from './model_table.ts';

/** Names listed in one message. */
const LISTED_LIMIT = 20;
const QUOTED_LIMIT_CHARS = 100;
/** Overload passes as fast as queries do; a second is long enough not to come back into it. */
const OVERLOAD_RETRY_S = 1;

function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_LIMIT_CHARS ? `${text.slice(0, QUOTED_LIMIT_CHARS)}...` : text);
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, LISTED_LIMIT).join(', ');
  return names.length > LISTED_LIMIT ? `${shown} and ${names.length - LISTED_LIMIT} more` : shown;
}

/** @param version empty when none was asked for */
export function unknownName<W extends IndexedWorker>(
  table: ModelTable<W>,
  model: string,
  version: string,
): VitrineError {
  const versions = table.versions(model);
  if (table.find(model, '') !== undefined && version !== '') {
    return new VitrineError(
      'unknown_version',
      `model ${quote(model)} has no version ${quote(version)}; it has ${list(versions)}`,
      { field: 'version' },
    );
  }
  const names = table.names();
  if (names.length === 0) {
    return new VitrineError(
      'unknown_model',
      `there is no model ${quote(model)}; the model repository is empty`,
      { field: 'model' },
    );
  }
  const near = nearestName(model, names);
  return new VitrineError(
    'unknown_model',
    `there is no model ${quote(model)}${near === undefined ? '' : `, did you mean ${near}`}; there is ${list(names)}`,
    { field: 'model' },
  );
}

function modelNotReady(route: ModelRoute): VitrineError {
  const what = `model ${quote(route.name)}${route.version === '' ? '' : ` version ${route.version}`}`;
  return new VitrineError(
    'model_not_ready',
    `${what} is not ready: ${route.unavailableBecause ?? 'it loads'}`,
    {
      field: 'model',
      retryAfterS: OVERLOAD_RETRY_S,
    },
  );
}

/** Why no worker will ever serve this, as things stand; undefined while waiting may help. */
export function whyNotWait<W extends IndexedWorker>(
  table: ModelTable<W>,
  model: string,
  version: string,
): VitrineError | undefined {
  const route = table.find(model, version);
  if (route === undefined) return table.seen ? unknownName(table, model, version) : undefined;
  return route.unavailableBecause === undefined ? undefined : modelNotReady(route);
}

export function noWorker(model: string): VitrineError {
  return new VitrineError('no_worker', `no worker that serves ${quote(model)} is ready; try again shortly`, {
    retryAfterS: OVERLOAD_RETRY_S,
  });
}

export function overloaded(what: string): VitrineError {
  return new VitrineError('overloaded', `the gateway is full: ${what}; try again shortly`, {
    retryAfterS: OVERLOAD_RETRY_S,
  });
}

export function tooLarge(limitBytes: number): VitrineError {
  return new VitrineError(
    'payload_too_large',
    `the body is larger than ${limitBytes} bytes; send less per query, or raise VITRINE_GATEWAY_BODY_LIMIT_BYTES`,
    { field: 'content-length' },
  );
}

export function workerLost(): VitrineError {
  return new VitrineError('worker_lost', 'the connection to the worker broke, and so did the second try', {
    retryAfterS: OVERLOAD_RETRY_S,
  });
}

export function badWorkerAnswer(): VitrineError {
  return new VitrineError('bad_worker_answer', 'the worker sent no answer that can be passed on');
}

export function quarantined(leftMs: number): VitrineError {
  return new VitrineError(
    'quarantined',
    'this body was with two workers when they crashed; it is refused for a while so that it takes down no more',
    { field: 'body', retryAfterS: Math.max(1, leftMs / 1000) },
  );
}

export function deadlineExceeded(timeoutMs: number, during: string): VitrineError {
  return new VitrineError('deadline_exceeded', `the deadline of ${timeoutMs} ms passed ${during}`);
}

export function cancelled(): VitrineError {
  return new VitrineError('cancelled', 'the client went away');
}
