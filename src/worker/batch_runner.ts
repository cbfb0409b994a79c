/**
 * Takes a closed batch to an inference thread and its outputs back to its queries, and writes down what it
 * took: the members' stages, their share of the executor's time, the batch's own record.
 *
 * When a batch of several queries fails, each is run once more alone on the same executor, so that one
 * query which the model cannot take does not fail its neighbours.
 */
import type { Batcher } from '../batching/batcher.ts';
import type { Entry } from '../batching/queue.ts';
import type { Assignment } from '../batching/scheduler.ts';
import { asVitrineError, VitrineError } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensors.ts';
import type { EnergyShare } from '../hardware/energy_share.ts';
import type { FaultReader } from '../lifecycle/faults.ts';
import type { BatchRecord } from '../telemetry/batch_record.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { type BusyMeter, createBusyMeter } from './busy_meter.ts';
import type { ReadyModel } from './served_models.ts';
import type { RunMarks } from './thread_messages.ts';
import type { ThreadPool } from './thread_pool.ts';
import type { Waiting } from './waiting.ts';

export interface BatchRunnerDeps {
  readonly pool: ThreadPool;
  readonly batcher: () => Pick<Batcher<Waiting>, 'release'>;
  readonly telemetry: Pick<Telemetry, 'enabled' | 'log' | 'metrics' | 'openBatch'>;
  readonly faults: FaultReader;
  /** Absent: no GPU is looked at. */
  readonly energy?: Pick<EnergyShare, 'take'> | undefined;
}

/** A batch on its way. */
interface Running {
  readonly assignment: Assignment<Waiting>;
  readonly model: ReadyModel;
  readonly entries: readonly Entry<Waiting>[];
  readonly record: BatchRecord | undefined;
  readonly closedMs: number;
  readonly realElements: number;
  readonly paddingElements: number;
}

export function deadlineError(): VitrineError {
  return new VitrineError('deadline_exceeded', 'the deadline passed before the query was answered', {
    field: 'timeout',
  });
}

/** When an executor was free for this member: when it became free, or when the member came to a free one. */
function freeForMs(entry: Entry<Waiting>, running: Running): number {
  return Math.max(entry.enqueuedMs, running.assignment.freeSinceMs);
}

