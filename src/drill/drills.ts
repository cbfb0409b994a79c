/**
 * The drills, in the order in which `vitrine drill --all` runs them. Which alert belongs to which drill stands in
 * the alerts' own catalogue too; a test holds both together.
 */
import type { Drill } from './drill.ts';
import { ERRORS } from './drills/errors.ts';
import { SLOW_COMPUTE } from './drills/slow_compute.ts';
import { SLOW_PREPROCESS } from './drills/slow_preprocess.ts';
import { WORKER_CRASH } from './drills/worker_crash.ts';

export const DRILLS: readonly Drill[] = [SLOW_COMPUTE, SLOW_PREPROCESS, ERRORS, WORKER_CRASH];
