/**
 * Reads a scrape: OpenMetrics 1.0 or the classic text format, as far as our own processes and common exporters
 * write it. Exemplars and timestamps of samples are passed over.
 */
import { VitrineError } from '../../contract/errors.ts';

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParseLimits {
  readonly samples: number;
  readonly labelValueChars: number;
}

export const DEFAULT_PARSE_LIMITS: ParseLimits = { samples: 50_000, labelValueChars: 1024 };

const NAME = /[A-Za-z_:][A-Za-z0-9_:]*/y;
const LABEL = /\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"/y;
const VALUE = /\s+(\S+)/y;

function malformed(line: number, what: string): VitrineError {
  return new VitrineError('invalid_request', `line ${line} of the scrape: ${what}`);
}

function number(text: string, line: number): number {
  switch (text) {
    case '+Inf':
    case 'Inf':
      return Number.POSITIVE_INFINITY;
    case '-Inf':
      return Number.NEGATIVE_INFINITY;
    case 'NaN':
      return Number.NaN;
  }
  const value = Number(text);
  if (Number.isNaN(value)) throw malformed(line, 'the value is no number');
  return value;
}

/** A quoted value from just after its opening quote. @returns the text and the position after the closing quote */
function quoted(text: string, from: number, line: number): [string, number] {
  let value = '';
  for (let at = from; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '"') return [value, at + 1];
    if (char !== '\\') {
      value += char;
      continue;
    }
    at += 1;
    const escaped = text[at];
    value += escaped === 'n' ? '\n' : (escaped ?? '');
  }
  throw malformed(line, 'a label value has no closing quote');
}

/**
 * @throws VitrineError invalid_request for text that is no exposition, payload_too_large beyond the limits
 */
export function parseExposition(text: string, limits: ParseLimits = DEFAULT_PARSE_LIMITS): ParsedSample[] {
  const samples: ParsedSample[] = [];
  let line = 0;
  for (const raw of text.split('\n')) {
    line += 1;
    if (raw === '' || raw.startsWith('#')) continue;
    NAME.lastIndex = 0;
    const name = NAME.exec(raw)?.[0];
    if (name === undefined) throw malformed(line, 'it does not begin with a metric name');
    let at = name.length;
    const labels: Record<string, string> = {};
    if (raw[at] === '{') {
      at += 1;
      while (raw[at] !== '}') {
        LABEL.lastIndex = at;
        const label = LABEL.exec(raw)?.[1];
        if (label === undefined) throw malformed(line, 'a label is not name="value"');
        const [value, after] = quoted(raw, LABEL.lastIndex, line);
        if (value.length > limits.labelValueChars) throw malformed(line, 'a label value is too long');
        labels[label] = value;
        at = after;
        if (raw[at] === ',') at += 1;
        else if (raw[at] !== '}') throw malformed(line, 'labels are not separated by commas');
      }
      at += 1;
    }
    VALUE.lastIndex = at;
    const value = VALUE.exec(raw)?.[1];
    if (value === undefined) throw malformed(line, 'it has no value');
    if (samples.length >= limits.samples) {
      throw new VitrineError('payload_too_large', `the scrape has more than ${limits.samples} samples`);
    }
    // Classic text writes a whole edge without its fraction; Prometheus 3 stores both as 1.0.
    if (labels.le !== undefined && /^\d+$/.test(labels.le) && name.endsWith('_bucket')) labels.le += '.0';
    samples.push({ name, labels, value: number(value, line) });
  }
  return samples;
}