/** @returns what the batcher calls for each closed batch */
export function createBatchRunner(deps: BatchRunnerDeps): (assignment: Assignment<Waiting>) => void {
  const { pool, telemetry, faults, energy } = deps;
  const busySeconds: readonly (BusyMeter | undefined)[] = Array.from({ length: pool.size }, (_, thread) => {
    if (!telemetry.enabled) return undefined;
    const { metrics } = telemetry;
    const counter = metrics.counter('inference_executor_busy_seconds_total');
    return createBusyMeter(metrics, counter.series({ thread: `${thread}` }));
  });

  /** Stages of one member up to the marks; `endMs` of the run closes `postprocess`. */
  const markStages = (entry: Entry<Waiting>, running: Running, marks: RunMarks): void => {
    const { query } = entry.payload;
    if (query === undefined) return;
    query.mark('queue', freeForMs(entry, running));
    query.mark('batch_wait', running.closedMs);
    query.mark('dispatch', marks.startMs);
    query.mark('compute', marks.computeEndMs);
    query.mark('postprocess', marks.endMs);
  };

  /** Accounts what a run took to its members, by their rows: padded, all rows are equally long. */
  const account = (running: Running, entries: readonly Entry<Waiting>[], marks: RunMarks): void => {
    const busyMs = marks.endMs - marks.startMs;
    let rows = 0;
    for (const entry of entries) rows += entry.rows;
    running.model.serviceTime.observe(rows, busyMs);
    busySeconds[running.assignment.executor]?.ended(busyMs);
    const joules = energy?.take(marks.computeEndMs - marks.computeStartMs);
    if (joules !== undefined) running.model.meters?.attributeEnergy(joules);
    for (const entry of entries) {
      const executorMs = (busyMs * entry.rows) / rows;
      const energyJoules = joules === undefined ? undefined : (joules * entry.rows) / rows;
      running.model.meters?.attributedSeconds.add(executorMs / 1000);
      entry.payload.query?.batch(running.record, entry.rows, { executorMs, energyJoules });
    }
  };

  const endRecord = (running: Running, marks: RunMarks, error: VitrineError | undefined): void => {
    const { record, entries, assignment, closedMs, realElements, paddingElements } = running;
    const { batch } = assignment;
    let openedMs = Number.POSITIVE_INFINITY;
    for (const entry of entries) openedMs = Math.min(openedMs, freeForMs(entry, running));
    record?.end({
      rows: batch.rows,
      queries: entries.length,
      reason: batch.reason,
      realElements,
      paddingElements,
      headWaitMs: closedMs - batch.openedMs,
      openedMs,
      closedMs,
      dispatchedMs: marks.startMs,
      computeStartMs: marks.computeStartMs,
      computeEndMs: marks.computeEndMs,
      endedMs: marks.endMs,
      error: error?.code,
    });
  };

  /** Answers the members whose deadline passes while the batch runs; the run itself cannot be stopped. */
  const watchDeadlines = (running: Running): (() => void) => {
    let timer: NodeJS.Timeout | undefined;
    const look = (): void => {
      const nowMs = performance.now();
      let nextMs = Number.POSITIVE_INFINITY;
      for (const entry of running.entries) {
        const { payload, deadlineMs } = entry;
        if (payload.settled) continue;
        if (deadlineMs > nowMs) {
          nextMs = Math.min(nextMs, deadlineMs);
          continue;
        }
        payload.query?.mark('queue', freeForMs(entry, running));
        payload.query?.mark('batch_wait', running.closedMs);
        payload.query?.mark('compute', nowMs);
        payload.reject(deadlineError());
      }
      if (nextMs < Number.POSITIVE_INFINITY) {
        timer = setTimeout(look, Math.min(2 ** 31 - 1, Math.ceil(nextMs - nowMs)));
      }
    };
    look();
    return () => clearTimeout(timer);
  };

  const answer = (running: Running, marks: RunMarks, outputs: readonly Tensor[]): void => {
    const { entries, model } = running;
    let perQuery: readonly (readonly Tensor[])[];
    try {
      perQuery = model.pipeline.split(
        outputs,
        entries.map((entry) => entry.rows),
      );
    } catch (error) {
      fail(entries, running, marks, error);
      return;
    }
    const nowMs = performance.now();
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index];
      const own = perQuery[index];
      if (entry === undefined || own === undefined || entry.payload.settled) continue;
      markStages(entry, running, marks);
      if (entry.deadlineMs <= nowMs) entry.payload.reject(deadlineError());
      else entry.payload.resolve(own);
    }
  };

  const fail = (
    entries: readonly Entry<Waiting>[],
    running: Running,
    marks: RunMarks,
    error: unknown,
  ): void => {
    const reason = asVitrineError(error);
    if (reason.code === 'internal') telemetry.log.error('a batch failed', { error });
    for (const entry of entries) {
      if (entry.payload.settled) continue;
      markStages(entry, running, marks);
      entry.payload.reject(reason);
    }
  };

  /** Runs the members one by one; those that nobody waits for any more are left out. */
  const runAlone = (running: Running, started: RunMarks, done: () => void): void => {
    const { model, assignment } = running;
    const left = [...running.entries];
    const next = (): void => {
      let entry = left.shift();
      while (entry?.payload.settled) entry = left.shift();
      if (entry === undefined) {
        done();
        return;
      }
      const one = entry;
      const alone: Running = { ...running, entries: [one] };
      const since = (marks: RunMarks): RunMarks => ({ ...marks, startMs: started.startMs });
      const { feeds } = model.pipeline.assemble([one.payload.prepared]);
      busySeconds[assignment.executor]?.began();
      pool.run(assignment.executor, model.slot, feeds, {
        ran: (marks, outputs) => {
          account(running, [one], marks);
          answer(alone, since(marks), outputs);
          next();
        },
        failed: (marks, error) => {
          account(running, [one], marks);
          fail([one], alone, since(marks), error);
          next();
        },
      });
    };
    next();
  };

  const giveUp = (assignment: Assignment<Waiting>, error: unknown): void => {
    telemetry.log.error('a batch could not be run', { error });
    for (const { payload } of assignment.batch.entries) payload.reject(asVitrineError(error));
    deps.batcher().release(assignment.executor);
  };

  const start = (assignment: Assignment<Waiting>): void => {
    const { batch, executor } = assignment;
    const { entries } = batch;
    const { model } = (entries[0] as Entry<Waiting>).payload;
    const { info, meters } = model;
    const closedMs = faults.active ? performance.now() : batch.closedMs;
    const assembled = model.pipeline.assemble(entries.map((entry) => entry.payload.prepared));
    const record = telemetry.openBatch({
      model: info.name,
      version: info.version,
      thread: executor,
      rows: batch.rows,
      members: entries.map((entry) => entry.payload.query),
    });
    const { realElements, paddingElements } = assembled;
    const running: Running = { assignment, model, entries, record, closedMs, realElements, paddingElements };
    if (meters !== undefined) {
      meters.batches[batch.reason].add(1);
      meters.batchRows.observe(batch.rows);
      meters.realElements.add(realElements);
      meters.paddingElements.add(paddingElements);
    }
    const unwatch = watchDeadlines(running);
    const end = (marks: RunMarks, error: VitrineError | undefined): void => {
      endRecord(running, marks, error);
      unwatch();
      deps.batcher().release(executor);
    };
    busySeconds[executor]?.began();
    pool.run(executor, model.slot, assembled.feeds, {
      ran: (marks, outputs) => {
        // The executor first: its next batch is on its way before this one's answers are written.
        account(running, entries, marks);
        end(marks, undefined);
        answer(running, marks, outputs);
      },
      failed: (marks, error) => {
        account(running, entries, marks);
        if (entries.length === 1) {
          end(marks, error);
          fail(entries, running, marks, error);
        } else runAlone(running, marks, () => end(marks, error));
      },
    });
  };

  return (assignment) => {
    if (faults.active) {
      faults
        .pass('batch_wait')
        .then(() => start(assignment))
        .catch((error: unknown) => giveUp(assignment, error));
      return;
    }
    try {
      start(assignment);
    } catch (error) {
      // No memory for the batch, or a fault of ours: its queries fail, and the others go on.
      giveUp(assignment, error);
    }
  };
}
