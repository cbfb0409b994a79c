import { expect, test } from 'vitest';
import { createHealth } from './health.ts';

test('a process begins unready, is ready when nothing obstructs it, and says why when something does', () => {
  const health = createHealth();
  expect([health.live(), health.ready()]).toEqual([true, false]);
  health.clear('start');
  expect(health.ready()).toBe(true);
  health.obstruct('models', 'loading langid');
  health.obstruct('store', 'opening');
  health.obstruct('models', 'loading digits');
  expect(health.ready()).toBe(false);
  expect(health.obstacles()).toEqual([
    { part: 'models', reason: 'loading digits' },
    { part: 'store', reason: 'opening' },
  ]);
  health.clear('models');
  health.clear('store');
  expect(health.ready()).toBe(true);
});

test('a failure is neither live nor ready, and keeps its first reason', () => {
  const health = createHealth();
  health.clear('start');
  health.fail('the export thread is gone');
  health.fail('later');
  expect([health.live(), health.ready()]).toEqual([false, false]);
  expect(health.obstacles()).toEqual([{ part: 'process', reason: 'the export thread is gone' }]);
});
