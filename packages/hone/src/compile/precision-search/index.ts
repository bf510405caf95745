/**
 * The fastest mix of precisions within a budget. Every layer group is timed in every precision while
 * the whole model runs in it; a group that is not faster narrow stays wide. If the fastest mix loses
 * too much on the samples, groups are widened, those first that add most noise for the time they
 * save, as few as it takes. The result is run against the model in fp32, and never slower.
 */
import { load } from 'hone-runtime';
import path from 'node:path';
import { at, fail } from 'hone-runtime/base/diagnostics';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import type { Graph } from '../../graph/types.ts';
import type { Registry } from '../../ops/registry.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { writeArtifact } from '../build-artifact.ts';
import type { Int8Scope } from '../calibrate/int8-plan.ts';
import type { Carried } from '../calibrate/carried.ts';
import type { CompleteSample, Sample } from '../calibrate/run.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { CompileOptions } from '../options.ts';
import type { Report } from '../report.ts';
import { NOISE_SAMPLES } from './bounded.ts';
import { SEQUENCE_SAMPLES } from './carried.ts';
import { type GroupPrecision, type LayerGroup, layerGroups, planOf } from './groups.ts';
import { findMetric, firstOutput, type Outputs } from './metric.ts';
import { groupNoise } from './sensitivity.ts';
import { runInSequence, sequenceNoise, switchedModel } from './switched.ts';
import { groupTimes, raceModels } from './timing.ts';
import type { SearchRecord, SearchSettings } from './types.ts';

