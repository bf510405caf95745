/**
 * The Stages form: what will become one kernel each.
 *
 * A stage body is pure data over named axes: output axes `i0, i1, …`, reduction axes `r0, r1, …`.
 * Values are expressions that load operands by logical index. Layouts belong to buffers and never
 * appear in expressions: addresses are made when a stage is lowered to loops.
 */
import type { Constant } from '../graph/types.ts';
import type { DType } from 'hone-runtime/base/dtype';
import type { Expr } from '../expr/types.ts';

/** Operand k is loaded as `load('k', …)`: its decimal position. */
export type OperandName = `${number}`;

/** For every index in `axes` (named i0…): out[outIndex] = value. */
export interface MapBody {
  readonly kind: 'map';
  readonly axes: readonly number[];
  /** Position written, one expression per output dimension; the identity for plain maps. */
  readonly outIndex: readonly Expr[];
  readonly value: Expr;
}

export type ReduceOp = 'sum' | 'prod' | 'max' | 'min' | 'argmax' | 'argmin' | 'any' | 'all';

/**
 * For every index in `axes`: the steps run one after the other, each folding `value` over all
 * `reduceAxes` (named r0…); a step may use `acc` of earlier steps. Then `value` is written:
 * once per outer index, or (`spans: 'all'`) once per outer and reduction index, as softmax does.
 * argmax/argmin fold a value over exactly one reduction axis and give its i64 position
 * (the first of equals; the last with `lastOfEquals`).
 */
export interface ReduceStep {
  readonly op: ReduceOp;
  readonly value: Expr;
  /** Accumulator's dtype. */
  readonly dtype: DType;
  readonly lastOfEquals?: boolean;
}

export interface ReduceBody {
  readonly kind: 'reduce';
  readonly axes: readonly number[];
  readonly reduceAxes: readonly number[];
  readonly steps: readonly ReduceStep[];
  readonly spans: 'outer' | 'all';
  readonly outIndex: readonly Expr[];
  readonly value: Expr;
}

/** Convolution in named terms; spatial lists have one entry per spatial axis. */
export interface ConvSpec {
  readonly kind: 'conv';
  readonly batch: number;
  readonly group: number;
  /** Channels in all, of all groups. */
  readonly ic: number;
  readonly oc: number;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padBegin: readonly number[];
}

/** Batched matrix product in named terms. */
export interface MatMulSpec {
  readonly kind: 'matmul';
  /** Output batch extents (broadcast). */
  readonly batch: readonly number[];
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** a is stored [.., k, m] / b is stored [.., n, k]. */
  readonly transA: boolean;
  readonly transB: boolean;
}

/**
 * A matrix product of a row-major left side and weights of `bits` bits, packed along k in blocks of
 * `block` with a scale each. b is `(weight - zero point) · scale`, so its scale is b's last factor.
 */
export interface BlockwiseSpec {
  readonly kind: 'blockwise';
  readonly n: number;
  readonly k: number;
  readonly bits: number;
  readonly block: number;
}

/** Anything else that sums products, e.g. transposed convolution; lowered naively. */
export interface GeneralSpec {
  readonly kind: 'general';
}

/**
 * out[outIndex] = epilogue, where acc(0) = Σ over reduceAxes of a · b (accumulated in `accDtype`).
 * `a` and `b` are the general meaning; `spec` is the same thing in named terms, from which fast
 * kernels are built. Operand 0 is a, operand 1 is b (the weights); later operands belong to the
 * epilogue (bias, residual, …).
 */
export interface ContractBody {
  readonly kind: 'contract';
  readonly axes: readonly number[];
  readonly reduceAxes: readonly number[];
  readonly a: Expr;
  readonly b: Expr;
  readonly accDtype: DType;
  readonly outIndex: readonly Expr[];
  readonly epilogue: Expr;
  readonly spec: ConvSpec | MatMulSpec | BlockwiseSpec | GeneralSpec;
}

/** A hand-written C routine of `kernels/routines`, by name, with integer parameters. All outputs at once. */
export interface RoutineBody {
  readonly kind: 'routine';
  readonly routine: string;
  readonly dims: readonly number[];
  /** Real-valued parameters. */
  readonly scalars: readonly number[];
  /** Memory to work in, behind the outputs; absent: none. */
  readonly workspaceBytes?: number;
  /** Bytes that it reads, roughly; absent: each operand once. */
  readonly bytesRead?: number;
}

/** The output is operand 0's elements in the same row-major order under another shape: no code. */
export interface AliasBody {
  readonly kind: 'alias';
}

/**
 * The operands one after the other: operand k is copied to the output from position offsets[k]
 * along `axis`. Fusion turns it into writes of the producers where it can. Operands agree with the
 * output in dtype and in every other extent.
 */
export interface ConcatBody {
  readonly kind: 'concat';
  readonly axis: number;
  readonly offsets: readonly number[];
}

/**
 * Control flow with bodies of its own. What crosses the border of a body lies there row-major; the
 * buffers of a body's inputs are those of the stage's operands, nothing is copied.
 */
