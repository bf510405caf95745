/**
 * One model at one concurrency: several sessions, each with new processes (a cold start), then
 * alternating turns; all sessions' turns are judged together.
 */
import type { Tensor } from 'hone-runtime/base/tensor';
import {
  alternate,
  type AlternationPlan,
  type BurnGate,
  judge,
  type Round,
  roundRatios,
  summarizeTurns,
  type TurnSummary,
} from './alternation.ts';
import { outputsOf } from './baseline.ts';
import { type EngineProcess, openRequest, startEngine } from './engine-process.ts';
import type { BaselineName, Opened } from './engine-protocol.ts';
import { median, quantile } from './statistics.ts';
import type { BenchSubject, SubjectFacts } from './subject.ts';

export interface MeasurePlan {
  readonly threads: number;
  readonly concurrency: number;
  /** Timed milliseconds per engine, over all sessions. */
  readonly durationMs: number;
  readonly sessions: number;
  /** Ours, and what it is compared with. */
  readonly engines: readonly ('hone' | BaselineName)[];
  readonly gate: BurnGate;
  readonly progress: (message: string) => void;
}

export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Measured {
  readonly engine: 'hone' | BaselineName;
  readonly times: TurnSummary;
  readonly opened: Opened;
  readonly peakRssBytes: number;
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** Against the other engine. */
  readonly ratio: Ratio | undefined;
}

export interface Measurement {
  readonly engines: readonly Measured[];
  readonly windows: number;
  readonly discarded: number;
  readonly disturbed: boolean;
}

const TURN_MS = 100;
const WARM_MS = 5;
const LEAST_ROUNDS = 3;
/** A busy machine makes it at most this many times as long. */
const PATIENCE = 2;

interface Started {
  readonly process: EngineProcess;
  readonly opened: Opened;
}

/** Measures the engines of the plan on a subject; the first is ours. */
export async function measure(
  subject: BenchSubject,
  facts: SubjectFacts,
  plan: MeasurePlan,
): Promise<Measurement> {
  const rounds: Round[] = [];
  const opened = plan.engines.map((): Opened[] => []);
  const memory = plan.engines.map(() => 0);
  let outputs: Readonly<Record<string, Tensor>>[] = [];
  for (let session = 0; session < plan.sessions; session++) {
    const started: Started[] = [];
    try {
      for (const [index, engine] of plan.engines.entries()) {
        plan.progress(`${subject.model}: opening in ${engine}, session ${session + 1}`);
        const one = await start(engine, subject, facts, plan);
        started.push(one);
        opened[index]?.push(one.opened);
        await one.process.rested();
      }
      const processes = started.map((one) => one.process);
      if (session === 0) outputs = await all(processes, outputsOf);
      plan.progress(`${subject.model}: measuring, session ${session + 1} of ${plan.sessions}`);
      rounds.push(...(await alternate(processes, plan.gate, turnPlan(plan))));
      for (const [index, process] of processes.entries()) {
        const { peakRssBytes } = await process.ask({ kind: 'memory' });
        memory[index] = Math.max(memory[index] ?? 0, peakRssBytes);
      }
    } finally {
      for (const { process } of started) process.end();
    }
  }
  const judged = judge(rounds, plan.gate.best);
  return {
    windows: judged.windows,
    discarded: judged.discarded,
    disturbed: judged.disturbed,
    engines: plan.engines.map((engine, index) => ({
      engine,
      times: summarizeTurns(judged.rounds, index),
      opened: typical(opened[index] ?? []),
      peakRssBytes: memory[index] ?? 0,
      outputs: outputs[index] ?? {},
      ratio: index === 0 && plan.engines.length > 1 ? ratioOf(judged.rounds, plan) : undefined,
    })),
  };
}

async function start(
  name: 'hone' | BaselineName,
  subject: BenchSubject,
  facts: SubjectFacts,
  plan: MeasurePlan,
): Promise<Started> {
  const engine = name === 'hone-fp32' ? 'hone' : name;
  const process = startEngine(engine, plan.concurrency);
  try {
    const opened = await process.ask(
      openRequest({
        engine,
        path: pathOf(name, subject),
        threads: plan.threads,
        lanes: plan.concurrency,
        inputs: facts.inputs,
        optimise: true,
        dims: facts.dims,
      }),
    );
    return { process, opened };
  } catch (error) {
    process.end();
    throw error;
  }
}

function pathOf(engine: 'hone' | BaselineName, subject: BenchSubject): string {
  const { artifact, onnx, wideArtifact } = subject;
  if (engine === 'hone') return artifact;
  return (engine === 'onnxruntime' ? onnx : wideArtifact) ?? artifact;
}

/** Everyone's answer, one after the other: only one engine may be awake. */
async function all<T>(
  processes: readonly EngineProcess[],
  ask: (process: EngineProcess) => Promise<T>,
): Promise<T[]> {
  const answers: T[] = [];
  for (const process of processes) answers.push(await ask(process));
  return answers;
}

function turnPlan(plan: MeasurePlan): AlternationPlan {
  const durationMs = plan.durationMs / plan.sessions;
  return {
    warmMs: WARM_MS,
    minMs: Math.min(TURN_MS, durationMs),
    minRuns: 1,
    durationMs,
    minRounds: LEAST_ROUNDS,
    patience: PATIENCE,
  };
}

function typical(opened: readonly Opened[]): Opened {
  return {
    importMs: median(opened.map((one) => one.importMs)),
    openMs: median(opened.map((one) => one.openMs)),
    firstRunMs: median(opened.map((one) => one.firstRunMs)),
  };
}

function ratioOf(rounds: readonly Round[], plan: MeasurePlan): Ratio {
  const by = plan.concurrency > 1 ? 'throughput' : 'latency';
  const ratios = roundRatios(rounds, 0, 1, by);
  return {
    median: median(ratios),
    low: quantile(ratios, 0.25),
    high: quantile(ratios, 0.75),
  };
}
