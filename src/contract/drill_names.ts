/** The faults that a drill can inject, each at its real place: `vitrine drill <name>`. A closed list. */
export const DRILL_NAMES = [
  'slow-compute',
  'slow-preprocess',
  'slow-worker',
  'errors',
  'worker-crash',
  'hang',
  'stall',
  'slow-network',
  'cut-network',
  'overload',
  'memory-growth',
  'collector-down',
  'console-disk-full',
  'clock-jump',
] as const;

export type DrillName = (typeof DRILL_NAMES)[number];
