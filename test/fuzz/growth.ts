/**
 * A graph while it grows at random. Every node is evaluated when it is added, so that a step knows
 * the values it builds on: what is not finite, too large or too many is given up.
 */
import type { AttrValue, Attrs, Graph, ValueId, ValueType } from 'hone/graph/types';
import { completeAttrs, type OpBuilder } from 'hone/ops/builder';
import { evaluateNode } from 'hone/ops/interpret';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { compactGraph } from 'hone/passes/compact';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat } from 'hone-runtime/base/dtype';
import type { Random } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';

/** A value that later steps may read. */
export interface Grown {
  readonly id: ValueId;
  readonly type: ValueType;
  readonly tensor: Tensor;
}

/** A random graph with inputs to run it on. */
export interface RandomGraph {
  readonly graph: Graph;
  readonly inputs: readonly Tensor[];
}

/** One step: adds nodes, or nothing where the values at hand do not fit. */
export type Step = (g: Growth) => void;

/** How elements are drawn: multiples of a quarter (with ties and zeros), or anything. */
export type Style = 'coarse' | 'smooth';

const MAX_ELEMENTS = 30_000;
/** Larger values say nothing new and overflow soon. */
const LIMITS: Partial<Record<DType, number>> = { f32: 1e4, f64: 1e4, f16: 200, bf16: 200 };
const INTEGER_LIMIT = 1e6;

export class Growth {
  readonly b: OpBuilder = opBuilder('fuzz');
  readonly random: Random;
  readonly values: Grown[] = [];
  /** What most of the graph is computed in. */
  readonly float: DType;
  readonly #style: Style;
  readonly #isBody: boolean;
  readonly #inputs: Tensor[] = [];
  readonly #tensors = new Map<ValueId, Tensor>();

  /** `around`: it is a sub-graph of that one. */
  constructor(random: Random, around?: Growth) {
    this.random = random;
    this.#isBody = around !== undefined;
    this.float = around?.float ?? (this.chance(0.9) ? 'f32' : this.among(['f16', 'bf16', 'f64']));
    this.#style = this.chance(0.3) ? 'coarse' : 'smooth';
  }

  readonly isFloat = ({ dtype }: ValueType): boolean => dtype === this.float;

  readonly isImage = ({ dtype, shape }: ValueType): boolean =>
    dtype === this.float && shape.length === 4 && shape.every((extent) => extent > 0);

  readonly isMatrix = ({ dtype, shape }: ValueType): boolean =>
    dtype === this.float && shape.length >= 2 && shape.every((extent) => extent > 0);

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  among<T>(items: readonly T[]): T {
    return items[this.random.integer(items.length)] as T;
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + this.random.integer(high - low + 1);
  }

  /** A value that fits: the newest mostly, so that chains arise. */
  pick(fits: (type: ValueType) => boolean = () => true): Grown | undefined {
    const all = this.values.filter((value) => fits(value.type));
    return this.chance(0.65) ? all.at(-1) : all[this.random.integer(all.length)];
  }

  input(dtype: DType, shape: readonly number[]): Grown {
    return this.inputOf(this.tensor(dtype, shape));
  }

  /** An input that holds these elements when the graph is run. */
  inputOf(tensor: Tensor): Grown {
    const { dtype, shape } = tensor;
    const id = this.b.graph.input(`x${this.#inputs.length}`, { dtype, shape });
    this.#inputs.push(tensor);
    return this.#add(id, tensor);
  }

