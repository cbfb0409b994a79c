/** Holds the drills and the alerts that name them to each other. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DRILL_NAMES } from '../contract/drill_names.ts';
import { allRules } from '../slo/all_rules.ts';
import { readObjectives } from '../slo/objectives.ts';
import { DRILLS } from './drills.ts';

const SLO = new URL('../../slo.yaml', import.meta.url);
const { objectives } = readObjectives(readFileSync(SLO, 'utf8'), { path: 'slo.yaml', models: undefined });
const RULES = allRules(objectives);

test('every name has its drill', () => {
  expect(DRILLS.map(({ name }) => name).sort()).toEqual([...DRILL_NAMES].sort());
});

test.each(RULES.flatMap(({ name, drill }) => ('drill' in drill ? [[name, drill.drill] as const] : [])))(
  '%s is seen to fire and to clear by its drill %s',
  (alert, name) => {
    const drill = DRILLS.find((each) => each.name === name);
    expect(drill?.alerts.map((expected) => expected.name)).toContain(alert);
  },
);

test.each(DRILLS.map((drill) => [drill.name, drill] as const))(
  '%s waits for alerts that exist',
  (_, drill) => {
    const known = RULES.map(({ name }) => name);
    for (const { name, firesS, clearsS } of drill.alerts) {
      expect(known).toContain(name);
      expect(Math.min(firesS, clearsS)).toBeGreaterThan(0);
    }
    expect(drill.alerts.length).toBeGreaterThan(0);
  },
);