export interface Found {
  readonly plan: PrecisionPlan;
  readonly record: SearchRecord;
  /** Why each contraction has its precision. */
  readonly reasons: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

interface Task {
  readonly graph: Graph;
  readonly registry: Registry;
  readonly full: PrecisionPlan;
  readonly groups: readonly LayerGroup[];
  readonly samples: readonly CompleteSample[];
  readonly carried: Carried;
  readonly folder: string;
  readonly say: (message: string) => void;
  readonly options: CompileOptions;
}

/** Part of the budget that rare large divergences, of which few samples say nothing, may take. */
const RARE = 0.25;

/** Narrow has to save this share of a group's time. */
const LEAST_GAIN = 0.03;

export interface Search {
  /** After the standard passes. */
  readonly graph: Graph;
  readonly registry: Registry;
  readonly scope: Int8Scope;
  /** The int8 plan of the whole scope. */
  readonly full: PrecisionPlan;
  /** Those the search may look at. */
  readonly samples: readonly CompleteSample[];
  /** Those it may not: what is said of its result is measured on them. */
  readonly held: readonly CompleteSample[];
  /** State that is fed back from one to the next. */
  readonly carried: Carried;
  readonly settings: SearchSettings;
  /** The targets multiply bf16. */
  readonly hasBf16: boolean;
  readonly options: CompileOptions;
}

export async function searchPrecision(search: Search): Promise<Found> {
  const { graph, registry, scope, full, samples, held, carried, settings, hasBf16, options } =
    search;
  const metric = await findMetric(settings.metric);
  return withScratch(async (folder) => {
    const say = options.onProgress ?? ((): void => {});
    const groups = layerGroups(graph, scope);
    const task: Task = { graph, registry, full, groups, samples, carried, folder, say, options };
    const wide = await build(task, uniform(task, 'f32'), 'fp32');
    const reference = runAll(wide.artifact, task);
    const kinds: GroupPrecision[] = hasBf16 ? ['f32', 'bf16', 'int8'] : ['f32', 'int8'];
    const times = new Map<GroupPrecision, readonly number[]>();
    for (const kind of kinds) {
      say(`timing layers in ${kind}`);
      const { artifact, report } =
        kind === 'f32' ? wide : await build(task, uniform(task, kind), kind);
      times.set(kind, groupTimes(artifact, report, groups, at(samples, 0)));
    }
    const time = (kind: GroupPrecision, i: number): number => at(times.get(kind) ?? [], i);
    const fastest = groups.map((_, i) =>
      kinds.reduce<GroupPrecision>(
        (best, kind) => (time(kind, i) < time(best, i) * (1 - LEAST_GAIN) ? kind : best),
        'f32',
      ),
    );
    say('ranking layers by what int8 costs them');
    const noise =
      carried.size > 0
        ? await answerNoise(task)
        : await groupNoise(graph, registry, full, groups, samples.slice(0, NOISE_SAMPLES), folder);
    const order = groups
      .map((_, i) => i)
      .filter((i) => at(fastest, i) === 'int8')
      .sort((a, b) => cost(b) - cost(a));
    function cost(i: number): number {
      return at(noise, i) / Math.max(1, time('f32', i) - time('int8', i));
    }
    // Step by step: int8 groups to the fastest wider type, then what is in bf16 to f32.
    const half = (i: number): boolean =>
      kinds.includes('bf16') && time('bf16', i) < time('f32', i) * (1 - LEAST_GAIN);
    const inHalf = groups
      .map((_, i) => i)
      .filter((i) => at(fastest, i) === 'bf16' || (at(fastest, i) === 'int8' && half(i)))
      .sort((a, b) => cost(b) - cost(a));
    const steps = order.length + inHalf.length;
    const widened = (count: number): GroupPrecision[] => {
      const out = [...fastest];
      for (const i of order.slice(0, count)) out[i] = half(i) ? 'bf16' : 'f32';
      for (const i of inHalf.slice(0, Math.max(0, count - order.length))) out[i] = 'f32';
      return out;
    };
    const judge = async (decisions: readonly GroupPrecision[], name: string): Promise<Judged> => {
      const built = await build(task, decisions, name);
      const outputs = runAll(built.artifact, task);
      const drop = metric(reference, outputs);
      const { meanKl, rows } = firstOutput(reference, outputs);
      // Few samples say little: of changed answers one fewer than the budget is taken.
      const spare = settings.metric === 'agreement' ? 1 / rows : 0;
      const within = drop === 0 || drop + spare <= settings.maxDrop * (1 + 1e-9);
      return {
        ...built,
        decisions,
        drop,
        meanKl,
        worstKl: worstSample(reference, outputs),
        within,
      };
    };
    // The fewest widened groups that keep the budget; every answer used is one that was measured.
    const first = await judge(widened(0), 'mix 0');
    let best = first;
    if (!first.within && steps > 0) {
      best = await judge(widened(steps), 'mix all');
      if (!best.within) overBudget(settings, best.drop, groups, noise);
      let [low, high] = [0, steps];
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        say(`trying to widen ${middle} of ${steps} steps`);
        const tried = await judge(widened(middle), `mix ${middle}`);
        if (tried.within) [best, high] = [tried, middle];
        else low = middle;
      }
      best = await renarrow(best, async (decisions, i) => judge(decisions, `mix again ${i}`), {
        fastest,
        savings: groups.map((_, i) => time('f32', i) - time(at(fastest, i), i)),
        say,
      });
      const nothing = best.decisions.every((kind) => kind === 'f32');
      if (nothing) overBudget(settings, first.drop, groups, noise);
    }
    const notes: string[] = [];
    const narrow = best.decisions.some((kind) => kind !== 'f32');
    if (narrow && isSlower(best.artifact, wide.artifact, at(samples, 0))) {
      best = await judge(
        groups.map(() => 'f32'),
        'wide',
      );
      notes.push('no mix of precisions is faster than fp32 here: everything stays fp32');
    }
    const reasons = new Map<string, string>();
    groups.forEach((group, i) => {
      const text = reason(at(best.decisions, i), at(fastest, i), i, time, at(noise, i), kinds);
      for (const name of group.nodes) reasons.set(name, text);
    });
    const others = { ...task, samples: held };
    const [wanted, got] = [wide, best].map(({ artifact }) => runAll(artifact, others)) as [
      readonly Outputs[],
      readonly Outputs[],
    ];
    const worst = Math.max(best.worstKl, worstSample(wanted, got));
    const heldOut =
      held.length === 0
        ? {}
        : {
            heldOut: {
              samples: held.length,
              drop: metric(wanted, got),
              meanKl: firstOutput(wanted, got).meanKl,
            },
          };
    return {
      plan: best.plan,
      reasons,
      notes,
      record: {
        ...settings,
        drop: best.drop,
        meanKl: best.meanKl,
        klBound: Math.max(worst, settings.maxDrop * RARE),
        judged: samples.length,
        ...heldOut,
      },
    };
  });
}

interface Judged extends Built {
  readonly decisions: readonly GroupPrecision[];
  readonly drop: number;
  readonly meanKl: number;
  /** Of a single sample. */
  readonly worstKl: number;
  readonly within: boolean;
}

/** The largest mean divergence of a single sample. */
function worstSample(reference: readonly Outputs[], outputs: readonly Outputs[]): number {
  const each = reference.map((one, i) => firstOutput([one], [at(outputs, i)]).meanKl);
  return Math.max(0, ...each);
}

