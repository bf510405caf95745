/**
 * Operators made of others, on tensors with room: the decomposition is asked what it makes at several
 * made-up sizes (`probe.ts`), and what it makes is built here by the rules of its parts. Numbers in it that
 * follow the sizes become numbers that a run computes; constants that only grow with the sizes, as 0, 1, 2, …
 * and causal masks do, are taken at the bound.
 */
import { at, HoneError } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { elementCount, stridesOf, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { GraphBuilder } from '../../../graph/build.ts';
import type { Attrs, AttrValue, Graph, Node, Value, ValueId } from '../../../graph/types.ts';
import { constantTensor } from '../../../graph/walk.ts';
import { type FindOp, inputOf, OpBuilder, type OpOptions } from '../../../ops/builder.ts';
import type { CompositeOp } from '../../../ops/define-op.ts';
import { type Band, bandMade, bandOf } from './band.ts';
import { type Int, mostOf, type Unknown } from './ints.ts';
import {
  areEnough,
  fitted,
  isSmall,
  type Probe,
  probedInput,
  type Probing,
  probeSets,
  probingOf,
  tensorOf,
} from './probe.ts';
import type { Use } from './rule.ts';
import { isBounded, type Sized } from './sized.ts';

/** Factors of products that follow the sizes, as that of attention does, stand as numbers of their own. */
class LooseBuilder extends OpBuilder {
  override ops(
    op: string,
    inputs: readonly (ValueId | null)[],
    attrs: Attrs = {},
    options: OpOptions = {},
  ): readonly ValueId[] {
    const { alpha, ...rest } = attrs;
    if (op !== 'FusedMatMul' || alpha === undefined) return super.ops(op, inputs, attrs, options);
    const made = super.ops(op, inputs, rest, options);
    const factor = this.scalar(Number(alpha), this.typeOf(at(made, 0)).dtype);
    return super.ops('Mul', [at(made, 0), factor]);
  }
}

/** What a decomposition makes at one set of sizes. */
export interface Draft {
  readonly graph: Graph;
  readonly outputs: readonly ValueId[];
}

/** Lists of more numbers are not looked at one by one. */
const MAX_NUMBERS = 64;

/** `held`: extents that nothing in it but the extents of its parts follows; they are at their bound. */
export function expanded(
  use: Use,
  def: CompositeOp,
  held: readonly Unknown[] = [],
): readonly Sized[] {
  const probing = probingOf(use, held);
  const sets = probeSets(probing);
  const reasons: string[] = [];
  for (const isLoose of [false, true]) {
    for (const set of sets) {
      const plan = planOf(use, def, probing, set, isLoose);
      if (typeof plan !== 'string') return replayed(use, plan.draft, plan.constants);
      reasons.push(plan);
    }
  }
  return use.s.cannot(at(reasons, 0));
}

interface Plan {
  readonly draft: Draft;
  readonly constants: ReadonlyMap<ValueId, Kept>;
}

/** What it is made of at all of these sizes, or why that is not known. */
function planOf(
  use: Use,
  def: CompositeOp,
  probing: Probing,
  set: readonly Probe[],
  isLoose: boolean,
): Plan | string {
  const drafts: Draft[] = [];
  const probes: Probe[] = [];
  let why = 'its parts were not recognised';
  for (const probe of set) {
    const made = draft(use, def, probe, isLoose);
    if (typeof made === 'string') why = made;
    else {
      drafts.push(made);
      probes.push(probe);
    }
  }
  const [first] = drafts;
  if (first === undefined || !areEnough(probing, probes)) return why;
  if (!drafts.every((other) => isAlike(first, other)))
    return 'what it is made of differs with the sizes';
  const constants = constantsOf(use, probing, probes, drafts);
  return typeof constants === 'string' ? constants : { draft: first, constants };
}

/** What it makes at these sizes, or why nothing; `isLoose`: factors are numbers of their own. */
export function draft(use: Use, def: CompositeOp, probe: Probe, isLoose: boolean): Draft | string {
  const { b } = use.s;
  const find: FindOp = (name, domain) => b.find(name, domain);
  const graph = new GraphBuilder('draft');
  const scratch = isLoose ? new LooseBuilder(graph, find) : new OpBuilder(graph, find);
  try {
    const inputs = use.inputs.map((x, k) => {
      if (x === null) return null;
      const value = b.graph.value(x.id);
      if (value.constant !== undefined && !isBounded(x))
        return scratch.graph.storedConstant(value.constant, value.type);
      const probed = probedInput(use, x, probe);
      const tensor = tensorOf(probed);
      return tensor === undefined
        ? scratch.graph.input(`x${k}`, probed.type)
        : scratch.constant(tensor);
    });
    const seen = inputs.map((id) => (id === null ? null : inputOf(scratch.graph.value(id))));
    const ctx = { node: use.s.node, op: use.op, inputs: seen, attrs: use.attrs };
    const types = def.infer({ ...ctx, outputCount: use.outputs });
    if (!types.every(({ shape }) => isSmall(shape))) return 'it is too large';
    const made = def.decompose(scratch, inputs, {
      ...ctx,
      outputCount: use.outputs,
      outputs: types,
    });
    if (typeof made === 'string') return made;
    return { graph: scratch.graph.finish(made), outputs: made };
  } catch (cause) {
    if (cause instanceof HoneError) return `extents do not fit (${cause.message})`;
    throw cause;
  }
}

export function isAlike(a: Draft, b: Draft): boolean {
  const same = (x: readonly unknown[], y: readonly unknown[]): boolean => x.join() === y.join();
  return (
    same(a.outputs, b.outputs) &&
    a.graph.values.length === b.graph.values.length &&
    a.graph.values.every((value, i) => {
      const other = at(b.graph.values, i);
      return (
        (value.constant === undefined) === (other.constant === undefined) &&
        value.type.dtype === other.type.dtype &&
        value.type.shape.length === other.type.shape.length
      );
    }) &&
    a.graph.nodes.length === b.graph.nodes.length &&
    a.graph.nodes.every((node, i) => isSameNode(node, at(b.graph.nodes, i)))
  );
}

function isSameNode(a: Node, b: Node): boolean {
  return (
    a.op === b.op &&
    a.domain === b.domain &&
    a.inputs.join() === b.inputs.join() &&
    Object.keys(a.attrs).join() === Object.keys(b.attrs).join() &&
    Object.entries(a.attrs).every(([name, value]) => isSameAttr(value, b.attrs[name]))
  );
}

function isSameAttr(a: AttrValue | undefined, b: AttrValue | undefined): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.join() === b.join();
  if ('dtype' in a && 'dtype' in b) return isSameTensor(a as Tensor, b as Tensor);
  return false;
}

