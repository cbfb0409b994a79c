/**
 * What an objective measures. Of a metric source of `type: vitrine` the `spec` holds
 *   latency (thresholdMetric): { metric: inference_service_duration_seconds, model, version?, tenant? }
 *   availability (ratioMetric): { metric: inference_requests_total, model, version?, tenant?, verdict }
 * where `verdict` is good, bad, or valid (both): outcomes as docs/telemetry.md maps them.
 */
import { OUTCOME_VERDICT, OUTCOMES, type Verdict } from '../contract/outcomes.ts';
import { CATALOG, type CounterName, type HistogramName } from '../telemetry/catalog.ts';
import type { Selection } from './expression.ts';
import type { Objective } from './objective.ts';
import { having } from './shapes.ts';
import { type Field, type FieldReader, suggestion } from './yaml_fields.ts';

/** A model of the repository, with its versions. */
export interface KnownModel {
  readonly name: string;
  readonly versions: readonly string[];
}

type Models = readonly KnownModel[] | undefined;

export const LATENCY_METRIC = 'inference_service_duration_seconds' satisfies HistogramName;
const AVAILABILITY_METRIC = 'inference_requests_total' satisfies CounterName;
/** Labels by which an indicator may narrow its metric, beside `model`: those that the metric has. */
const NARROWING = ['version', 'tenant'] as const;
const SOURCE_TEXT = 'vitrine: the metrics of the service itself';

type Scope = Pick<Objective, 'model' | 'version' | 'tenant'>;
export type Indicator = { readonly kind: Objective['kind'] } & Scope;

/** The `spec` of an SLI. @param models undefined: names of models are taken as they are */
export function readIndicator(reader: FieldReader, models: Models, spec: Field): Indicator | undefined {
  const fields = reader.map(spec, [], ['description', 'thresholdMetric', 'ratioMetric']);
  if (fields === undefined) return undefined;
  const [threshold, ratio] = [fields.get('thresholdMetric'), fields.get('ratioMetric')];
  if ((threshold === undefined) === (ratio === undefined)) {
    return reader.refuse(spec, 'either thresholdMetric (latency) or ratioMetric (availability)');
  }
  if (threshold !== undefined) {
    const scope = readSource(reader, models, threshold, LATENCY_METRIC, undefined);
    return scope && { kind: 'latency', ...scope };
  }
  return ratio && readRatio(reader, models, ratio);
}

function readRatio(reader: FieldReader, models: Models, field: Field): Indicator | undefined {
  const fields = reader.map(field, ['total'], ['counter', 'good', 'bad']);
  if (fields === undefined) return undefined;
  const counterField = fields.get('counter');
  if (counterField !== undefined) {
    reader.flag(counterField, 'true: the metric counts up', (value) => value);
  }
  const [good, bad, total] = [fields.get('good'), fields.get('bad'), fields.get('total')];
  if ((good === undefined) === (bad === undefined))
    return reader.refuse(field, 'either good or bad, and total');
  const part = good ?? bad;
  if (part === undefined || total === undefined) return undefined;
  const partScope = readSource(
    reader,
    models,
    part,
    AVAILABILITY_METRIC,
    good === undefined ? 'bad' : 'good',
  );
  const totalScope = readSource(reader, models, total, AVAILABILITY_METRIC, 'valid');
  if (partScope === undefined || totalScope === undefined) return undefined;
  for (const key of ['model', ...NARROWING] as const) {
    if (partScope[key] === totalScope[key]) continue;
    reader.problem(
      total.line,
      `${total.path} counts ${key} ${totalScope[key] ?? '(all)'} and ${part.path} ${partScope[key] ?? '(all)'}; they have to count the same queries`,
    );
    return undefined;
  }
  return { kind: 'availability', ...totalScope };
}

function readSource(
  reader: FieldReader,
  models: Models,
  metric: Field,
  name: CounterName | HistogramName,
  verdict: 'good' | 'bad' | 'valid' | undefined,
): Scope | undefined {
  const sourceField = reader.map(metric, ['metricSource'])?.get('metricSource');
  const source = sourceField && reader.map(sourceField, ['type', 'spec']);
  const typeField = source?.get('type');
  if (typeField !== undefined) reader.text(typeField, SOURCE_TEXT, (text) => text === 'vitrine');
  const specField = source?.get('spec');
  const spec =
    specField &&
    reader.map(specField, ['metric', 'model', ...(verdict === undefined ? [] : ['verdict'])], NARROWING);
  if (spec === undefined) return undefined;
  const metricField = spec.get('metric');
  if (metricField !== undefined) reader.text(metricField, name, (text) => text === name);
  const verdictField = spec.get('verdict');
  if (verdictField !== undefined && verdict !== undefined) {
    reader.text(verdictField, verdict, (text) => text === verdict);
  }
  const [model, modelVersions] = readModel(reader, models, spec.get('model'));
  const attributes: readonly string[] = CATALOG[name].attributes;
  const narrowed = new Map<string, string>();
  for (const label of NARROWING) {
    const field = spec.get(label);
    if (field === undefined) continue;
    if (!attributes.includes(label)) {
      reader.problem(field.line, `${field.path}: ${name} has no label ${label}; remove it`);
      continue;
    }
    const value = reader.text(field, `a ${label}`, (text) => text !== '' && text.length <= 256);
    if (value === undefined) continue;
    if (label === 'version' && modelVersions !== undefined && !modelVersions.includes(value)) {
      reader.problem(
        field.line,
        `${field.path}: ${model} has no version ${JSON.stringify(value)}; ${suggestion(value, modelVersions)}`,
      );
    }
    narrowed.set(label, value);
  }
  if (model === undefined) return undefined;
  return { model, version: narrowed.get('version'), tenant: narrowed.get('tenant') };
}

/** The model and its versions, as far as they are known. */
function readModel(
  reader: FieldReader,
  models: Models,
  field: Field | undefined,
): [string | undefined, readonly string[] | undefined] {
  if (field === undefined) return [undefined, undefined];
  const model = reader.text(field, 'the name of a model', (text) => text !== '' && text.length <= 256);
  if (model === undefined || models === undefined) return [model, undefined];
  const known = models.find(({ name }) => name === model);
  if (known === undefined) {
    reader.problem(
      field.line,
      `${field.path}: the repository has no model ${JSON.stringify(model)}; ${suggestion(
        model,
        models.map(({ name }) => name),
      )}`,
    );
  }
  return [model, known?.versions];
}

/** What burns the budget, and what counts at all. */
export function countedBy(
  { kind, model, version, tenant }: Indicator,
  thresholdS: number | undefined,
): Pick<Objective, 'bad' | 'total'> {
  const where = (verdicts: readonly Verdict[]): Selection =>
    having({
      model: [model],
      ...(version === undefined ? {} : { version: [version] }),
      ...(tenant === undefined ? {} : { tenant: [tenant] }),
      outcome: OUTCOMES.filter((outcome) => verdicts.includes(OUTCOME_VERDICT[outcome])),
    });
  if (kind === 'latency') {
    const answered = where(['good']);
    return {
      bad: { kind: 'above', metric: LATENCY_METRIC, where: answered, edge: thresholdS ?? 0 },
      total: { kind: 'count', metric: LATENCY_METRIC, where: answered },
    };
  }
  return {
    bad: { kind: 'counter', metric: AVAILABILITY_METRIC, where: where(['bad']) },
    total: { kind: 'counter', metric: AVAILABILITY_METRIC, where: where(['good', 'bad']) },
  };
}
