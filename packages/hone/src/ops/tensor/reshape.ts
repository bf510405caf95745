/** Operators that only rename the dimensions: no code runs for them. */
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { AttrValue, Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  constantInts,
  inputType,
  int,
  intAttr,
  normalizeAxis,
  optionalInts,
  shapeError,
} from '../checks.ts';
import {
  type CoreOp,
  defineOp,
  type InferContext,
  type OldNode,
  type ReferenceContext,
} from '../define-op.ts';
import { checkedShape, compiled } from './bodies.ts';

const lower: CoreOp['lower'] = (ctx) => compiled(ctx, () => [{ kind: 'alias' }]);

/** The same elements under the inferred shape. */
function renamed(
  inputs: readonly (Tensor | null)[],
  _attrs: Attrs,
  ctx: ReferenceContext,
): readonly Tensor[] {
  const [x] = inputs;
  const shape = ctx.outputTypes[0]?.shape;
  return x && shape ? [{ ...x, shape }] : [];
}

/** Attributes without those that older opsets had. */
export function attrsWithout(attrs: Attrs, ...names: readonly string[]): Attrs {
  const kept: Record<string, AttrValue> = {};
  for (const [name, value] of Object.entries(attrs)) if (!names.includes(name)) kept[name] = value;
  return kept;
}

/** Turns an attribute of integers of an older opset into input number `position`. */
export function attrToInput(
  b: OpBuilder,
  node: OldNode,
  attr: string,
  position: number,
): { inputs: readonly (ValueId | null)[]; attrs: Attrs } {
  const value = node.attrs[attr];
  const attrs = attrsWithout(node.attrs, attr, 'consumed_inputs');
  if (value === undefined) return { inputs: node.inputs, attrs };
  const list = (Array.isArray(value) ? value : [value]) as readonly number[];
  const inputs: (ValueId | null)[] = [...node.inputs];
  while (inputs.length < position) inputs.push(null);
  inputs[position] = b.ints(list);
  return { inputs, attrs };
}

const x = (): Tensor => fromNumbers('f32', [2, 3, 4], [...Array(24).keys()]);
const list = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);

function reshaped(ctx: InferContext): readonly number[] {
  const { shape } = inputType(ctx, 0);
  const allowZero = intAttr(ctx.attrs, 'allowzero') !== 0;
  const wanted = constantInts(ctx, 1, 'shape').map((extent, i) => {
    if (extent !== 0 || allowZero) return extent;
    return shape[i] ?? shapeError(ctx, `shape copies dimension ${i} of rank ${shape.length}`);
  });
  const unknown = wanted.filter((extent) => extent === -1).length;
  if (unknown > 1) shapeError(ctx, 'shape has more than one -1');
  const count = elementCount(shape);
  const known = wanted.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  if (unknown === 1 && (known === 0 || count % known !== 0)) {
    shapeError(ctx, `[${shape.join(',')}] cannot become [${wanted.join(',')}]`);
  }
  const out = checkedShape(
    ctx,
    wanted.map((extent) => (extent === -1 ? count / known : extent)),
  );
  if (elementCount(out) !== count) {
    shapeError(ctx, `[${shape.join(',')}] cannot become [${wanted.join(',')}]`);
  }
  return out;
}

export const Reshape = defineOp({
  kind: 'core',
  name: 'Reshape',
  doc: 'The same elements under another shape; 0 copies a dimension, -1 is worked out.',
  since: 14,
  attrs: { allowzero: int(0) },
  upgrade: (b, node) => attrToInput(b, node, 'shape', 1),
  infer: (ctx) => [{ dtype: inputType(ctx, 0).dtype, shape: reshaped(ctx) }],
  lower,
  reference: renamed,
  cases: () => [
    { inputs: [x(), list(4, 6)] },
    { note: 'copied and worked out', inputs: [x(), list(0, -1)] },
    {
      note: 'allowzero',
      inputs: [fromNumbers('f32', [0, 3], []), list(3, 0)],
      attrs: { allowzero: 1 },
    },
    { note: 'scalar', inputs: [fromNumbers('i64', [1], [7]), list()] },
  ],
});

export const Flatten = defineOp({
  kind: 'core',
  name: 'Flatten',
  doc: 'Joins the dimensions before and from `axis` on into two.',
  since: 9,
  attrs: { axis: int(1) },
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const axis = intAttr(ctx.attrs, 'axis');
    const at = axis < 0 ? axis + shape.length : axis;
    if (at < 0 || at > shape.length)
      shapeError(ctx, `axis ${axis} is outside rank ${shape.length}`);
    return [{ dtype, shape: [elementCount(shape.slice(0, at)), elementCount(shape.slice(at))] }];
  },
  lower,
  reference: renamed,
  cases: () => [
    { inputs: [x()] },
    { note: 'axis 0', inputs: [x()], attrs: { axis: 0 } },
    { note: 'from the end', inputs: [x()], attrs: { axis: -1 } },
  ],
});

export const Squeeze = defineOp({
  kind: 'core',
  name: 'Squeeze',
  doc: 'Removes dimensions of extent 1: the given axes, or all of them.',
  since: 13,
  attrs: {},
  upgrade: (b, node) => attrToInput(b, node, 'axes', 1),
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const axes = optionalInts(ctx, 1, 'axes')?.map((axis) =>
      normalizeAxis(ctx, axis, shape.length),
    );
    for (const axis of axes ?? []) {
      if (shape[axis] !== 1) shapeError(ctx, `axis ${axis} has extent ${shape[axis]}, not 1`);
    }
    const gone = (extent: number, axis: number): boolean =>
      axes === undefined ? extent === 1 : axes.includes(axis);
    return [{ dtype, shape: shape.filter((extent, axis) => !gone(extent, axis)) }];
  },
  lower,
  reference: renamed,
  cases: () => {
    const thin = fromNumbers('f32', [1, 3, 1], [1, 2, 3]);
    return [
      { inputs: [thin, list(0)] },
      { note: 'from the end', inputs: [thin, list(-1, 0)] },
      { note: 'all', inputs: [thin] },
    ];
  },
});

export const Unsqueeze = defineOp({
  kind: 'core',
  name: 'Unsqueeze',
  doc: 'Inserts dimensions of extent 1 at the given axes of the output.',
  since: 13,
  attrs: {},
  upgrade: (b, node) => attrToInput(b, node, 'axes', 1),
  infer: (ctx) => {
    const { dtype, shape } = inputType(ctx, 0);
    const wanted = constantInts(ctx, 1, 'axes');
    const rank = shape.length + wanted.length;
    const axes = new Set(wanted.map((axis) => normalizeAxis(ctx, axis, rank)));
    if (axes.size !== wanted.length) shapeError(ctx, `axes [${wanted.join(',')}] repeat`);
    const rest = shape.values();
    const out = Array.from({ length: rank }, (_, axis) =>
      axes.has(axis) ? 1 : (rest.next().value as number),
    );
    return [{ dtype, shape: out }];
  },
  lower,
  reference: renamed,
  cases: () => [
    { inputs: [x(), list(0, 4)] },
    { note: 'from the end, unsorted', inputs: [x(), list(-1, 1)] },
    { note: 'scalar', inputs: [fromNumbers('f32', [], [3]), list(0)] },
  ],
});

export const Identity = defineOp({
  kind: 'core',
  name: 'Identity',
  doc: 'The input itself.',
  since: 1,
  attrs: {},
  infer: (ctx) => [inputType(ctx, 0)],
  lower,
  reference: renamed,
  cases: () => [{ inputs: [x()] }],
});
