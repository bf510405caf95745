/**
 * Sizes that depend on data: the importer plans them at their bound. A table of rules says how operators
 * work on tensors with room for more than is meant (`sized.ts`); numbers that decide sizes are followed
 * through the model's shape arithmetic (`ints.ts`), and bounded by interval analysis (`interval.ts`).
 * docs/adr/0010-data-dependent-sizes.md says why it is done here.
 */
import type { AttrValue, ValueId } from '../../../graph/types.ts';
import { completeAttrs, type OpBuilder } from '../../../ops/builder.ts';
import type { CompositeOp } from '../../../ops/define-op.ts';
import { type BoundedEntity, type Entity, failBounded } from '../entities.ts';
import type { Bounds } from './bounds.ts';
import { byCases } from './cases.ts';
import { axesInput, withChosenAxes } from './chosen-axes.ts';
import { COMPOSITES } from './composites.ts';
import { CONTRACTION } from './contraction.ts';
import { CONVOLUTION } from './convolution.ts';
import { DECIDED } from './decided.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { expanded } from './expand.ts';
import { groupQueryAttention } from './group-query.ts';
import { INDEXING } from './indexing.ts';
import { numbersOf } from './ints.ts';
import { MOVEMENT } from './movement.ts';
import { GLOBAL_POOLS, NORMALIZATION } from './normalization.ts';
import { PARALLEL } from './parallel.ts';
import { POOLS } from './pools.ts';
import { PICTURES } from './pictures.ts';
import { PRODUCERS } from './producers.ts';
import { PRODUCTS } from './products.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCTION } from './reduction.ts';
import { RESAMPLE } from './resample.ts';
import type { PartNode, Rule, Use } from './rule.ts';
import { shapeArithmetic } from './shape-arithmetic.ts';
import { isBounded, type Sized, Sizing } from './sized.ts';
import { SIGNAL } from './signal.ts';
import { SLICING } from './slicing.ts';
import { stackingLoop } from './stacking-loop.ts';
import { isRefusal } from './spans.ts';
import { SUPPRESSION } from './suppression.ts';
import { TEXTS } from './texts.ts';
import { TOKEN_STATES } from './token-states.ts';
import { UNIQUE } from './unique.ts';

export type TensorEntity = ValueId | BoundedEntity;

const RULES: ReadonlyMap<string, Rule> = new Map([
  ...ELEMENTWISE,
  ...MOVEMENT,
  ...SLICING,
  ...INDEXING,
  ...REDUCTION,
  ...CONTRACTION,
  ...PRODUCERS,
  ...SUPPRESSION,
  ...UNIQUE,
  ...CONVOLUTION,
  ...POOLS,
  ...GLOBAL_POOLS,
  ...NORMALIZATION,
  ...PARALLEL,
  ...PRODUCTS,
  ...RECURRENT,
  ...COMPOSITES,
  ...DECIDED,
  ...TEXTS,
  ...RESAMPLE,
  ...PICTURES,
  ...SIGNAL,
  ...TOKEN_STATES,
  ['com.microsoft:GroupQueryAttention', groupQueryAttention],
]);

/** Inputs that decide sizes, by operator: where one is no constant, the rule is asked. */
const DECIDING: ReadonlyMap<string, readonly number[]> = new Map([
  ['NonZero', [0]],
  ['Unique', [0]],
  ['com.microsoft:Unique', [0]],
  ['Compress', [1]],
  ['NonMaxSuppression', [0, 1, 2, 3, 4]],
  ['Range', [0, 1, 2]],
  ['ConstantOfShape', [0]],
  ['Reshape', [1]],
  ['Expand', [1]],
  ['Tile', [1]],
  ['Pad', [1, 3]],
  ['OneHot', [1]],
  ['Slice', [1, 2, 3, 4]],
  ['Split', [1]],
  ['TopK', [1]],
  ['MaxUnpool', [2]],
  ['DynamicSlice', [1, 2, 3]],
  ['Resize', [1, 2, 3]],
  ['CenterCropPad', [1]],
  ['DFT', [1]],
  ['STFT', [1, 3]],
  ['AffineGrid', [1]],
  ['Col2Im', [1, 2]],
  ['MelWeightMatrix', [0, 1, 2, 3, 4]],
  ['com.microsoft:ConvTransposeWithDynamicPads', [2]],
  ['com.microsoft:Pad', [1]],
  ['com.microsoft:ExpandDims', [1]],
  ['com.microsoft:Range', [0, 1, 2]],
  ['HannWindow', [0]],
  ['HammingWindow', [0]],
  ['BlackmanWindow', [0]],
  ['StringSplit', [0]],
  ['StringNormalizer', [0]],
  ['com.microsoft:GroupQueryAttention', [6]],
]);

export interface BoundedNode {
  readonly builder: OpBuilder;
  readonly name: string;
  readonly op: string;
  readonly domain: string;
  readonly attrs: Readonly<Record<string, AttrValue>>;
  readonly inputs: readonly (TensorEntity | null)[];
  /** Names of the outputs that the model asks for. */
  readonly names: readonly string[];
  /** How many axes the model says that these have; absent: nothing is said. */
  readonly ranks?: readonly (number | undefined)[];
  /** Names of the inputs, where they are the model's. */
  readonly reads?: readonly string[];
  readonly bounds: Bounds;
}

