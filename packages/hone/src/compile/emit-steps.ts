/**
 * A plan of stages → the steps of the program, its loops, and the report of each step. Bodies of control
 * flow are written out where they stand: what they read from outside is where it lies there, what they
 * give is written where the stage around them wants it.
 */
import type { BufferRef, ProgramLoop, Step } from 'hone-runtime/artifact/program';
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { Target } from 'hone-runtime/target/types';
import type { Graph } from '../graph/types.ts';
import type { Kernel, KernelBuffer } from '../kernels/index.ts';
import { type StageCost, stageCost } from '../stages/cost.ts';
import type { IfForm, LoopForm, RoutineBody, Stage, View } from '../stages/types.ts';
import { KernelSymbols } from './kernel-symbols.ts';
import { bytesKernel } from './move-bytes.ts';
import {
  AGAIN_SPACE,
  BODY_SPACE,
  CARRIED_SPACE,
  knownTrips,
  NUMBER_SPACE,
  type StagePlan,
} from './plan-stages.ts';
import type { StageReport } from './report.ts';
import { hasBarrier, partsOf } from './rough-cost.ts';
import { stageDescriber } from './stage-values.ts';
import { WeightCollector } from './weights.ts';

/** Where the values of a plan lie. */
interface Place {
  /** First byte of its working memory in the arena. */
  readonly base: number;
  readonly inputs: readonly BufferRef[];
  readonly outputs: readonly BufferRef[];
  /** Names of the stages around it. */
  readonly prefix: string;
  /** How often it runs; null: that depends on data. */
  readonly runs: number | null;
}

