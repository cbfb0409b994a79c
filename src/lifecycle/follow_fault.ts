/** Keeps a process in the state that a fault asks for, as long as it is in force. */
import type { Log } from '../contract/log.ts';

/** How soon a process follows. */
const LOOK_MS = 50;

export interface FollowedState {
  /** Whether the fault is in force now. */
  wanted(): boolean;
  /** Goes into the state. Asked again at the next look when it failed. */
  enter(): Promise<void>;
  /** Back to normal. Asked again at the next look when it failed. */
  leave(): Promise<void>;
}

/**
 * Only where drills are allowed. `enter` and `leave` take turns and never overlap; what they throw is logged once.
 * Disposing leaves the state.
 */
export function followFault(state: FollowedState, what: string, log: Log): AsyncDisposable {
  let entered = false;
  let failing = false;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();
  const follow = async (wanted: boolean): Promise<void> => {
    if (wanted === entered) return;
    try {
      await (wanted ? state.enter() : state.leave());
      entered = wanted;
      failing = false;
      log.warn(`a drill ${wanted ? 'holds' : 'no longer holds'} ${what}`);
    } catch (error) {
      if (!failing) log.error(`a drill cannot ${wanted ? 'hold' : 'release'} ${what}`, { error });
      failing = true;
    }
  };
  const next = (): void => {
    timer = setTimeout(() => {
      turn = follow(state.wanted()).then(() => {
        if (!ended) next();
      });
    }, LOOK_MS);
    timer.unref();
  };
  next();
  return {
    async [Symbol.asyncDispose]() {
      ended = true;
      clearTimeout(timer);
      await turn;
      await follow(false);
    },
  };
}
