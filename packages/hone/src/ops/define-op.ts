/**
 * One record per operator. It feeds the importer (attributes, defaults, upgrades), shape inference,
 * the interpreter (reference), the compiler (lower or decompose), the support table and the tests.
 *
 * An operator is exactly one of: `core` (lowers to stages), `composite` (decomposes into other
 * operators), `control` (runs sub-graphs, which are compiled as bodies), `host` (interpreter only: it
 * folds on constants but has no compiled form yet).
 */
import type { DType } from 'hone-runtime/base/dtype';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { HostAttrs } from 'hone-runtime/host/program';
import type { Attrs, Graph, ValueId, ValueType } from '../graph/types.ts';
import type { LoopForm, StageBody } from '../stages/types.ts';
import type { OpBuilder } from './builder.ts';

export type AttrType =
  | 'int'
  | 'float'
  | 'string'
  | 'ints'
  | 'floats'
  | 'strings'
  | 'tensor'
  | 'graph'
  | 'graphs';

export interface AttrSpec {
  readonly type: AttrType;
  /** Absent and not required: the attribute may be missing from `attrs`. */
  readonly default?: number | string | readonly number[] | readonly string[];
  readonly required?: boolean;
}

/** What inference and lowering know of an input. `constant` is read only where values matter. */
export interface OpInput {
  readonly type: ValueType;
  /** The elements, when known at compile time. */
  readonly constant: (() => Tensor) | null;
}

export interface InferContext {
  /** The node's name, for errors. */
  readonly node: string;
  readonly op: string;
  readonly inputs: readonly (OpInput | null)[];
  readonly attrs: Attrs;
  /** Number of outputs the model asks for. */
  readonly outputCount: number;
}

export interface LowerContext extends InferContext {
  readonly outputs: readonly ValueType[];
}

/** An older form of a node, as imported, before it is brought to the current meaning. */
export interface OldNode {
  readonly name: string;
  readonly op: string;
  readonly opset: number;
  readonly inputs: readonly (ValueId | null)[];
  readonly attrs: Attrs;
}

export interface TestCase {
  readonly note?: string;
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs?: Attrs;
  /** Default 1. */
  readonly outputs?: number;
}

export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** A routine of hone-runtime's `host` that computes a node, where no kernel can: on texts. */
export interface HostCall {
  readonly routine: string;
  readonly attrs: HostAttrs;
}

interface OpCommon {
  readonly name: string;
  /** '' for ai.onnx (the default). */
  readonly domain?: string;
  /** One line. */
  readonly doc: string;
  /** The opset whose meaning this record has (the newest change of the operator). */
  readonly since: number;
  readonly attrs: Readonly<Record<string, AttrSpec>>;
  /**
   * Brings a node of an older opset to the current form: returns the changed inputs and attributes
   * (constants for attributes that became inputs are made with `b.constant`). Runs when the model's
   * opset is below `since`. Absent: older forms mean the same.
   */
  readonly upgrade?: (
    b: OpBuilder,
    node: OldNode,
  ) => {
    readonly inputs: readonly (ValueId | null)[];
    readonly attrs: Attrs;
    readonly op?: string;
  };
  /** Output types. Throws HONE-SHAPE-… / HONE-OP-… (see ops/checks.ts) on inputs that do not fit. */
  readonly infer: (ctx: InferContext) => readonly ValueType[];
  /** Independent definition as plain loops; the oracle. Returns one tensor per output. */
  readonly reference: (
    inputs: readonly (Tensor | null)[],
    attrs: Attrs,
    ctx: ReferenceContext,
  ) => readonly Tensor[];
  /**
   * The node as a step of the Node runtime; asked only where it reads or gives texts. Undefined: it moves
   * texts to places that are known.
   */
  readonly hostCall?: (ctx: LowerContext) => HostCall | undefined;
  readonly tolerance?: Partial<Record<DType, Tolerance>>;
  /**
   * C of routines that `lower` names and Hone does not have: each text defines
   * `hone_rt_NAME(HONE_RT_ARGS)`, as native/routines.h does.
   */
  readonly kernels?: Readonly<Record<string, string>>;
  readonly cases?: () => readonly TestCase[];
}

export interface ReferenceContext {
  readonly node: string;
  readonly outputTypes: readonly ValueType[];
  /** Runs a sub-graph (control flow). */
  readonly run: (graph: Graph, inputs: readonly Tensor[]) => readonly Tensor[];
}

export interface CoreOp extends OpCommon {
  readonly kind: 'core';
  /**
   * One stage body per output (a routine: exactly one body for all outputs). Operand k of every
   * body is the node's input k; absent inputs are never loaded. Returns a reason (string) where
   * this use has no compiled form.
   */
  readonly lower: (ctx: LowerContext) => readonly StageBody[] | string;
}

export interface CompositeOp extends OpCommon {
  readonly kind: 'composite';
  /** The same outputs computed by other operators. Returns a reason where this use has no form. */
  readonly decompose: (
    b: OpBuilder,
    inputs: readonly (ValueId | null)[],
    ctx: LowerContext,
  ) => readonly ValueId[] | string;
}

/**
 * How a control operator runs its sub-graphs. `operands` are positions among the node's inputs, in the order
 * that stages of control flow have theirs (see stages/types.ts).
 */
export type ControlForm =
  | {
      readonly kind: 'if';
      readonly operands: readonly number[];
      readonly then: Graph;
      readonly else: Graph;
    }
  | (Omit<LoopForm, 'body'> & { readonly operands: readonly number[]; readonly body: Graph });

export interface ControlOp extends OpCommon {
  readonly kind: 'control';
  /**
   * The same outputs without this operator, where that is better than running its sub-graphs, or the
   * only way; undefined where the node stays. Returns a reason where there is no way.
   */
  readonly decompose: (
    b: OpBuilder,
    inputs: readonly (ValueId | null)[],
    ctx: LowerContext,
  ) => readonly ValueId[] | string | undefined;
  /** How the node runs. */
  readonly control: (ctx: LowerContext) => ControlForm;
}

export interface HostOp extends OpCommon {
  readonly kind: 'host';
  /** Why it has no compiled form. */
  readonly reason: string;
  /** Where data decides its sizes, the importer makes other operators of it. */
  readonly isPlanned?: true;
}

export type OpDef = CoreOp | CompositeOp | ControlOp | HostOp;

/** Identity that freezes the record. */
export function defineOp<T extends OpDef>(def: T): T {
  return Object.freeze(def);
}