export class StepEmitter {
  readonly symbols = new KernelSymbols();
  readonly weights = new WeightCollector();
  readonly steps: Step[] = [];
  readonly loops: ProgramLoop[] = [];
  readonly reports: StageReport[] = [];
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  /** The outermost plan, that of `graph`. */
  emit(plan: StagePlan, graph: Graph): void {
    this.#plan(
      plan,
      {
        base: 0,
        inputs: plan.stages.inputs.map((_, index) => ({ space: 'input', index })),
        outputs: plan.stages.outputs.map((_, index) => ({ space: 'output', index })),
        prefix: '',
        runs: 1,
      },
      graph,
    );
  }

  #plan(plan: StagePlan, place: Place, graph?: Graph): void {
    const { memory, stages } = plan;
    const describe = stageDescriber(stages, memory, { ...place, ...(graph && { graph }) });
    stages.stages.forEach((stage, position) => {
      const item = at(plan.items, position);
      const own: StageReporting = {
        stage,
        place,
        label: place.prefix + stage.nodes.join(' + '),
        workspaceBytes: (plan.workspaces.get(position) ?? []).reduce((sum, n) => sum + n, 0),
        values: describe(stage),
      };
      if (item.kind === 'control') {
        this.#control(plan, position, item.bodies, { ...own, values: unplaced(own.values) });
        return;
      }
      const cost = stageCost(stage, stages.buffers);
      if (item.kind === 'routine') {
        const kernel = this.symbols.ofRoutine(stage.body as RoutineBody);
        const why = { kernel, row: 'routine', why: 'a hand-written routine' };
        const step = { kernel, buffers: this.#routinePlaces(plan, position, place), parts: 0 };
        this.#push({ kind: 'kernel', dims: [], label: own.label, ...step }, own, cost, why);
        return;
      }
      const kernel = this.symbols.ofKernel(item.kernel);
      const buffers = this.#kernelPlaces(plan, position, item.kernel, place);
      const parts = hasBarrier(item.kernel.fn.body) ? 0 : partsOf(cost);
      const step: Step = { kind: 'kernel', kernel, buffers, dims: [], label: own.label, parts };
      this.#push(step, own, cost, { kernel, row: item.kernel.row, why: item.kernel.why });
    });
  }

  #push(
    step: Step,
    { stage, place, label, workspaceBytes, values }: StageReporting,
    cost: StageCost,
    kernel: Pick<StageReport, 'kernel' | 'row' | 'why'>,
  ): void {
    const id = this.steps.length;
    this.steps.push(step);
    this.reports.push({
      id,
      label,
      nodes: stage.nodes,
      ops: stage.ops,
      ...kernel,
      workspaceBytes,
      ...cost,
      ...values,
      ...(place.runs === 1 ? {} : { runs: place.runs }),
    });
  }

  // ---- Control flow ----

  #control(
    plan: StagePlan,
    position: number,
    bodies: readonly StagePlan[],
    own: StageReporting,
  ): void {
    const { stage, place } = own;
    invariant(stage.body.kind === 'control', `${own.label} has no bodies`);
    const control: Control = {
      own,
      bodies,
      operands: stage.operands.map((view) => this.#refOf(plan, view, place)),
      outputs: stage.outputs.map((view) => this.#refOf(plan, view, place)),
      bytes: stage.outputs.map(({ buffer, shape }) => {
        return elementCount(shape) * dtypeBytes(at(plan.stages.buffers, buffer).dtype);
      }),
      space: (index) => spaceOf(plan, position, index, place),
    };
    const { form } = stage.body;
    if (form.kind === 'if') this.#choice(form, control);
    else this.#loop(form, control);
  }

  #choice(_form: IfForm, { own, bodies, operands, outputs, space }: Control): void {
    const [condition, ...inputs] = operands;
    const [yes, no] = bodies;
    invariant(condition !== undefined && yes && no, `${own.label} has no condition`);
    const inside = (name: string): Place => ({
      ...bodyPlace(own, space(BODY_SPACE), name),
      inputs,
      outputs,
      runs: null,
    });
    const unless = this.#decide({ kind: 'unless', condition }, own, 'runs one of two bodies');
    this.#plan(yes, inside('then'));
    const jump = this.#decide({ kind: 'jump' }, quiet(own), 'goes past the other body');
    unless(this.steps.length);
    this.#plan(no, inside('else'));
    jump(this.steps.length);
  }

  /**
   * A value that is carried has two places, the stage's output and a slot: an iteration reads one and
   * writes the other. It begins in the one that iteration 0 reads.
   */
  #loop(form: LoopForm, control: Control): void {
    const { own, bodies, operands, outputs, bytes, space } = control;
    const { carried, from, again, counts, limit } = form;
    const rule = form.rule === undefined ? '' : `: ${form.rule}`;
    const loop = this.loops.length;
    const trips = knownTrips(form);
    const number: BufferRef = counts ? at(outputs, outputs.length - 1) : space(NUMBER_SPACE);
    const [initial, captures] = [
      operands.slice(from.length),
      operands.slice(from.length + carried),
    ];
    const ends = outputs.slice(0, carried);
    const slots = ends.map((_, k) => space(CARRIED_SPACE + k));
    // Where the number of iterations is known, the last one writes the output.
    const [even, odd] = trips !== null && trips % 2 === 1 ? [slots, ends] : [ends, slots];
    const results = outputs.slice(carried, outputs.length - (counts ? 1 : 0));
    even.forEach((to, k) => {
      this.#move('copy', at(bytes, k), [at(initial, k), to], own, `value ${k} begins`);
    });
    if (counts) {
      results.forEach((to, k) => {
        this.#move('zeros', at(bytes, carried + k), [to], own, `result ${k} begins`);
      });
    }
    const isAgain: BufferRef = space(AGAIN_SPACE);
    const operand = (name: 'trips' | 'start'): BufferRef | undefined => {
      const index = from.indexOf(name);
      return index < 0 ? undefined : operands[index];
    };
    const [tripsRef, startRef] = [operand('trips'), operand('start')];
    this.loops.push({
      limit,
      limitIs: form.limitIs === 'guard' ? 'guard' : 'bound',
      iteration: number,
      ...(trips === null && tripsRef !== undefined ? { trips: tripsRef } : {}),
      ...(startRef === undefined ? {} : { start: startRef }),
      ...(again ? { again: isAgain } : {}),
      ...(trips === null ? {} : { count: trips }),
    });
    const enter = this.#decide({ kind: 'enter', loop }, own, 'runs a body again and again', rule);
    const first = this.steps.length;
    const moved = (a: BufferRef, b: BufferRef, stride: number): BufferRef => ({
      space: 'moved',
      loop,
      even: a,
      odd: b,
      stride,
    });
    const rows = results.map((to, k) => {
      const all = at(bytes, carried + k);
      const { shape } = at(own.stage.outputs, carried + k);
      return moved(to, to, all === 0 ? 0 : all / at(shape, 0));
    });
    this.#plan(at(bodies, 0), {
      ...bodyPlace(own, space(BODY_SPACE), 'body'),
      inputs: [number, ...even.map((place, k) => moved(place, at(odd, k), 0)), ...captures],
      outputs: [
        ...(again ? [isAgain] : []),
        ...even.map((place, k) => moved(at(odd, k), place, 0)),
        ...rows,
      ],
      runs: trips === null || own.place.runs === null ? null : trips * own.place.runs,
    });
    this.#decide({ kind: 'repeat', loop }, quiet(own), 'begins the next iteration', rule)(first);
    enter(this.steps.length);
    if (trips !== null || carried === 0) return;
    const skip = this.#decide({ kind: 'if-even', loop }, quiet(own), 'values may be in place');
    slots.forEach((place, k) => {
      this.#move('copy', at(bytes, k), [place, at(ends, k)], own, `value ${k} ends`);
    });
    skip(this.steps.length);
  }

  /** A step that decides on the next one; its target is told later. */
  #decide(step: Decision, own: StageReporting, why: string, rule = ''): (target: number) => void {
    const position = this.steps.length;
    const label = own.label + rule;
    const report = { kernel: step.kind, row: 'control', why };
    this.#push({ ...step, label, target: 0 }, own, NOTHING, report);
    return (target) => {
      this.steps[position] = { ...step, label, target };
    };
  }

  #move(
    what: 'copy' | 'zeros',
    bytes: number,
    buffers: readonly BufferRef[],
    own: StageReporting,
    why: string,
  ): void {
    const made = bytesKernel(what, bytes, this.#target);
    const kernel = this.symbols.ofKernel(made);
    const cost = { flops: 0, bytesRead: what === 'copy' ? bytes : 0, bytesWritten: bytes };
    const parts = partsOf(cost);
    const { label } = own;
    const step: Step = { kind: 'kernel', kernel, buffers, dims: [], label, parts };
    this.#push(step, quiet(own), cost, { kernel, row: what, why });
  }

  // ---- Places ----

  #kernelPlaces(
    plan: StagePlan,
    position: number,
    kernel: Kernel,
    place: Place,
  ): readonly BufferRef[] {
    const stage = at(plan.stages.stages, position);
    let workspaces = 0;
    return kernel.buffers.map((item): BufferRef => {
      if (item.kind === 'workspace') return spaceOf(plan, position, workspaces++, place);
      const view = viewOf(stage, item);
      if (item.kind !== 'packed') return this.#refOf(plan, view, place);
      const buffer = at(plan.stages.buffers, view.buffer);
      return { space: 'weights', offset: this.weights.packed(buffer, item) };
    });
  }

  /** A routine's operands, its outputs, and memory to work in. */
  #routinePlaces(plan: StagePlan, position: number, place: Place): readonly BufferRef[] {
    const stage = at(plan.stages.stages, position);
    const places = [...stage.operands, ...stage.outputs].map((view) => {
      const { name, layout } = at(plan.stages.buffers, view.buffer);
      const isWhole = view.offset === undefined && layout.block === 1 && !layout.halo.some(Boolean);
      invariant(isWhole, `routine ${stage.nodes.join(' + ')} sees a part of ${name}`);
      return this.#refOf(plan, view, place);
    });
    const spaces = plan.workspaces.get(position) ?? [];
    return [...places, ...spaces.map((_, index) => spaceOf(plan, position, index, place))];
  }

  #refOf({ stages, memory }: StagePlan, view: View, place: Place): BufferRef {
    const buffer = at(stages.buffers, view.buffer);
    switch (buffer.role) {
      case 'constant':
        return { space: 'weights', offset: this.weights.plain(buffer) };
      case 'input':
        return at(place.inputs, stages.inputs.indexOf(buffer.id));
      case 'output':
        return at(place.outputs, stages.outputs.indexOf(buffer.id));
      case 'temp':
        return { space: 'arena', offset: place.base + (memory.offsets.get(buffer.id) ?? 0) };
      default:
        return buffer.role satisfies never;
    }
  }
}