function isSameTensor(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  if (a.data === b.data) return true;
  if (a.dtype === 'string') return a.data.join('\0') === (b.data as readonly string[]).join('\0');
  const [x, y] = [toNumbers(a), toNumbers(b)];
  return x.every((value, i) => Object.is(value, y[i]));
}

/** A constant of a draft: as it is, as numbers of the run, or with room. */
type Kept =
  | { readonly kind: 'as is'; readonly value: Value }
  | { readonly kind: 'numbers'; readonly items: readonly Int[]; readonly value: Value }
  | { readonly kind: 'inverse'; readonly of: Int; readonly root: boolean; readonly value: Value }
  | { readonly kind: 'band'; readonly band: Band; readonly value: Value }
  | { readonly kind: 'room'; readonly tensor: Tensor; readonly sizes: readonly Int[] };

function constantsOf(
  use: Use,
  probing: Probing,
  probes: readonly Probe[],
  drafts: readonly Draft[],
): ReadonlyMap<ValueId, Kept> | string {
  const kept = new Map<ValueId, Kept>();
  const first = at(drafts, 0);
  for (const value of first.graph.values) {
    if (value.constant === undefined || isOwn(use, value.id)) continue;
    const all = drafts.map(({ graph }) => at(graph.values, value.id));
    const made = keptOf(probing, probes, all);
    if (made === undefined) return 'numbers in it follow the sizes in a way that is not known';
    kept.set(value.id, made);
  }
  return kept;
}

/** Inputs come first, in order; those that are constants are the node's own. */
const isOwn = (use: Use, id: ValueId): boolean =>
  id < use.inputs.filter((input) => input !== null).length;

