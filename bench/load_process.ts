/** The load generator in a process of its own, so that it can be pinned away from what it measures. */
import type { LoadOptions } from '../src/loadgen/plan.ts';
import { runLoad } from '../src/loadgen/run.ts';
import { serveBench } from './child.ts';

serveBench('load', {}, (options) => runLoad(options as LoadOptions));
