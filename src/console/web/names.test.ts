/** The page's names are the service's. */
import { expect, test } from 'vitest';
import * as contract from '../../contract/attributes.ts';
import * as outcomes from '../../contract/outcomes.ts';
import * as stages from '../../contract/stages.ts';
import * as names from './names.js';

test('stages, outcomes and services are those of the service', () => {
  expect(names.STAGES).toEqual(stages.STAGES);
  expect(names.WORKER_STAGES).toEqual(stages.WORKER_STAGES);
  expect(names.UNATTRIBUTED).toBe(stages.UNATTRIBUTED);
  expect(names.OUTCOMES).toEqual(outcomes.OUTCOMES);
  expect(names.SERVICE_GATEWAY).toBe(contract.SERVICE_GATEWAY);
  expect(names.SERVICE_WORKER).toBe(contract.SERVICE_WORKER);
  expect(names.SPAN_BATCH).toBe(contract.SPAN.batch);
  expect(names.stageAttribute('queue')).toBe(contract.stageAttribute('queue'));
});

test('every attribute that the page reads is one that the service writes', () => {
  expect(contract.ATTR).toMatchObject(names.ATTR);
});

test('every stage says what it is', () => {
  expect(Object.keys(names.STAGE_MEANING)).toEqual([...stages.STAGES, stages.UNATTRIBUTED]);
});