/** Widened groups that are tried again in their fastest precision. */
const AGAIN = 12;

/**
 * What a few answers near a tie decide is not in order of noise: widened groups get another chance,
 * those first that save most time.
 */
async function renarrow(
  start: Judged,
  judge: (decisions: readonly GroupPrecision[], i: number) => Promise<Judged>,
  context: {
    readonly fastest: readonly GroupPrecision[];
    readonly savings: readonly number[];
    readonly say: (message: string) => void;
  },
): Promise<Judged> {
  const { fastest, savings, say } = context;
  const again = fastest
    .map((_, i) => i)
    .filter((i) => start.decisions[i] !== fastest[i])
    .sort((a, b) => at(savings, b) - at(savings, a))
    .slice(0, AGAIN);
  let best = start;
  for (const [position, i] of again.entries()) {
    say(`narrowing again: ${position + 1} of ${again.length}`);
    const decisions = best.decisions.map((kind, k) => (k === i ? at(fastest, i) : kind));
    const tried = await judge(decisions, i);
    if (tried.within) best = tried;
  }
  return best;
}

/** With carried state: what each group in int8 does to the answers over the samples. */
async function answerNoise(task: Task): Promise<readonly number[]> {
  const { graph, registry, full, groups, carried, folder } = task;
  const samples = task.samples.slice(0, SEQUENCE_SAMPLES);
  const switched = await switchedModel(graph, registry, full, groups, { samples, carried }, folder);
  try {
    const reference = switched.run(new Set());
    return groups.map((_, i) => sequenceNoise(reference, switched.run(new Set([i])), carried));
  } finally {
    switched.close();
  }
}

function uniform({ groups }: Task, kind: GroupPrecision): GroupPrecision[] {
  return groups.map(() => kind);
}

interface Built {
  readonly artifact: string;
  readonly report: Report;
  readonly plan: PrecisionPlan;
}

async function build(
  { graph, registry, full, groups, folder, options, say }: Task,
  decisions: readonly GroupPrecision[],
  name: string,
): Promise<Built> {
  const plan = planOf(graph, registry, full, groups, decisions);
  const { timeoutMs } = options;
  const model = await compileBuiltGraph(graph, {
    registry,
    plan,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onProgress: (message) => say(`${name}: ${message}`),
  });
  const artifact = path.join(folder, `${name.replaceAll(' ', '-')}.hone`);
  await writeArtifact(model, artifact);
  return { artifact, report: model.report, plan };
}

function runAll(artifact: string, { samples, carried }: Task): readonly Outputs[] {
  const session = load(artifact);
  try {
    return runInSequence(session, samples, carried);
  } finally {
    session.close();
  }
}

function isSlower(mix: string, wide: string, sample: Sample): boolean {
  const [a, b] = [load(mix), load(wide)];
  try {
    const { first, second } = raceModels(a, b, sample);
    return first > second;
  } finally {
    a.close();
    b.close();
  }
}

function reason(
  chosen: GroupPrecision,
  fastest: GroupPrecision,
  i: number,
  time: (kind: GroupPrecision, i: number) => number,
  noise: number,
  kinds: readonly GroupPrecision[],
): string {
  const all = kinds.map((kind) => `${kind} ${(time(kind, i) / 1000).toFixed(0)} us`).join(', ');
  const decibels = `int8 leaves ${(-10 * Math.log10(Math.max(noise, 1e-12))).toFixed(0)} dB`;
  if (chosen === fastest) return `the fastest within the budget (${all}; ${decibels})`;
  return `widened to keep the budget (${all}; ${decibels})`;
}

function overBudget(
  { metric, maxDrop }: SearchSettings,
  drop: number,
  groups: readonly LayerGroup[],
  noise: readonly number[],
): never {
  const worst = groups
    .map((group, i) => ({ name: group.nodes.join(', '), noise: at(noise, i) }))
    .sort((a, b) => b.noise - a.noise)
    .slice(0, 3)
    .map(({ name }) => name);
  fail(
    'HONE-CALIBRATE-011',
    `no mix of precisions keeps ${metric} within ${maxDrop}: the fastest loses ${drop.toPrecision(3)}, most of it in ${worst.join('; ')}`,
    '--max-drop',
    'allow more with --max-drop, calibrate with more typical samples, or compile with --precision fp32',
  );
}