/** The outputs of a node by its rule; undefined where it is a node like any other. */
export function importBounded(node: BoundedNode): readonly TensorEntity[] | undefined {
  const { builder, inputs, op, domain } = node;
  const isOpen = inputs.some((input) => input !== null && typeof input !== 'number');
  const ints = numbersOf(builder);
  const key = keyOf(domain, op);
  if (!isOpen) {
    const ids = inputs as readonly (ValueId | null)[];
    const made = domain === '' ? shapeArithmetic(builder, ints, op, node.attrs, ids) : undefined;
    if (made !== undefined) return made;
    const decides = DECIDING.get(key)?.some((k) => {
      const id = ids[k];
      return id != null && builder.graph.value(id).constant === undefined;
    });
    // Whether a loop decides sizes its rule finds out.
    if (decides !== true && key !== 'Loop' && !hasOpenAxes(builder, key, ids)) return undefined;
  }
  const def = builder.find(op, domain);
  if (def === undefined) return failBounded(`node ${node.name} (${op})`);
  const use: Use = {
    op,
    def,
    s: new Sizing(builder, ints, node.name, op, domain, node),
    ints,
    attrs: node.attrs,
    inputs: inputs.map((input) => (input === null ? null : sizedOf(builder, input))),
    outputs: node.names.length,
    ranks: node.ranks ?? [],
    reads: node.reads ?? [],
    apply: (part) => applied(node, part),
  };
  if (key === 'Loop' && !isOpen) return stackingLoop(use)?.map(entityOf);
  const axes = axesInput(key);
  if (
    axes !== undefined &&
    hasOpenAxes(
      builder,
      key,
      use.inputs.map((input) => input?.id ?? null),
    )
  ) {
    const chosen = withChosenAxes(use, axes);
    if (chosen !== undefined) return chosen.map(entityOf);
  }
  return ruled(use, key, node).map(entityOf);
}

/** By its rule, or by those of its parts; where it does not mean the same at all sizes, by cases. */
function ruled(use: Use, key: string, node: BoundedNode): readonly Sized[] {
  const { op, def } = use;
  const rule = RULES.get(key);
  if (rule === undefined && def.kind !== 'composite')
    return failBounded(`node ${node.name} (${op})`);
  const undo = use.ints.attempt();
  try {
    return rule !== undefined ? rule(use) : expanded(use, def as CompositeOp);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    undo();
    const made = otherwise(use, node);
    if (made !== undefined) return made;
    throw error;
  }
}

/** By cases; undefined where there are none, or one of them cannot be. */
function otherwise(use: Use, node: BoundedNode): readonly Sized[] | undefined {
  const { op, attrs, outputs } = use;
  const undo = use.ints.attempt();
  try {
    return byCases(use, (builder, inputs) =>
      applied({ ...node, builder }, { op, domain: node.domain, attrs, inputs, outputs }),
    );
  } catch (error) {
    if (!isRefusal(error)) throw error;
    undo();
    return undefined;
  }
}

/** Are the axes of an operator data? */
function hasOpenAxes(builder: OpBuilder, key: string, ids: readonly (ValueId | null)[]): boolean {
  const id = ids[axesInput(key) ?? ids.length];
  return id != null && builder.graph.value(id).constant === undefined;
}

/** A node that stands for part of another. */
function applied(whole: BoundedNode, part: PartNode): readonly Sized[] {
  const { builder } = whole;
  const { op, domain = '', outputs = 1 } = part;
  const name = op === whole.op ? `${whole.name}/own` : `${whole.name}/${op}`;
  const def = builder.find(op, domain);
  const attrs = def === undefined ? (part.attrs ?? {}) : completeAttrs(def, part.attrs ?? {}, name);
  const made = importBounded({
    builder,
    name,
    op,
    domain,
    attrs,
    inputs: part.inputs.map((input) => (input === null ? null : entityOf(input))),
    // What is said of their sizes is said of the node's.
    names: Array.from({ length: outputs }, (_, i) => whole.names[i] ?? whole.names[0] ?? ''),
    bounds: whole.bounds,
  });
  if (made !== undefined) return made.map((entity) => sizedOf(builder, entity));
  const ids = part.inputs.map((input) => input?.id ?? null);
  return builder.ops(op, ids, attrs, { name, domain, outputs }).map((id) => sizedOf(builder, id));
}

const keyOf = (domain: string, op: string): string => (domain === '' ? op : `${domain}:${op}`);

export function sizedOf(builder: OpBuilder, entity: TensorEntity): Sized {
  if (typeof entity !== 'number') return entity;
  return { id: entity, sizes: builder.typeOf(entity).shape };
}

function entityOf(sized: Sized): TensorEntity {
  return isBounded(sized) ? { kind: 'bounded', ...sized } : sized.id;
}

/** Is it a tensor, with room or without? */
export function isTensorEntity(entity: Entity): entity is TensorEntity {
  return typeof entity === 'number' || entity.kind === 'bounded';
}
