import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { formatObjectiveProblem, readObjectives } from './objectives.ts';

const MODELS = [
  { name: 'langid', versions: ['1', '2'] },
  { name: 'digits', versions: ['1'] },
];

/** A file with one objective of each kind, in which a test changes a text. */
const GOOD = `apiVersion: openslo/v1
kind: Service
metadata: { name: text }
spec: {}
---
apiVersion: openslo/v1
kind: SLO
metadata:
  name: langid-latency
spec:
  service: text
  indicator:
    spec:
      thresholdMetric:
        metricSource:
          type: vitrine
          spec: { metric: inference_service_duration_seconds, model: langid, version: 1 }
  timeWindow: [{ duration: 30d, isRolling: true }]
  budgetingMethod: Occurrences
  objectives:
    - { op: lte, value: 0.05, target: 0.99 }
---
apiVersion: openslo/v1
kind: SLI
metadata: { name: digits-answered }
spec:
  ratioMetric:
    counter: true
    good: { metricSource: { type: vitrine, spec: { metric: inference_requests_total, model: digits, verdict: good } } }
    total: { metricSource: { type: vitrine, spec: { metric: inference_requests_total, model: digits, verdict: valid } } }
---
apiVersion: openslo/v1
kind: SLO
metadata: { name: digits-availability }
spec:
  service: text
  indicatorRef: digits-answered
  timeWindow: [{ duration: 4w, isRolling: true }]
  budgetingMethod: Occurrences
  objectives:
    - { targetPercent: 99.9 }
`;

function read(text: string) {
  const { objectives, problems } = readObjectives(text, { path: 'slo.yaml', models: MODELS });
  return { objectives, told: problems.map(formatObjectiveProblem) };
}

/** What is told when one text of the good file is another. */
function told(before: string, after: string): string[] {
  expect(GOOD).toContain(before);
  return read(GOOD.replace(before, after)).told;
}

test('objectives carry what burns their budget and what counts', () => {
  const { objectives, told: problems } = read(GOOD);
  expect(problems).toEqual([]);
  expect(objectives).toEqual([
    {
      name: 'langid-latency',
      displayName: 'langid-latency',
      description: '',
      service: 'text',
      kind: 'latency',
      model: 'langid',
      version: '1',
      tenant: undefined,
      target: 0.99,
      budget: 0.01,
      periodS: 2_592_000,
      thresholdS: 0.05,
      bad: {
        kind: 'above',
        metric: 'inference_service_duration_seconds',
        where: [
          { label: 'model', is: 'in', values: ['langid'] },
          { label: 'version', is: 'in', values: ['1'] },
          { label: 'outcome', is: 'in', values: ['ok'] },
        ],
        edge: 0.05,
      },
      total: {
        kind: 'count',
        metric: 'inference_service_duration_seconds',
        where: [
          { label: 'model', is: 'in', values: ['langid'] },
          { label: 'version', is: 'in', values: ['1'] },
          { label: 'outcome', is: 'in', values: ['ok'] },
        ],
      },
      line: 9,
    },
    {
      name: 'digits-availability',
      displayName: 'digits-availability',
      description: '',
      service: 'text',
      kind: 'availability',
      model: 'digits',
      version: undefined,
      tenant: undefined,
      target: 0.999,
      budget: 0.001,
      periodS: 2_419_200,
      thresholdS: undefined,
      bad: {
        kind: 'counter',
        metric: 'inference_requests_total',
        where: [
          { label: 'model', is: 'in', values: ['digits'] },
          { label: 'outcome', is: 'in', values: ['rejected', 'expired', 'error'] },
        ],
      },
      total: {
        kind: 'counter',
        metric: 'inference_requests_total',
        where: [
          { label: 'model', is: 'in', values: ['digits'] },
          { label: 'outcome', is: 'in', values: ['ok', 'rejected', 'expired', 'error'] },
        ],
      },
      line: 34,
    },
  ]);
});

test('the file of the repository has no problem', () => {
  const text = readFileSync(new URL('../../slo.yaml', import.meta.url), 'utf8');
  const { objectives, told: problems } = read(text);
  expect(problems).toEqual([]);
  expect(objectives.map(({ name }) => name)).toEqual([
    'langid-latency',
    'langid-availability',
    'digits-latency',
    'digits-availability',
  ]);
});

