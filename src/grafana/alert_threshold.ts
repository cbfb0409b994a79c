/** The numbers of the alert catalogue, for lines and colours: a dashboard says bad where an alert does. */
import { ALERT_CATALOG } from '../slo/alert_catalog.ts';

/** What the alert's number is compared with. @throws RangeError when there is no such alert, or it compares with no number */
export function alertThreshold(name: string): number {
  const rule = ALERT_CATALOG.find((each) => each.name === name);
  if (rule?.expression.kind !== 'threshold') throw new RangeError(`${name} compares with no threshold`);
  return rule.expression.threshold;
}
