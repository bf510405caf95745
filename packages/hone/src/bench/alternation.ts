/**
 * Engines in turn, A B A B …, one awake at a time, with a short burn of all cores between the
 * turns. What a burn shows to be disturbed is told apart afterwards, when the best burn is known.
 */
import type { EngineProcess } from './engine-process.ts';
import type { Turn, TurnPlan } from './engine-protocol.ts';
import type { MachineMeter } from './machine-meter.ts';
import { summarize, type Summary } from './statistics.ts';

/** A turn, and the lower of the burns before and after it. */
export interface Window {
  readonly turn: Turn;
  readonly burn: number;
}

/** One turn of every engine, in their order. */
export type Round = readonly Window[];

export interface BurnGate {
  /** Burns, and gives the rate of the slowest core. */
  burn(): Promise<number>;
  /** The best so far, of the slowest core and of all together. */
  readonly best: number;
  readonly bestTotal: number;
}

/** A burn slower than this part of the best one marks its neighbours as disturbed. */
export const CLEAN_FRACTION = 0.9;
const BURN_MS = 6;

/** The gate over a number of cores; without a meter nothing counts as disturbed. */
export function burnGate(meter: MachineMeter | undefined, cores: number): BurnGate {
  let best = meter === undefined ? 1 : 0;
  let bestTotal = 0;
  return {
    async burn() {
      const rate = await meter?.rate('fp32', cores, BURN_MS);
      if (rate === undefined) return best;
      best = Math.max(best, rate.slowest);
      bestTotal = Math.max(bestTotal, rate.total);
      return rate.slowest;
    },
    get best() {
      return best;
    },
    get bestTotal() {
      return bestTotal;
    },
  };
}

export interface AlternationPlan extends TurnPlan {
  /** Timed milliseconds per engine, not counting disturbed turns … */
  readonly durationMs: number;
  readonly minRounds: number;
  /** … unless this many times as long has passed. */
  readonly patience: number;
}

/** Rounds until every engine had its time. The engines are open and warm. */
export async function alternate(
  engines: readonly EngineProcess[],
  gate: BurnGate,
  plan: AlternationPlan,
): Promise<Round[]> {
  const { warmMs, minMs, minRuns } = plan;
  const rounds: Round[] = [];
  let total = 0;
  let clean = 0;
  for (const engine of engines) await engine.rested();
  let before = await gate.burn();
  while (
    rounds.length < plan.minRounds ||
    (clean < plan.durationMs && total < plan.durationMs * plan.patience)
  ) {
    const round: Window[] = [];
    for (const engine of engines) {
      const turn = await engine.ask({ kind: 'turn', warmMs, minMs, minRuns });
      await engine.rested();
      const after = await gate.burn();
      round.push({ turn, burn: Math.min(before, after) });
      before = after;
    }
    rounds.push(round);
    const ms = Math.min(...round.map((window) => window.turn.ms));
    total += ms;
    if (isClean(round, gate.best)) clean += ms;
  }
  return rounds;
}

export interface Judged {
  /** Rounds whose every window is clean; where those are too few, the better half of all. */
  readonly rounds: readonly Round[];
  /** Single windows that were disturbed, of all that there were. */
  readonly windows: number;
  readonly discarded: number;
  /** Hardly any round was clean: the figures are those of a busy machine. */
  readonly disturbed: boolean;
}

const LEAST_CLEAN_ROUNDS = 3;

export function judge(rounds: readonly Round[], bestBurn: number): Judged {
  const clean = rounds.filter((round) => isClean(round, bestBurn));
  const windows = rounds.flat();
  const discarded = windows.filter((window) => !isCleanWindow(window, bestBurn)).length;
  const enough = clean.length >= Math.min(LEAST_CLEAN_ROUNDS, rounds.length);
  return {
    rounds: enough ? clean : betterHalf(rounds),
    windows: windows.length,
    discarded,
    disturbed: !enough,
  };
}

function betterHalf(rounds: readonly Round[]): readonly Round[] {
  return [...rounds].sort((a, b) => burnOf(b) - burnOf(a)).slice(0, Math.ceil(rounds.length / 2));
}

function burnOf(round: Round): number {
  return Math.min(...round.map((window) => window.burn));
}

function isClean(round: Round, best: number): boolean {
  return round.every((window) => isCleanWindow(window, best));
}

function isCleanWindow(window: Window, best: number): boolean {
  return window.burn >= CLEAN_FRACTION * best;
}

export interface TurnSummary extends Summary {
  /** Runs per second over all turns, and in the best turn. */
  readonly rateAverage: number;
  readonly rateMost: number;
}

/** All runs of one engine. */
export function summarizeTurns(rounds: readonly Round[], engine: number): TurnSummary {
  const turns = rounds.flatMap((round) => round[engine]?.turn ?? []);
  const runs = turns.flatMap((turn) => turn.runs);
  const ms = turns.reduce((sum, turn) => sum + turn.ms, 0);
  const rates = turns.map((turn) => (1000 * turn.runs.length) / turn.ms);
  return {
    ...summarize(runs),
    rateAverage: (1000 * runs.length) / ms,
    rateMost: Math.max(...rates),
  };
}

/**
 * How many times faster engine `ours` was than `other`, round by round: by the medians of their
 * turns, or with several requests in flight by the runs per second.
 */
export function roundRatios(
  rounds: readonly Round[],
  ours: number,
  other: number,
  by: 'latency' | 'throughput',
): number[] {
  return rounds.flatMap((round) => {
    const [a, b] = [round[ours]?.turn, round[other]?.turn];
    if (a === undefined || b === undefined) return [];
    const ratio =
      by === 'latency'
        ? summarize(b.runs).p50 / summarize(a.runs).p50
        : a.runs.length / a.ms / (b.runs.length / b.ms);
    return [ratio];
  });
}