export interface ControlBody {
  readonly kind: 'control';
  readonly form: IfForm | LoopForm;
}

/** Operands: a bool, then the inputs of both bodies. Outputs: those of the body that runs. */
export interface IfForm {
  readonly kind: 'if';
  readonly then: StageGraph;
  readonly else: StageGraph;
}

/**
 * Operands: what `from` names, then the carried values at the start, then what the body reads from
 * outside. The body's inputs: its number (i64), the carried values, what it reads from outside. Its
 * outputs: with `again`, a bool: is there another iteration? Then the carried values, then one row of
 * each stacked result. Outputs of the stage: the carried values at the end, the stacked results and,
 * with `counts`, the number of iterations (i64); rows of iterations that did not run are then zero.
 */
export interface LoopForm {
  readonly kind: 'loop';
  readonly body: StageGraph;
  readonly carried: number;
  /** Operands at the front: `trips` (i64) iterations at most, `start` (bool): is there a first one? */
  readonly from: readonly ('trips' | 'start')[];
  readonly again: boolean;
  readonly counts: boolean;
  /**
   * Iterations. `exactly`: so many run (there is no `from` and no `again`). `bound`: more is an error, for
   * there is no room. `guard`: more is taken for a loop without end.
   */
  readonly limit: number;
  readonly limitIs: 'exactly' | 'bound' | 'guard';
  /** What a run says that goes beyond the bound. */
  readonly rule?: string;
}

export type StageBody =
  | MapBody
  | ReduceBody
  | ContractBody
  | RoutineBody
  | ControlBody
  | ConcatBody
  | AliasBody;

/** Does the stage see whole row-major buffers only, and nothing of it is an expression? */
export function isOpaque(body: StageBody): body is RoutineBody | ControlBody {
  return body.kind === 'routine' || body.kind === 'control';
}

/** Applies a function to the graphs of control flow. */
export function mapBodies(
  body: ControlBody,
  change: (graph: StageGraph) => StageGraph,
): ControlBody {
  const { form } = body;
  return form.kind === 'if'
    ? { ...body, form: { ...form, then: change(form.then), else: change(form.else) } }
    : { ...body, form: { ...form, body: change(form.body) } };
}

/** Stages of a graph and of the bodies inside it, a body's behind its own stage. */
export function allStages(graph: StageGraph): readonly Stage[] {
  return graph.stages.flatMap((stage) => [
    stage,
    ...bodiesOf(stage.body).flatMap(([, inner]) => allStages(inner)),
  ]);
}

/** The graphs that a body holds, with what they are called. */
export function bodiesOf(body: StageBody): readonly (readonly [string, StageGraph])[] {
  if (body.kind !== 'control') return [];
  const { form } = body;
  return form.kind === 'if'
    ? [
        ['then', form.then],
        ['else', form.else],
      ]
    : [['body', form.body]];
}

/**
 * How a buffer's elements lie in memory. `block` 1: row-major. `block` b > 1 (rank 4 only):
 * [N][ceil(C/b)][H][W][b]. `halo` (rank 4): borders around H and W: top, left, bottom, right; their
 * elements are `fill` (default 0), the zero point of quantised data.
 * Lanes past C are unspecified and never influence a real lane.
 */
export interface Layout {
  readonly block: number;
  readonly halo: readonly [number, number, number, number];
  readonly fill?: number;
}

export const PLAIN: Layout = Object.freeze({
  block: 1,
  halo: Object.freeze([0, 0, 0, 0] as const),
});

export type BufferId = number & { readonly brand?: 'BufferId' };

export interface Buffer {
  readonly id: BufferId;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly layout: Layout;
  readonly role: 'input' | 'output' | 'constant' | 'temp';
  readonly constant?: Constant;
}

/**
 * A buffer as a stage sees it. Without `offset`: the whole buffer, under any shape of the same
 * row-major order (reshape without a copy; then the buffer is plain). With `offset`: the region of
 * that shape at that position (a concatenation's part or a slice); ranks agree.
 */
export interface View {
  readonly buffer: BufferId;
  readonly shape: readonly number[];
  readonly offset?: readonly number[];
}

export interface Stage {
  readonly id: number;
  /** Names of the model's nodes it carries out, in order. */
  readonly nodes: readonly string[];
  /** Operators of those nodes, in the same order. */
  readonly ops: readonly string[];
  readonly operands: readonly View[];
  readonly outputs: readonly View[];
  readonly body: Exclude<StageBody, AliasBody | ConcatBody>;
}

/** Why two neighbours did not become one stage. */
export interface FusionNote {
  readonly node: string;
  readonly reason: string;
}

export interface StageGraph {
  readonly name: string;
  readonly inputs: readonly BufferId[];
  readonly outputs: readonly BufferId[];
  readonly buffers: readonly Buffer[];
  /** In execution order. */
  readonly stages: readonly Stage[];
  readonly notes: readonly FusionNote[];
}
