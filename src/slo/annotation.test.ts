import { describe, expect, test } from 'vitest';
import type { ValueUnit } from './alert.ts';
import { annotationTemplates, placeholders, renderAnnotations } from './annotation.ts';

const LINKS = { runbooks: 'docs/runbooks', dashboards: 'http://localhost:3000' };
const rule = (valueUnit: ValueUnit) =>
  ({
    summary: '{value}',
    description: '{model} has {value} in {model}',
    valueUnit,
    runbook: 'error-surge',
    dashboard: { uid: 'vitrine-model', variables: { model: 'model', version: 'version' } },
  }) as const;

function written(valueUnit: ValueUnit, value: number): string {
  return renderAnnotations(rule(valueUnit), LINKS, { value, labels: {} }).summary;
}

// As Prometheus 3.15 expands its template functions.
describe('numbers are written as Prometheus writes them', () => {
  const cases: readonly (readonly [ValueUnit, number, string])[] = [
    ['ratio', 0.061, '6.1%'],
    ['ratio', 1, '100%'],
    ['ratio', 1.08333333, '108.3%'],
    ['ratio', 0.00012345, '0.01234%'],
    ['ratio', 0, '0%'],
    ['ratio', Number.NaN, 'NaN%'],
    ['seconds', 0.25, '250ms'],
    ['seconds', 0.0000005, '500ns'],
    ['seconds', 0, '0s'],
    ['seconds', 1.23456, '1.235s'],
    ['seconds', 59.999, '60s'],
    ['seconds', 61.9, '1m 1s'],
    ['seconds', 3725, '1h 2m 5s'],
    ['seconds', 90_061, '1d 1h 1m 1s'],
    ['seconds', -2, '-2s'],
    ['seconds', Number.POSITIVE_INFINITY, '+Inf'],
    ['bytes', 1536, '1.5kiB'],
    ['bytes', 1_610_612_736, '1.5GiB'],
    ['bytes', 1, '1B'],
    ['bytes', 1000, '1000B'],
    ['factor', 14.4, '14.4x'],
    ['factor', 123.45, '123.5x'],
    ['factor', Number.POSITIVE_INFINITY, '+Infx'],
    ['number', 12, '12'],
    ['number', 1234, '1.234k'],
    ['number', 1_500_000, '1.5M'],
    ['number', 0.0123, '12.3m'],
    ['number', 0, '0'],
    ['number', 999.96, '1000'],
    ['factor', 12_345, '1.234e+04x'],
    ['factor', 0.00001, '1e-05x'],
    // Exact halves go to the even digit.
    ['factor', 1000.5, '1000x'],
    ['factor', 1001.5, '1002x'],
    ['factor', 9999.5, '1e+04x'],
  ];
  test.each(cases)('%s %d is %s', (unit, value, text) => {
    expect(written(unit, value)).toBe(text);
  });
});

test('templates and texts have the same places', () => {
  expect(annotationTemplates(rule('ratio'), LINKS)).toEqual({
    summary: '{{ $value | humanizePercentage }}',
    description: '{{ $labels.model }} has {{ $value | humanizePercentage }} in {{ $labels.model }}',
    runbook_url: 'docs/runbooks/error-surge.md',
    dashboard_url:
      'http://localhost:3000/d/vitrine-model?var-model={{ $labels.model | urlquery }}&var-version={{ $labels.version | urlquery }}',
  });
  expect(renderAnnotations(rule('ratio'), LINKS, { value: 0.5, labels: { model: "a b&c'(é)" } })).toEqual({
    summary: '50%',
    description: "a b&c'(é) has 50% in a b&c'(é)",
    runbook_url: 'docs/runbooks/error-surge.md',
    dashboard_url: 'http://localhost:3000/d/vitrine-model?var-model=a+b%26c%27%28%C3%A9%29&var-version=',
  });
});

test('a label value that looks like a placeholder stays what it is', () => {
  const { description } = renderAnnotations(rule('number'), LINKS, {
    value: 1,
    labels: { model: '{value} $& $1' },
  });
  expect(description).toBe('{value} $& $1 has 1 in {value} $& $1');
});

test('placeholders are found once each', () => {
  expect(placeholders('{model}: {value} of {model}, {no-label} {}')).toEqual(['model', 'value']);
});
