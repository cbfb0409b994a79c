import { describe, expect, test } from 'vitest';
import type { RepositoryIndexEntry } from '../contract/repository_index.ts';
import { type IndexedWorker, ModelTable } from './model_table.ts';
import { unknownName } from './refusals.ts';

type Entry = Partial<RepositoryIndexEntry>;

/** Ready with version 1 of m, where nothing else is said. */
function worker(...given: Entry[]): IndexedWorker {
  const entries = given.length === 0 ? [{}] : given;
  return {
    entries: entries.map((entry) => ({ name: 'm', version: '1', state: 'READY', reason: '', ...entry })),
  };
}

function tableOf(...workers: IndexedWorker[]): ModelTable<IndexedWorker> {
  const table = new ModelTable<IndexedWorker>();
  table.rebuild(workers);
  return table;
}

describe('model table', () => {
  test('nothing is unknown before a worker was seen', () => {
    const table = tableOf({ entries: undefined });
    expect(table.seen).toBe(false);
    table.rebuild([worker()]);
    expect(table.seen).toBe(true);
  });

  test('a model is served where it is ready, by version or any', () => {
    const one = worker({}, { version: '2', state: 'LOADING' });
    const two = worker({ version: '2' });
    const table = tableOf(one, two);
    expect(table.find('m', '')?.workers).toEqual([one, two]);
    expect(table.find('m', '1')?.workers).toEqual([one]);
    expect(table.find('m', '2')?.workers).toEqual([two]);
    expect(table.find('m', '3')).toBeUndefined();
    expect(table.find('n', '')).toBeUndefined();
  });

  test('a worker with two ready versions is one worker for the model', () => {
    const one = worker({}, { version: '2' });
    expect(tableOf(one).find('m', '')?.workers).toEqual([one]);
  });

  test('the reason of a failed load shows only while nobody may serve it', () => {
    const failed: Entry = { state: 'UNAVAILABLE', reason: 'unsupported operator Foo' };
    expect(tableOf(worker(failed)).find('m', '')?.unavailableBecause).toBe('unsupported operator Foo');
    expect(
      tableOf(worker(failed), worker({ state: 'LOADING' })).find('m', '')?.unavailableBecause,
    ).toBeUndefined();
    expect(tableOf(worker(failed), worker()).find('m', '')?.unavailableBecause).toBeUndefined();
    expect(tableOf(worker(failed, { version: '2' })).find('m', '1')?.unavailableBecause).toBe(
      'unsupported operator Foo',
    );
  });

  test('the deadline is that of the newest ready version, by number', () => {
    const table = tableOf(
      worker(
        { version: '9', default_timeout_ms: 9 },
        { version: '10', default_timeout_ms: 10 },
        { version: '11', default_timeout_ms: 11, state: 'LOADING' },
      ),
    );
    expect(table.find('m', '')?.defaultTimeoutMs).toBe(10);
    expect(table.find('m', '9')?.defaultTimeoutMs).toBe(9);
    expect(table.versions('m')).toEqual(['9', '10', '11']);
  });

  test('a route stays the same object through changes, and is empty when its name is gone', () => {
    const table = tableOf(worker());
    const route = table.find('m', '');
    const version = table.find('m', '1');
    const later = worker({}, { name: 'n' });
    table.rebuild([later]);
    expect(table.find('m', '')).toBe(route);
    expect(route?.workers).toEqual([later]);
    table.rebuild([worker({ name: 'n' })]);
    expect(table.find('m', '')).toBeUndefined();
    expect(route?.workers).toEqual([]);
    expect(version?.workers).toEqual([]);
  });

  test('paths carry names safely', () => {
    const route = tableOf(worker({ name: 'a b/c?#\r\n' })).find('a b/c?#\r\n', '1');
    expect(route?.inferPath).toBe('/v2/models/a%20b%2Fc%3F%23%0D%0A/versions/1/infer');
  });

  test('the index is the union, ready where anyone is', () => {
    const table = tableOf(worker({ state: 'UNAVAILABLE', reason: 'x' }, { name: 'a' }), worker());
    expect(table.index()).toEqual([
      { name: 'a', version: '1', state: 'READY', reason: '' },
      { name: 'm', version: '1', state: 'READY', reason: '' },
    ]);
  });
});

describe('unknown names', () => {
  const table = tableOf(worker({ name: 'langid' }, { name: 'langid', version: '2' }, { name: 'digits' }));
  test('a model: what there is, and the nearest', () => {
    const error = unknownName(table, 'langit', '');
    expect(error.code).toBe('unknown_model');
    expect(error.message).toBe('there is no model "langit", did you mean langid; there is digits, langid');
  });
  test('a version: which it has', () => {
    const error = unknownName(table, 'langid', '7');
    expect(error.code).toBe('unknown_version');
    expect(error.message).toBe('model "langid" has no version "7"; it has 1, 2');
  });
  test('a long name is cut, and control characters are escaped', () => {
    expect(unknownName(table, `\n${'x'.repeat(5000)}`, '').message.length).toBeLessThan(300);
    expect(unknownName(table, 'a\nb', '').message).toContain('"a\\nb"');
  });
});