  /** A scalar that is data: an input, or in sub-graphs some value that does not exceed it. */
  datum(tensor: Tensor): ValueId {
    if (!this.#isBody) return this.inputOf(tensor).id;
    const [most = 0] = toNumbers(tensor);
    const fit = this.values.filter(({ type, tensor: own }) => {
      const isLike = type.dtype === tensor.dtype && type.shape.length === 0;
      return isLike && (toNumbers(own)[0] ?? 0) <= most;
    });
    return fit.length === 0 ? this.hold(tensor) : this.among(fit).id;
  }

  /** A constant of drawn elements, times `scale`. */
  constant(shape: readonly number[], scale = 1, dtype: DType = this.float): ValueId {
    return this.hold(this.tensor(dtype, shape, scale));
  }

  hold(tensor: Tensor): ValueId {
    const id = this.b.constant(tensor);
    this.#tensors.set(id, tensor);
    return id;
  }

  ints(values: readonly number[]): ValueId {
    return this.hold(fromNumbers('i64', [values.length], values));
  }

  scalar(value: number, dtype: DType = this.float): ValueId {
    return this.hold(fromNumbers(dtype, [], [value]));
  }

  /** Whole numbers in [low, high]. */
  integers(shape: readonly number[], low: number, high: number, dtype: DType = 'i64'): Tensor {
    const count = elementCount(shape);
    return fromNumbers(
      dtype,
      shape,
      Float64Array.from({ length: count }, () => this.between(low, high)),
    );
  }

  tensor(dtype: DType, shape: readonly number[], scale = 1): Tensor {
    const count = elementCount(shape);
    if (dtype === 'bool') return this.integers(shape, 0, 1, 'bool');
    if (!isFloat(dtype)) return this.integers(shape, dtype.startsWith('u') ? 0 : -9, 9, dtype);
    const draw = (): number =>
      this.#style === 'coarse'
        ? this.between(-6, 6) / 4
        : Math.max(-2.5, Math.min(2.5, this.random.normal()));
    return fromNumbers(
      dtype,
      shape,
      Float64Array.from({ length: count }, () => draw() * scale),
    );
  }

  /** Adds a node and its values; undefined where it does not fit, or its values go too far. */
  ops(
    op: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs = {},
    outputs = 1,
    domain = '',
  ): readonly Grown[] | undefined {
    const def = standardRegistry.find(op, domain);
    if (def === undefined) throw new TypeError(`no operator ${op}`);
    try {
      const ids = this.b.ops(op, inputs, attrs, { outputs, domain });
      const types = ids.map((id) => this.b.typeOf(id));
      if (types.some(({ shape }) => elementCount(shape) > MAX_ELEMENTS)) return undefined;
      const full = completeAttrs(def, attrs, op);
      const tensors = evaluateNode(
        { op, domain, name: op, inputs, outputs: ids, attrs: full },
        inputs.map((id) => (id === null ? null : this.tensorOf(id))),
        types,
      );
      if (!tensors.every(isSane)) return undefined;
      return ids.map((id, i) => this.#add(id, tensors[i] as Tensor));
    } catch (error) {
      if (error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL')) return undefined;
      throw error;
    }
  }

  op(
    op: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs = {},
    domain = '',
  ): Grown | undefined {
    return this.ops(op, inputs, attrs, 1, domain)?.[0];
  }

  tensorOf(id: ValueId): Tensor {
    const tensor = this.#tensors.get(id);
    if (tensor === undefined) throw new TypeError(`value ${id} has no elements`);
    return tensor;
  }

  finish(outputs: readonly ValueId[]): RandomGraph {
    const graph = this.b.graph.finish(outputs);
    // Dead nodes stay, unless one of them cannot even be interpreted.
    const known = graph.nodes.every((node) => node.outputs.every((id) => this.#tensors.has(id)));
    return { graph: known ? graph : compactGraph(graph, new Map()), inputs: this.#inputs };
  }

  #add(id: ValueId, tensor: Tensor): Grown {
    const grown = { id, type: this.b.typeOf(id), tensor };
    this.#tensors.set(id, tensor);
    this.values.push(grown);
    return grown;
  }
}

function isSane(tensor: Tensor): boolean {
  if (tensor.dtype === 'string') return false;
  const limit = LIMITS[tensor.dtype] ?? INTEGER_LIMIT;
  return toNumbers(tensor).every((value) => Math.abs(value) <= limit);
}

/** Attributes without the absent ones. */
export function attrsOf(all: Readonly<Record<string, AttrValue | undefined>>): Attrs {
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, AttrValue] => entry[1] !== undefined),
  );
}