describe('each problem has its line, the value and the fix', () => {
  const cases: readonly (readonly [string, string, string, readonly string[]])[] = [
    [
      'a threshold between two edges',
      'value: 0.05',
      'value: 0.06',
      [
        "slo.yaml:21: error: spec.objectives[0].value is 0.06; it takes an edge of the histogram's buckets, because queries are counted by them: 0.05 or 0.1 (edges: 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5.5, 10.5)",
      ],
    ],
    [
      'a threshold in milliseconds',
      'value: 0.05',
      'value: 50',
      [
        "slo.yaml:21: error: spec.objectives[0].value is 50; it takes an edge of the histogram's buckets, because queries are counted by them: 10.5; the value is in seconds: 0.05 (edges: 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 5.5, 10.5)",
      ],
    ],
    [
      'a threshold that is no number',
      'value: 0.05',
      'value: 50ms',
      ['slo.yaml:21: error: spec.objectives[0].value is "50ms"; it takes seconds, such as 0.05 for 50 ms'],
    ],
    [
      'a model that is not there',
      'model: langid,',
      'model: langdi,',
      [
        'slo.yaml:17: error: spec.indicator.spec.thresholdMetric.metricSource.spec.model: the repository has no model "langdi"; did you mean langid?',
      ],
    ],
    [
      'a model that is like none',
      'model: langid,',
      'model: translate,',
      [
        'slo.yaml:17: error: spec.indicator.spec.thresholdMetric.metricSource.spec.model: the repository has no model "translate"; known are langid, digits',
      ],
    ],
    [
      'a version that is not there',
      'version: 1 }',
      'version: 7 }',
      [
        'slo.yaml:17: error: spec.indicator.spec.thresholdMetric.metricSource.spec.version: langid has no version "7"; did you mean 1?',
      ],
    ],
    [
      'a label that the metric does not carry',
      'version: 1 }',
      'tenant: acme }',
      [
        'slo.yaml:17: error: spec.indicator.spec.thresholdMetric.metricSource.spec.tenant: inference_service_duration_seconds has no label tenant; remove it',
      ],
    ],
    [
      'a metric of another kind',
      'metric: inference_service_duration_seconds',
      'metric: inference_request_duration_seconds',
      [
        'slo.yaml:17: error: spec.indicator.spec.thresholdMetric.metricSource.spec.metric is "inference_request_duration_seconds"; it takes inference_service_duration_seconds',
      ],
    ],
    [
      'a target in percent',
      'target: 0.99 }',
      'target: 99 }',
      [
        'slo.yaml:21: error: spec.objectives[0].target is 99; it takes a number above 0 and below 1, such as 0.99 (or targetPercent: 99): 1 would leave no budget for a single bad query',
      ],
    ],
    [
      'a target of everything',
      'targetPercent: 99.9',
      'targetPercent: 100',
      [
        'slo.yaml:41: error: spec.objectives[0].targetPercent is 100; it takes a number above 0 and below 100, such as 99: 100 would leave no budget for a single bad query',
      ],
    ],
    [
      'a target that can never page',
      'target: 0.99 }',
      'target: 0.8 }',
      [
        'slo.yaml:21: error: spec.objectives[0].target: it can never page: a target of 0.8 leaves a budget of 1 - 0.8 = 0.2, so with every query bad it burns 1 / 0.2 = 5x, and a page needs more than 14.4x on 5m and 1h, or more than 6x on 30m and 6h; set a target above 1 - 1/6 = 0.8333',
      ],
    ],
    [
      'a target whose fast pair can never page',
      'target: 0.99 }',
      'target: 0.9 }',
      [
        'slo.yaml:21: warning: spec.objectives[0].target: one pair of windows can never page: a target of 0.9 leaves a budget of 1 - 0.9 = 0.1, so with every query bad it burns 1 / 0.1 = 10x, and it needs more than 14.4x on 5m and 1h; for that, set a target above 1 - 1/14.4 = 0.9305',
      ],
    ],
    [
      'a name that is taken',
      'name: digits-availability',
      'name: langid-latency',
      [
        'slo.yaml:34: error: metadata.name: another SLO in this file is named langid-latency; choose another name',
      ],
    ],
    [
      'a name that is none',
      'name: langid-latency',
      'name: Langid latency',
      [
        'slo.yaml:9: error: metadata.name is "Langid latency"; it takes lower-case letters, digits and hyphens, at most 63, such as langid-latency',
      ],
    ],
    [
      'an unknown key',
      'budgetingMethod: Occurrences\n  objectives:\n    - { op',
      'budgetingMethods: Occurrences\n  objectives:\n    - { op',
      [
        'slo.yaml:10: error: spec.budgetingMethod is missing',
        'slo.yaml:19: error: spec.budgetingMethods: unknown key; did you mean budgetingMethod?',
      ],
    ],
    [
      'another way of budgeting',
      'budgetingMethod: Occurrences\n  objectives:\n    - { op',
      'budgetingMethod: Timeslices\n  objectives:\n    - { op',
      [
        'slo.yaml:19: error: spec.budgetingMethod is "Timeslices"; it takes Occurrences: every query counts once',
      ],
    ],
    [
      'a duration that is none',
      'duration: 30d',
      'duration: 30 days',
      [
        'slo.yaml:18: error: spec.timeWindow[0].duration is "30 days"; it takes a whole number of minutes, hours, days or weeks, such as 30d or 4w',
      ],
    ],
    [
      'a period that is too short for the windows',
      'duration: 30d',
      'duration: 7d',
      [
        'slo.yaml:18: error: spec.timeWindow[0].duration is "7d"; it takes 28d to 35d: the alerts\' windows, up to 3 days, are made for about a month, and samples are kept for 35d',
      ],
    ],
    [
      'a calendar window',
      'duration: 30d, isRolling: true',
      'duration: 30d, isRolling: false',
      [
        'slo.yaml:18: error: spec.timeWindow[0].isRolling is false; it takes true: calendar windows are not supported',
      ],
    ],
    [
      'a service that is not there',
      'service: text\n  indicator:',
      'service: tex\n  indicator:',
      [
        'slo.yaml:11: error: spec.service: there is no document of kind Service named "tex"; did you mean text?',
      ],
    ],
    [
      'an indicator that is not there',
      'indicatorRef: digits-answered',
      'indicatorRef: digits-answer',
      [
        'slo.yaml:37: error: spec.indicatorRef: there is no document of kind SLI named "digits-answer"; did you mean digits-answered?',
      ],
    ],
    [
      'a comparison that buckets cannot make',
      'op: lte',
      'op: lt',
      [
        'slo.yaml:21: error: spec.objectives[0].op is "lt"; it takes lte: a query is good when it takes at most the value',
      ],
    ],
    [
      'a threshold where there is none',
      'targetPercent: 99.9',
      'targetPercent: 99.9, op: lte',
      ['slo.yaml:41: error: spec.objectives[0].op: an availability objective has no threshold; remove it'],
    ],
    [
      'two sides that count different queries',
      'model: digits, verdict: good',
      'model: langid, verdict: good',
      [
        'slo.yaml:30: error: spec.ratioMetric.total counts model digits and spec.ratioMetric.good langid; they have to count the same queries',
      ],
    ],
    [
      'a kind that is not read',
      'kind: SLI',
      'kind: AlertPolicy',
      [
        'slo.yaml:24: error: kind is "AlertPolicy"; it takes one of Service, SLI, SLO; alerts need no document, they follow from the SLO',
        'slo.yaml:37: error: spec.indicatorRef: there is no document of kind SLI named "digits-answered"; there is none',
      ],
    ],
    [
      'another version of OpenSLO',
      'apiVersion: openslo/v1\nkind: Service',
      'apiVersion: openslo/v2alpha\nkind: Service',
      ['slo.yaml:1: error: apiVersion is "openslo/v2alpha"; it takes openslo/v1'],
    ],
  ];
  test.each(cases)('%s', (_name, before, after, expected) => {
    expect(told(before, after)).toEqual(expected);
  });
});