/** What the report says of the steps of a stage. */
interface StageReporting {
  readonly stage: Stage;
  readonly place: Place;
  readonly label: string;
  readonly workspaceBytes: number;
  readonly values: Pick<StageReport, 'reads' | 'writes'>;
}

/** Where results lie is left out: they are there when the last body is done, not behind this step. */
function unplaced({ reads, writes }: StageReporting['values']): StageReporting['values'] {
  return { reads, writes: writes.map(({ memory: _, ...write }) => write) };
}

/** The same for steps around the one that the report tells of. */
function quiet(own: StageReporting): StageReporting {
  const stage = { ...own.stage, nodes: [], ops: [] };
  return { ...own, stage, workspaceBytes: 0, values: { reads: [], writes: [] } };
}

interface Control {
  readonly own: StageReporting;
  readonly bodies: readonly StagePlan[];
  readonly operands: readonly BufferRef[];
  readonly outputs: readonly BufferRef[];
  /** Of each output. */
  readonly bytes: readonly number[];
  readonly space: (index: number) => ArenaRef;
}

type ArenaRef = Extract<BufferRef, { space: 'arena' }>;
type Decision =
  | { readonly kind: 'jump' }
  | { readonly kind: 'unless'; readonly condition: BufferRef }
  | { readonly kind: 'enter' | 'repeat' | 'if-even'; readonly loop: number };

const NOTHING: StageCost = { flops: 0, bytesRead: 0, bytesWritten: 0 };

function bodyPlace(own: StageReporting, space: ArenaRef, name: string) {
  return { base: space.offset, prefix: `${own.label}/${name}: ` };
}

function spaceOf(plan: StagePlan, position: number, index: number, place: Place): ArenaRef {
  const offset = plan.memory.workspaces.get(`${position}:${index}`) ?? 0;
  return { space: 'arena', offset: place.base + offset };
}

function viewOf(stage: Stage, item: Exclude<KernelBuffer, { kind: 'workspace' }>): View {
  return item.kind === 'output' ? at(stage.outputs, item.output) : at(stage.operands, item.operand);
}
