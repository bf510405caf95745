/** An engine under test, as its process drives it, and the loop that times its runs. */
import type { Tensor } from 'hone-runtime/base/tensor';
import type { Opened, Turn, TurnPlan } from './engine-protocol.ts';

export interface Engine {
  readonly opened: Opened;
  turn(plan: TurnPlan): Promise<Turn>;
  /** Outputs of the first run. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  close(): Promise<void>;
}

/** Runs one request; may give a promise. */
export type RunOnce = () => unknown;

/** Warms up, then times single runs until the plan is fulfilled. */
export async function timeRuns(run: RunOnce, plan: TurnPlan): Promise<Turn> {
  const warm = performance.now();
  do await run();
  while (performance.now() - warm < plan.warmMs);
  const runs: number[] = [];
  const begin = performance.now();
  let last = begin;
  do {
    await run();
    const now = performance.now();
    runs.push(now - last);
    last = now;
  } while (last - begin < plan.minMs || runs.length < plan.minRuns);
  return { runs, ms: last - begin };
}

/** Lanes that ran at the same time, as one turn: it lasted as long as the longest. */
export function joinTurns(turns: readonly Turn[]): Turn {
  return {
    runs: turns.flatMap((turn) => turn.runs),
    ms: Math.max(...turns.map((turn) => turn.ms)),
  };
}
