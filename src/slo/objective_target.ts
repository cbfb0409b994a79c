/** One target of an SLO: the share of good queries, the threshold of latency, and whether its alerts can ever fire. */
import { CATALOG } from '../telemetry/catalog.ts';
import { canBurn, pagePairs, rounded } from './burn_windows.ts';
import { durationText } from './duration.ts';
import { LATENCY_METRIC } from './indicator.ts';
import type { Objective } from './objective.ts';
import type { Field, FieldReader } from './yaml_fields.ts';

/** An entry of `spec.objectives`. */
export function readTarget(
  reader: FieldReader,
  item: Field,
  kind: Objective['kind'] | undefined,
  periodS: number | undefined,
): { target: number; thresholdS: number | undefined; displayName: string | undefined } | undefined {
  const fields = reader.map(item, [], ['displayName', 'target', 'targetPercent', 'op', 'value']);
  if (fields === undefined) return undefined;
  const displayField = fields.get('displayName');
  const displayName =
    displayField && reader.text(displayField, 'one line of text', (text) => text.length <= 200);
  const [share, percent] = [fields.get('target'), fields.get('targetPercent')];
  const field = share ?? percent;
  if (field === undefined || (share !== undefined && percent !== undefined)) {
    return reader.refuse(item, 'either target (0.99) or targetPercent (99)');
  }
  const scale = share === undefined ? 100 : 1;
  const example = scale === 1 ? '0.99 (or targetPercent: 99)' : '99';
  const target = reader.number(
    field,
    `a number above 0 and below ${scale}, such as ${example}: ${scale} would leave no budget for a single bad query`,
    (value) => value > 0 && value < scale && rounded(1 - value / scale) > 0,
  );
  const thresholdS = readThreshold(reader, item, kind, fields.get('op'), fields.get('value'));
  if (target === undefined) return undefined;
  const value = rounded(target / scale);
  if (periodS !== undefined) checkThatItCanPage(reader, field, value, periodS);
  return { target: value, thresholdS, displayName };
}

function readThreshold(
  reader: FieldReader,
  item: Field,
  kind: Objective['kind'] | undefined,
  op: Field | undefined,
  value: Field | undefined,
): number | undefined {
  if (kind !== 'latency') {
    for (const field of kind === undefined ? [] : [op, value]) {
      if (field !== undefined) {
        reader.problem(field.line, `${field.path}: an availability objective has no threshold; remove it`);
      }
    }
    return undefined;
  }
  if (op === undefined || value === undefined) {
    return reader.refuse(item, 'op: lte and value: seconds beside the target, for a latency objective');
  }
  reader.text(op, 'lte: a query is good when it takes at most the value', (text) => text === 'lte');
  const edges: readonly number[] = CATALOG[LATENCY_METRIC].buckets;
  const seconds = reader.number(value, 'seconds, such as 0.05 for 50 ms', (number) => number > 0);
  if (seconds === undefined || edges.includes(seconds)) return seconds;
  const below = edges.filter((edge) => edge < seconds).at(-1);
  const above = edges.find((edge) => edge > seconds);
  const nearest = [below, above].filter((edge) => edge !== undefined).join(' or ');
  const hint = edges.includes(rounded(seconds / 1000))
    ? `; the value is in seconds: ${rounded(seconds / 1000)}`
    : '';
  return reader.refuse(
    value,
    `an edge of the histogram's buckets, because queries are counted by them: ${nearest}${hint} (edges: ${edges.join(', ')})`,
  );
}

/** Tells, with the arithmetic, of a target that leaves so much budget that its alerts cannot burn it fast enough. */
function checkThatItCanPage(reader: FieldReader, field: Field, target: number, periodS: number): void {
  const budget = rounded(1 - target);
  const pairs = pagePairs(budget, periodS);
  const never = pairs.filter((pair) => !canBurn(budget, pair));
  if (never.length === 0) return;
  const need = (list: typeof pairs): string =>
    list
      .map(
        ({ shortS, longS, factor }) =>
          `more than ${factor}x on ${durationText(shortS)} and ${durationText(longS)}`,
      )
      .join(', or ');
  const arithmetic = `a target of ${target} leaves a budget of 1 - ${target} = ${budget}, so with every query bad it burns 1 / ${budget} = ${Number((1 / budget).toPrecision(4))}x`;
  const least = Math.min(...never.map(({ factor }) => factor));
  const fix = `a target above 1 - 1/${least} = ${Math.floor((1 - 1 / least) * 10_000) / 10_000}`;
  if (never.length === pairs.length) {
    reader.problem(
      field.line,
      `${field.path}: it can never page: ${arithmetic}, and a page needs ${need(never)}; set ${fix}`,
    );
  } else {
    reader.problem(
      field.line,
      `${field.path}: one pair of windows can never page: ${arithmetic}, and it needs ${need(never)}; for that, set ${fix}`,
      'warning',
    );
  }
}