test('what cannot be read as YAML is told with its line, and gives nothing', () => {
  const { objectives, told: problems } = read('apiVersion: openslo/v1\nkind: [\n');
  expect(objectives).toEqual([]);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^slo\.yaml:[23]: error: not valid YAML: /);
});

test('an alias is no value', () => {
  expect(told('op: lte, value: 0.05, target: 0.99', 'op: &x lte, value: *x, target: 0.99')).toEqual([
    'slo.yaml:21: error: spec.objectives[0].value is an alias (write the value out); it takes seconds, such as 0.05 for 50 ms',
  ]);
});

test('one error keeps every objective back; a warning keeps none', () => {
  expect(read(GOOD.replace('value: 0.05', 'value: 0.06')).objectives).toEqual([]);
  const warned = read(GOOD.replace('target: 0.99', 'target: 0.9'));
  expect(warned.objectives).toHaveLength(2);
  expect(warned.told).toHaveLength(1);
});

test('all problems are told at once, in the order of lines, up to a limit', () => {
  const text = GOOD.replace('value: 0.05', 'value: 0.06').replace('duration: 30d', 'duration: 1y');
  expect(read(text).told.map((line) => line.split(' ')[0])).toEqual(['slo.yaml:18:', 'slo.yaml:21:']);
  const many = Array.from({ length: 200 }, (_, index) => `wrong${index}: 1`).join('\n');
  expect(read(many).told.length).toBeLessThanOrEqual(50);
});

test('several targets of one SLO are objectives of their own', () => {
  const { objectives } = read(
    GOOD.replace(
      '    - { op: lte, value: 0.05, target: 0.99 }',
      '    - { op: lte, value: 0.05, target: 0.99 }\n    - { op: lte, value: 0.5, target: 0.999 }',
    ),
  );
  expect(objectives.map(({ name, thresholdS, line }) => [name, thresholdS, line])).toEqual([
    ['langid-latency-1', 0.05, 21],
    ['langid-latency-2', 0.5, 22],
    ['digits-availability', undefined, 35],
  ]);
});

test('without a list of models, names are taken as they are', () => {
  const { objectives } = readObjectives(GOOD.replace('model: langid,', 'model: other,'), {
    path: 'slo.yaml',
    models: undefined,
  });
  expect(objectives[0]?.model).toBe('other');
});

test('a hostile file is answered with problems, not with a crash', () => {
  for (const text of [
    '',
    '\u0000',
    '[]',
    '- - - - -',
    `${'['.repeat(20_000)}`,
    `a: ${'{a: '.repeat(2000)}`,
    'a: &a [*a]',
    'apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  ? [x]\n  : 1\nspec: 1',
    `apiVersion: ${'x'.repeat(1_000_000)}`,
  ]) {
    expect(read(text).objectives).toEqual([]);
  }
});
