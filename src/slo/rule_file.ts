/** Prometheus's rule files as data, and as text that is the same on every machine. */
import { stringify } from 'yaml';

export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly keep_firing_for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuleGroup {
  readonly name: string;
  readonly interval: string;
  /** Evaluated in this order, so a rule may use what one above it recorded. */
  readonly rules: readonly (RecordingRule | AlertingRule)[];
}

/** YAML with long lines kept whole and texts of several lines as blocks. @param head comment lines above it */
export function yamlText(head: readonly string[], value: unknown): string {
  const comment = head.map((line) => `# ${line}\n`).join('');
  return `${comment}${stringify(value, { lineWidth: 0, aliasDuplicateObjects: false, blockQuote: 'literal' })}`;
}
