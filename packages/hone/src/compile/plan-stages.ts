/**
 * Stage graphs with their kernels and memory. The bodies of control flow are planned first: their working
 * memory, and the slots of what a loop carries, are workspaces of their stage.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { Target } from 'hone-runtime/target/types';
import { type Bought, type ContractOptions, type Kernel, lowerStage } from '../kernels/index.ts';
import { stageCost } from '../stages/cost.ts';
import { bodiesOf, type LoopForm, type Stage, type StageGraph } from '../stages/types.ts';
import { type MemoryPlan, planMemory, type Workspaces } from './memory-plan.ts';

export interface StagePlan {
  readonly stages: StageGraph;
  /** One for each stage. */
  readonly items: readonly PlanItem[];
  readonly memory: MemoryPlan;
  readonly workspaces: Workspaces;
  /** Stages whose kernels buy speed with memory, here and in bodies. */
  readonly greedy: readonly GreedyStage[];
}

export type PlanItem =
  | { readonly kind: 'kernel'; readonly kernel: Kernel }
  | { readonly kind: 'routine' }
  | { readonly kind: 'control'; readonly bodies: readonly StagePlan[] };

/** A stage whose kernel has a workspace. */
export interface GreedyStage {
  /** Positions from the outermost graph inwards. */
  readonly path: string;
  /** Elements of its largest constant. */
  readonly weights: number;
  readonly flops: number;
  /** Weights beyond their own size, where the kernel can do without. */
  readonly bought?: Bought;
}

/** Weights are transformed by the kernel, as it runs; or there is no minimal filtering at all. */
export type Concession = 'late' | 'direct';

const CONCESSIONS: Readonly<Record<Concession, ContractOptions>> = {
  late: { transform: 'late' },
  direct: { direct: true },
};

export interface PlanOptions {
  readonly target: Target;
  readonly contract?: ContractOptions;
  /** What kernels that buy speed with memory do instead, by the path of their stages. */
  readonly lean?: ReadonlyMap<string, Concession>;
}

export function planStages(stages: StageGraph, options: PlanOptions, path = ''): StagePlan {
  const greedy: GreedyStage[] = [];
  const items = stages.stages.map((stage, position): PlanItem => {
    const own = `${path}${position}`;
    if (stage.body.kind === 'control') {
      const bodies = bodiesOf(stage.body).map(([name, body]) =>
        planStages(body, options, `${own}/${name}/`),
      );
      greedy.push(...bodies.flatMap((body) => body.greedy));
      return { kind: 'control', bodies };
    }
    const contract = options.contract ?? {};
    const concession = options.lean?.get(own);
    const choice =
      concession === undefined ? contract : { ...contract, ...CONCESSIONS[concession] };
    const kernel = lowerStage(stage, stages.buffers, options.target, choice);
    if (kernel === null) return { kind: 'routine' };
    if (workspacesOf(kernel).length > 0) greedy.push(greedyStage(own, stage, stages, kernel));
    return { kind: 'kernel', kernel };
  });
  const workspaces = new Map<number, readonly number[]>();
  items.forEach((item, position) => {
    const sizes = sizesOf(item, at(stages.stages, position), stages);
    if (sizes.length > 0) workspaces.set(position, sizes);
  });
  return { stages, items, memory: planMemory(stages, workspaces), workspaces, greedy };
}

function workspacesOf(kernel: Kernel): readonly number[] {
  return kernel.buffers.flatMap((item) =>
    item.kind === 'workspace' ? [item.count * dtypeBytes(item.dtype)] : [],
  );
}

/** Workspaces of a stage of control flow: first that of its bodies, of which one runs at a time. */
export const BODY_SPACE = 0;
/** Of a loop, behind it: the iteration's number, whether there is another, then the carried values. */
export const NUMBER_SPACE = 1;
export const AGAIN_SPACE = 2;
export const CARRIED_SPACE = 3;

const NUMBER_BYTES = 8;

function sizesOf(item: PlanItem, stage: Stage, stages: StageGraph): readonly number[] {
  if (item.kind === 'kernel') return workspacesOf(item.kernel);
  if (stage.body.kind === 'routine')
    return stage.body.workspaceBytes === undefined ? [] : [stage.body.workspaceBytes];
  if (item.kind === 'routine' || stage.body.kind !== 'control') return [];
  const inner = Math.max(0, ...item.bodies.map(({ memory }) => memory.arenaBytes));
  const { form } = stage.body;
  if (form.kind === 'if') return [inner];
  const carried = stage.outputs.slice(0, form.carried).map(({ buffer, shape }) => {
    return elementCount(shape) * dtypeBytes(at(stages.buffers, buffer).dtype);
  });
  return [inner, NUMBER_BYTES, 1, ...carried];
}

function greedyStage(
  path: string,
  stage: Stage,
  { buffers }: StageGraph,
  { bought }: Kernel,
): GreedyStage {
  const constants = stage.operands.map(({ buffer, shape }) =>
    at(buffers, buffer).constant === undefined ? 0 : elementCount(shape),
  );
  const { flops } = stageCost(stage, buffers);
  const weights = Math.max(0, ...constants);
  return { path, weights, flops, ...(bought === undefined ? {} : { bought }) };
}

/** How often the body of a loop runs, where the compiler knows. */
export function knownTrips({ limit, limitIs }: LoopForm): number | null {
  return limitIs === 'exactly' ? limit : null;
}
