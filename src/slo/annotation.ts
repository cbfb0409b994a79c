/**
 * The texts of an alert, in both engines: as a template that Prometheus expands, and expanded here to the same
 * characters. The rules of humanising are those of Prometheus's template functions (template/template.go).
 */
import type { AlertRule, AnnotationTemplate, DashboardLink, ValueUnit } from './alert.ts';

/** Where links of annotations lead; no slash at the end. */
export interface AnnotationLinks {
  /** Runbook pages lie at `<runbooks>/<slug>.md`: a folder, or where it is published. */
  readonly runbooks: string;
  /** Dashboards lie at `<dashboards>/d/<uid>`. */
  readonly dashboards: string;
}

export const ANNOTATIONS = ['summary', 'description', 'runbook_url', 'dashboard_url'] as const;
export type AnnotationName = (typeof ANNOTATIONS)[number];

const PLACEHOLDER = /\{([a-z_][a-z0-9_]*)\}/g;

/** The placeholders of a template, `value` among them, each once. */
export function placeholders(template: AnnotationTemplate): string[] {
  return [...new Set([...template.matchAll(PLACEHOLDER)].map(([, name]) => name ?? ''))];
}

/**
 * Go's `%.4g`: four significant digits without trailing zeros, with an exponent below 1e-4 and from 1e4.
 * Exact halves go to the even digit, as Go rounds them.
 */
function fourDigits(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return '0';
  const sign = value < 0 ? '-' : '';
  // 60 digits show the value as it is, so that a half can be told from what is near one.
  const [mantissa = '', exponentText = '0'] = Math.abs(value).toExponential(60).split('e');
  const digits = mantissa.replace('.', '');
  const rest = digits.slice(4);
  const isHalf = /^50*$/.test(rest);
  const up = isHalf ? Number(digits[3]) % 2 === 1 : rest >= '5';
  let kept = String(Number(digits.slice(0, 4)) + (up ? 1 : 0));
  let exponent = Number(exponentText);
  if (kept.length > 4) {
    kept = kept.slice(0, 4);
    exponent += 1;
  }
  kept = kept.replace(/0+$/, '');
  if (exponent < -4 || exponent >= 4) {
    const fraction = kept.length > 1 ? `.${kept.slice(1)}` : '';
    const power = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${kept[0]}${fraction}e${exponent < 0 ? '-' : '+'}${power}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${kept}`;
  const whole = kept.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = kept.slice(exponent + 1);
  return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

const SMALL = ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y'] as const;

function scaled(value: number, base: number, prefixes: readonly string[]): string {
  let rest = value;
  let prefix = '';
  for (const next of prefixes) {
    if (Math.abs(rest) < base) break;
    prefix = next;
    rest /= base;
  }
  return `${fourDigits(rest)}${prefix}`;
}

function small(value: number): string {
  let rest = value;
  let prefix = '';
  for (const next of SMALL) {
    if (Math.abs(rest) >= 1) break;
    prefix = next;
    rest *= 1000;
  }
  return `${fourDigits(rest)}${prefix}`;
}

function humanize(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return fourDigits(value);
  if (Math.abs(value) < 1) return small(value);
  return scaled(value, 1000, ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']);
}

function humanize1024(value: number): string {
  if (Math.abs(value) <= 1 || !Number.isFinite(value)) return fourDigits(value);
  return scaled(value, 1024, ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi']);
}

function humanizeDuration(value: number): string {
  if (!Number.isFinite(value)) return fourDigits(value);
  if (value === 0) return '0s';
  if (Math.abs(value) < 1) return `${small(value)}s`;
  const sign = value < 0 ? '-' : '';
  const whole = Math.trunc(Math.abs(value));
  const [seconds, minutes] = [whole % 60, Math.trunc(whole / 60) % 60];
  const [hours, days] = [Math.trunc(whole / 3600) % 24, Math.trunc(whole / 86_400)];
  if (days > 0) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`;
  if (hours > 0) return `${sign}${hours}h ${minutes}m ${seconds}s`;
  if (minutes > 0) return `${sign}${minutes}m ${seconds}s`;
  return `${sign}${fourDigits(Math.abs(value))}s`;
}

const UNITS: Readonly<Record<ValueUnit, { readonly go: string; readonly text: (value: number) => string }>> =
  {
    ratio: { go: '{{ $value | humanizePercentage }}', text: (value) => `${fourDigits(value * 100)}%` },
    seconds: { go: '{{ $value | humanizeDuration }}', text: humanizeDuration },
    bytes: { go: '{{ $value | humanize1024 }}B', text: (value) => `${humanize1024(value)}B` },
    factor: { go: '{{ printf "%.4g" $value }}x', text: (value) => `${fourDigits(value)}x` },
    number: { go: '{{ $value | humanize }}', text: humanize },
  };

/** Go's `url.QueryEscape`. */
function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

function dashboardUrl(
  { uid, variables }: DashboardLink,
  links: AnnotationLinks,
  fill: (label: string) => string,
): string {
  const query = Object.entries(variables).map(([variable, label]) => `var-${variable}=${fill(label)}`);
  return `${links.dashboards}/d/${uid}${query.length === 0 ? '' : `?${query.join('&')}`}`;
}

type RuleTexts = Pick<AlertRule, 'summary' | 'description' | 'valueUnit' | 'runbook' | 'dashboard'>;

function annotations(
  rule: RuleTexts,
  links: AnnotationLinks,
  fill: (placeholder: string) => string,
  fillQuery: (label: string) => string,
): Record<AnnotationName, string> {
  const expand = (template: AnnotationTemplate): string =>
    template.replace(PLACEHOLDER, (_, name: string) => fill(name));
  return {
    summary: expand(rule.summary),
    description: expand(rule.description),
    runbook_url: `${links.runbooks}/${rule.runbook}.md`,
    dashboard_url: dashboardUrl(rule.dashboard, links, fillQuery),
  };
}

/** For a rule file: Go templates over `$value` and `$labels`. */
export function annotationTemplates(rule: RuleTexts, links: AnnotationLinks): Record<AnnotationName, string> {
  const label = (name: string): string => `$labels.${name}`;
  return annotations(
    rule,
    links,
    (name) => (name === 'value' ? UNITS[rule.valueUnit].go : `{{ ${label(name)} }}`),
    (name) => `{{ ${label(name)} | urlquery }}`,
  );
}

/**
 * Expanded, character by character as Prometheus expands the templates.
 * @param labels those of the alert; one that it lacks is the empty text
 */
export function renderAnnotations(
  rule: RuleTexts,
  links: AnnotationLinks,
  alert: { readonly value: number; readonly labels: Readonly<Record<string, string>> },
): Record<AnnotationName, string> {
  return annotations(
    rule,
    links,
    (name) => (name === 'value' ? UNITS[rule.valueUnit].text(alert.value) : (alert.labels[name] ?? '')),
    (name) => queryEscape(alert.labels[name] ?? ''),
  );
}
