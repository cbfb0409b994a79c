/**
 * What proves an alert: series over time, and who fires when. Written as tests for promtool, and played to the
 * embedded evaluator; both have to agree with it and so with each other.
 */

/** A stretch of a series. Samples lie `stepS` of the scenario apart; the first stands at 0. */
export interface Phase {
  readonly lastsS: number;
  /** Value of the phase's first sample; without it the series goes on from where it stood. */
  readonly from?: number;
  /** Growth a second within the phase; 0 unless given. */
  readonly perS?: number;
  /**
   * `missing`: scrapes in which the series does not appear, and nothing marks its end. `stale`: it ends with a
   * stale marker, as after a failed scrape.
   */
  readonly gap?: 'missing' | 'stale';
}

export interface ScenarioSeries {
  /** Name of the samples: `up`, `..._total`, `..._bucket`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly phases: readonly Phase[];
}

export interface FiringAlert {
  /** Labels of the element; those of the rule come on top. */
  readonly labels: Readonly<Record<string, string>>;
  /** What the annotations show as the value. */
  readonly value: number;
}

export interface Check {
  readonly atS: number;
  /** Every alert of the rule that fires then; the rule's pending ones do not count. */
  readonly firing: readonly FiringAlert[];
}

export interface Scenario {
  /** `ruleId` of the rule that it is about. */
  readonly rule: string;
  readonly title: string;
  readonly stepS: number;
  readonly series: readonly ScenarioSeries[];
  readonly checks: readonly Check[];
}

export interface SeriesSample {
  readonly atS: number;
  /** undefined: no sample; `stale`: the series ends here. */
  readonly value: number | 'stale' | undefined;
}

/** The samples of a series, one for each step. */
export function samplesOf(phases: readonly Phase[], stepS: number): SeriesSample[] {
  const samples: SeriesSample[] = [];
  let value = 0;
  for (const { lastsS, from, perS = 0, gap } of phases) {
    const count = Math.round(lastsS / stepS);
    for (let index = 0; index < count; index += 1) {
      const atS = samples.length * stepS;
      if (gap !== undefined) {
        samples.push({ atS, value: gap === 'stale' && index === 0 ? 'stale' : undefined });
        continue;
      }
      value = index === 0 && from !== undefined ? from : value + perS * stepS;
      samples.push({ atS, value });
    }
  }
  return samples;
}

/** The series in three states, for scenarios that go from calm to raised and back. */
export interface Raised {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly calm: Omit<Phase, 'lastsS'>;
  /** Just beyond the edge. */
  readonly above: Omit<Phase, 'lastsS'>;
  /** Just short of it. */
  readonly below: Omit<Phase, 'lastsS'>;
}

export interface RaisedOptions {
  readonly rule: string;
  readonly stepS: number;
  readonly calmS: number;
  readonly raisedS: number;
  /** So long into the raised stretch the expression holds already, and the rule's `for` has not passed. */
  readonly pendingS?: number;
  /** Calm again for so long; then it has cleared. */
  readonly clearS: number;
  /** What fires at the end of the raised stretch. */
  readonly firing: readonly FiringAlert[];
  readonly series: readonly Raised[];
}

/** Two scenarios: it fires just beyond the edge and clears, and it stays silent next to it. */
export function raisedScenarios(options: RaisedOptions): Scenario[] {
  const { rule, stepS, calmS, raisedS, pendingS, clearS, firing, series } = options;
  // Each check stands on the last sample of its stretch.
  const [calmEnd, raisedEnd] = [calmS - stepS, calmS + raisedS - stepS];
  const play = (state: 'above' | 'below'): ScenarioSeries[] =>
    series.map(({ name, labels, calm, ...states }) => ({
      name,
      labels,
      phases: [
        { ...calm, lastsS: calmS },
        { ...states[state], lastsS: raisedS },
        { ...calm, lastsS: clearS },
      ],
    }));
  return [
    {
      rule,
      title: 'fires beyond the edge, and clears',
      stepS,
      series: play('above'),
      checks: [
        { atS: calmEnd, firing: [] },
        ...(pendingS === undefined ? [] : [{ atS: calmEnd + pendingS, firing: [] }]),
        { atS: raisedEnd, firing },
        { atS: raisedEnd + clearS, firing: [] },
      ],
    },
    {
      rule,
      title: 'stays silent next to the edge',
      stepS,
      series: play('below'),
      checks: [
        { atS: calmS + raisedS / 2, firing: [] },
        { atS: raisedEnd, firing: [] },
      ],
    },
  ];
}
