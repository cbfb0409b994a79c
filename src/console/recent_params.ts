/** Parameters of the page's list of queries. */
import { VitrineError } from '../contract/errors.ts';
import type { RecentFilters } from '../traces/store.ts';

const RECENT_LIMIT = 200;
const TEXT_LIMIT_CHARS = 256;

function whole(parameters: URLSearchParams, name: string, max: number): number | undefined {
  const text = parameters.get(name);
  if (text === null || text === '') return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw new VitrineError('invalid_request', `${name} must be a whole number from 0 to ${max}`, {
      field: name,
    });
  }
  return value;
}

function text(parameters: URLSearchParams, name: string): string | undefined {
  const value = parameters.get(name);
  if (value === null || value === '') return undefined;
  if (value.length > TEXT_LIMIT_CHARS) {
    throw new VitrineError('invalid_request', `${name} may have at most ${TEXT_LIMIT_CHARS} characters`, {
      field: name,
    });
  }
  return value;
}

/** @throws VitrineError invalid_request, naming the parameter */
export function readRecentParameters(parameters: URLSearchParams): { limit: number; filters: RecentFilters } {
  const error = text(parameters, 'error');
  if (error !== undefined && error !== 'true' && error !== 'false') {
    throw new VitrineError('invalid_request', 'error must be true or false', { field: 'error' });
  }
  const filters: Record<string, string | number | boolean | undefined> = {
    service: text(parameters, 'service'),
    operation: text(parameters, 'operation'),
    model: text(parameters, 'model'),
    outcome: text(parameters, 'outcome'),
    error: error === undefined ? undefined : error === 'true',
    minDurationUs: whole(parameters, 'minDurationUs', 86_400_000_000),
    startMinUs: whole(parameters, 'startMinUs', Number.MAX_SAFE_INTEGER),
    startMaxUs: whole(parameters, 'startMaxUs', Number.MAX_SAFE_INTEGER),
  };
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  return { limit: whole(parameters, 'limit', RECENT_LIMIT) ?? 50, filters: Object.fromEntries(given) };
}
