/**
 * The drills, in the order in which `vitrine drill --all` runs them. Which alert belongs to which drill stands in
 * the alerts' own catalogue too; a test holds both together.
 */
import type { Drill } from './drill.ts';
import { CLOCK_JUMP } from './drills/clock_jump.ts';
import { COLLECTOR_DOWN } from './drills/collector_down.ts';
import { CONSOLE_DISK_FULL } from './drills/console_disk_full.ts';
import { CUT_NETWORK } from './drills/cut_network.ts';
import { ERRORS } from './drills/errors.ts';
import { HANG } from './drills/hang.ts';
import { MEMORY_GROWTH } from './drills/memory_growth.ts';
import { OVERLOAD } from './drills/overload.ts';
import { SLOW_COMPUTE } from './drills/slow_compute.ts';
import { SLOW_NETWORK } from './drills/slow_network.ts';
import { SLOW_PREPROCESS } from './drills/slow_preprocess.ts';
import { SLOW_WORKER } from './drills/slow_worker.ts';
import { STALL } from './drills/stall.ts';
import { WORKER_CRASH } from './drills/worker_crash.ts';

export const DRILLS: readonly Drill[] = [
  SLOW_WORKER,
  SLOW_COMPUTE,
  SLOW_PREPROCESS,
  SLOW_NETWORK,
  STALL,
  ERRORS,
  OVERLOAD,
  CUT_NETWORK,
  WORKER_CRASH,
  HANG,
  MEMORY_GROWTH,
  COLLECTOR_DOWN,
  CONSOLE_DISK_FULL,
  CLOCK_JUMP,
];