function keptOf(
  probing: Probing,
  probes: readonly Probe[],
  all: readonly Value[],
): Kept | undefined {
  const value = at(all, 0);
  if (all.every((other) => other.constant === value.constant)) return { kind: 'as is', value };
  const tensors = all.map((other) => constantTensor(other));
  const tensor = at(tensors, 0);
  if (tensors.every((other) => isSameTensor(tensor, other))) return { kind: 'as is', value };
  if (tensor.dtype === 'string') return undefined;
  const isFixed = tensors.every(({ shape }) => shape.join() === tensor.shape.join());
  const count = elementCount(tensor.shape);
  if (isFixed && tensor.shape.length <= 1 && count <= MAX_NUMBERS) {
    const lists = tensors.map((other) => [...toNumbers(other)]);
    if (!isFloat(tensor.dtype) || count === 1) {
      const items = Array.from({ length: count }, (_, i) =>
        fitted(
          probing,
          probes,
          lists.map((list) => at(list, i)),
        ),
      );
      if (items.every((item) => item !== undefined)) return { kind: 'numbers', items, value };
    }
    if (!isFloat(tensor.dtype) || count !== 1) return undefined;
    return inverseOf(
      probing,
      probes,
      lists.map((list) => at(list, 0)),
      value,
    );
  }
  if (isFixed) return undefined;
  const sizes = tensor.shape.map((_, axis) =>
    fitted(
      probing,
      probes,
      tensors.map(({ shape }) => at(shape, axis)),
    ),
  );
  if (!sizes.every((size) => size !== undefined)) return undefined;
  const bounds = sizes.map(mostOf);
  const band = bandOf(probing, probes, tensors, sizes);
  if (band !== undefined) return { kind: 'band', band, value };
  if (!isSmall(bounds) || !tensors.every((other) => isPrefixOf(other, tensor))) return undefined;
  const whole = tensors.find(({ shape }) =>
    shape.every((extent, axis) => extent >= at(bounds, axis)),
  );
  return whole === undefined ? undefined : { kind: 'room', tensor: begin(whole, bounds), sizes };
}

/** 1 / n, or 1 / √n, of a number n that follows the sizes. */
function inverseOf(
  probing: Probing,
  probes: readonly Probe[],
  values: readonly number[],
  value: Value,
): Kept | undefined {
  for (const root of [false, true]) {
    const power = (n: number): number => (root ? Math.sqrt(n) : n);
    const whole = values.map((x) => Math.round(root ? 1 / (x * x) : 1 / x));
    const isClose = whole.every((n, k) => Math.fround(1 / power(n)) === Math.fround(at(values, k)));
    const of = isClose ? fitted(probing, probes, whole) : undefined;
    if (of !== undefined) return { kind: 'inverse', of, root, value };
  }
  return undefined;
}

/** Do both have the same elements where both have any? */
function isPrefixOf(a: Tensor, b: Tensor): boolean {
  const shape = a.shape.map((extent, axis) => Math.min(extent, at(b.shape, axis)));
  return isSameTensor(begin(a, shape), begin(b, shape));
}

/** The begin of every axis. */
function begin(x: Tensor, shape: readonly number[]): Tensor {
  if (x.shape.join() === shape.join() || x.dtype === 'string') return x;
  const strides = stridesOf(x.shape);
  const own = stridesOf(shape);
  const count = elementCount(shape);
  const source = x.data;
  const out = source.slice(0, count);
  for (let p = 0; p < count; p++) {
    let from = 0;
    shape.forEach((extent, axis) => {
      from += (Math.floor(p / at(own, axis)) % extent) * at(strides, axis);
    });
    out[p] = source[from] as never;
  }
  return { ...x, shape, data: out } as Tensor;
}

/** The draft's nodes, each by its own rule. */
function replayed(use: Use, { graph, outputs }: Draft, constants: ReadonlyMap<ValueId, Kept>) {
  const made = new Map<ValueId, Sized>();
  const present = use.inputs.flatMap((input) => input ?? []);
  for (const [id, input] of present.entries()) made.set(id, input);
  const read = (id: ValueId): Sized => {
    const have = made.get(id);
    if (have !== undefined) return have;
    const built = builtOf(use, constants.get(id));
    made.set(id, built);
    return built;
  };
  for (const node of graph.nodes) {
    const results = use.apply({
      op: node.op,
      domain: node.domain,
      attrs: node.attrs,
      inputs: node.inputs.map((id) => (id === null ? null : read(id))),
      outputs: node.outputs.length,
    });
    node.outputs.forEach((id, k) => {
      made.set(id, at(results, k));
    });
  }
  return outputs.map(read);
}

function builtOf(use: Use, kept: Kept | undefined): Sized {
  const { s, ints } = use;
  if (kept === undefined) return s.cannot('a value of it is not known');
  if (kept.kind === 'band') return bandMade(use, kept.band, kept.value.type.dtype);
  if (kept.kind === 'room') return s.made(s.b.constant(kept.tensor), kept.sizes);
  const { constant, type } = kept.value;
  if (kept.kind === 'as is') {
    if (constant === undefined) return s.cannot('a value of it is not known');
    return { id: s.b.graph.storedConstant(constant, type), sizes: type.shape };
  }
  if (kept.kind === 'inverse') {
    const n = s.cast(ints.id(kept.of), 'f64');
    const inverse = s.b.op('Reciprocal', [kept.root ? s.b.op('Sqrt', [n]) : n]);
    return { id: s.reshape(s.cast(inverse, type.dtype), type.shape), sizes: type.shape };
  }
  const id = type.shape.length === 0 ? ints.id(at(kept.items, 0)) : ints.list(kept.items);
  return { id: s.cast(id, type.dtype), sizes: type.shape };
}
