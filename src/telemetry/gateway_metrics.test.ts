/** Series of the gateway exist before what they count, and the residue is counted whole. */
import { expect, test } from 'vitest';
import { OUTCOMES } from '../contract/outcomes.ts';
import { ATTEMPT_OUTCOMES } from './attempt_outcomes.ts';
import { createGatewayMetrics } from './gateway_metrics.ts';
import { Ledger } from './ledger.ts';
import { Metrics } from './metrics.ts';

test('the first attempt at a worker creates every outcome, so that a first loss is an increase', () => {
  const metrics = new Metrics();
  createGatewayMetrics(metrics).attempt('worker-1', 'lost');
  const attempts = metrics.counter('inference_attempts_total');
  expect([...attempts.all()].map(({ labels, value }) => [labels[1], value])).toEqual(
    ATTEMPT_OUTCOMES.map((outcome) => [outcome, Number(outcome === 'lost')]),
  );
});

test('a model has all its outcomes before its first query', () => {
  const metrics = new Metrics();
  createGatewayMetrics(metrics).announce('langid', '1');
  const series = [...metrics.counter('inference_requests_total').all()];
  expect(series.map(({ labels }) => labels)).toEqual(OUTCOMES.map((outcome) => ['langid', '1', outcome]));
});

test('what stages claimed too much counts as residue, too', () => {
  const metrics = new Metrics();
  const gateway = createGatewayMetrics(metrics);
  for (const unattributedMs of [3, -2]) {
    gateway.begun('langid');
    gateway.finished({
      model: 'langid',
      version: '1',
      outcome: 'ok',
      reason: undefined,
      ledger: new Ledger(0),
      totalMs: 10,
      unattributedMs,
      exemplar: undefined,
    });
  }
  expect(
    metrics.counter('inference_unattributed_seconds_total').series({ model: 'langid' }).value,
  ).toBeCloseTo(0.005, 12);
});
