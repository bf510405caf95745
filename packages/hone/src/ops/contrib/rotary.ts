/** com.microsoft's RotaryEmbedding: that of ai.onnx, with positions that may be one offset for all. */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { float, inputType, int, intAttr, requireDType, shapeError, typeError } from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { i64 } from '../math/samples.ts';
import { rotaryEmbedding } from '../nn/rotary-embedding.ts';
import { sample } from '../nn/samples.ts';
import { MICROSOFT } from './alias.ts';

interface Geometry {
  readonly batch: number;
  readonly length: number;
  readonly attrs: Attrs;
}

function geometryOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  x: readonly number[],
  cache: readonly number[],
): Geometry {
  if (x.length !== 3 && x.length !== 4)
    shapeError(ctx, `input has rank ${x.length}; it takes 3 or 4`);
  if (cache.length !== 2) shapeError(ctx, `the caches have rank ${cache.length}; they take 2`);
  if (intAttr(attrs, 'is_packed_batching') !== 0)
    typeError(ctx, 'packed batches are not supported');
  const width = 2 * at(cache, 1);
  const asked = intAttr(attrs, 'rotary_embedding_dim');
  const columns = at(x, x.length - 1);
  // Without a number of heads the caches say how wide one is.
  const declared = intAttr(attrs, 'num_heads');
  const heads = declared > 0 ? declared : x.length === 3 && width > 0 ? columns / width : 1;
  if (!Number.isInteger(heads)) {
    shapeError(ctx, `${columns} columns are not whole heads of ${width}`);
  }
  return {
    batch: at(x, 0),
    length: at(x, x.length === 3 ? 1 : 2),
    attrs: {
      interleaved: intAttr(attrs, 'interleaved'),
      num_heads: x.length === 3 ? heads : 0,
      rotary_embedding_dim: asked > 0 ? asked : width,
    },
  };
}

/** Positions [batch, length]: as given, or counted from the offset. */
function positionNodes(b: OpBuilder, ids: ValueId, { batch, length }: Geometry): ValueId {
  if (elementCount(b.typeOf(ids).shape) !== 1 || batch * length === 1) {
    return b.reshape(ids, [batch, length]);
  }
  const steps = b.positions(length);
  const row = b.op('Add', [b.reshape(ids, [1]), steps]);
  return b.op('Expand', [row, b.ints([batch, length])]);
}

export const microsoftRotaryEmbedding: CompositeOp = defineOp({
  kind: 'composite',
  name: 'RotaryEmbedding',
  domain: MICROSOFT,
  doc: 'Rotary position embedding of queries or keys, by positions or an offset.',
  since: 1,
  attrs: {
    interleaved: int(0),
    is_packed_batching: int(0),
    num_heads: int(0),
    rotary_embedding_dim: int(0),
    scale: float(1),
  },
  infer: (ctx: InferContext) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    const ids = inputType(ctx, 1);
    requireDType(ctx, ids, ['i64'], 'position_ids');
    const cache = inputType(ctx, 2);
    const geo = geometryOf(ctx, ctx.attrs, x.shape, cache.shape);
    const count = elementCount(ids.shape);
    if (count !== 1 && count !== geo.batch * geo.length) {
      shapeError(ctx, `position_ids [${ids.shape.join(',')}] are not [${geo.batch},${geo.length}]`);
    }
    const type = (shape: readonly number[], dtype = x.dtype) => ({
      type: { dtype, shape } as const,
      constant: null,
    });
    const inputs = [
      ...[type(x.shape), type(cache.shape), type(inputType(ctx, 3).shape)],
      type([geo.batch, geo.length], 'i64'),
    ];
    return rotaryEmbedding.infer({ ...ctx, inputs, attrs: geo.attrs });
  },
  decompose: (b, inputs, ctx) => {
    const [x, ids, cos, sin] = inputs as [ValueId, ValueId, ValueId, ValueId];
    const geo = geometryOf(ctx, ctx.attrs, b.typeOf(x).shape, b.typeOf(cos).shape);
    return [b.op('RotaryEmbedding', [x, cos, sin, positionNodes(b, ids, geo)], geo.attrs)];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, ids, cos, sin] = [0, 1, 2, 3].map((k) => given(inputs, k)) as [
      ...[Tensor, Tensor],
      ...[Tensor, Tensor],
    ];
    const node = { node: ctx.node, op: 'RotaryEmbedding' };
    const geo = geometryOf(node, attrs, x.shape, cos.shape);
    const values = toNumbers(ids);
    const positions = Array.from({ length: geo.batch * geo.length }, (_, i) =>
      values.length === 1 ? (values[0] as number) + (i % geo.length) : (values[i] as number),
    );
    const rows = fromNumbers('i64', [geo.batch, geo.length], positions);
    return rotaryEmbedding.reference([x, cos, sin, rows], geo.attrs, ctx);
  },
  cases: (): readonly TestCase[] => {
    const caches = [sample([8, 2], 2), sample([8, 2], 3)];
    return [
      { note: 'an offset', inputs: [sample([2, 3, 8]), i64([1], [4]), ...caches] },
      {
        note: 'positions, heads apart',
        inputs: [sample([2, 2, 3, 4]), i64([2, 3], [0, 1, 2, 7, 6, 5]), ...caches],
        attrs: { interleaved: 1 },
      },
      {
        note: 'partly rotated',
        inputs: [sample([1, 3, 12]), i64([1, 3], [2, 3, 4]), ...caches],
        attrs: { num_heads: 2, rotary_embedding_dim: 4 },
      },
    ];
  },
});
