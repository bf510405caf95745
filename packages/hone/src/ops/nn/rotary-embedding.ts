/** RotaryEmbedding: rotates pairs of a head's elements by angles that depend on the position. */
import { at } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { axis, binary, bound, cast, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Attrs } from '../../graph/types.ts';
import { inputType, int, intAttr, optionalType, requireDType, shapeError } from '../checks.ts';
import { defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { FLOATS } from '../math/dtypes.ts';
import { given } from '../math/loops.ts';
import { add, choose, eq, lt, mul, sub, widen } from '../math/scalar.ts';
import { checkedIndex } from '../tensor/elements.ts';
import { sample } from './samples.ts';
import type { NodeRef } from './window.ts';

interface Geometry {
  /** The input is [batch, sequence, heads · size] instead of [batch, heads, sequence, size]. */
  readonly packed: boolean;
  readonly batch: number;
  readonly heads: number;
  readonly sequence: number;
  readonly size: number;
  /** Elements of each head that are rotated, the first ones. */
  readonly rotated: number;
  readonly interleaved: boolean;
}

function geometry(ctx: NodeRef, attrs: Attrs, shape: readonly number[]): Geometry {
  const packed = shape.length === 3;
  if (!packed && shape.length !== 4)
    shapeError(ctx, `input has rank ${shape.length}; it takes 3 or 4`);
  const heads = packed ? intAttr(attrs, 'num_heads') : at(shape, 1);
  const last = at(shape, shape.length - 1);
  if (heads < 1 || (packed && last % heads !== 0)) {
    shapeError(ctx, `num_heads ${heads} does not divide the ${last} columns`);
  }
  const size = packed ? last / heads : last;
  const asked = intAttr(attrs, 'rotary_embedding_dim');
  const rotated = asked === 0 ? size : asked;
  if (rotated > size || rotated % 2 !== 0) {
    shapeError(ctx, `${rotated} elements cannot be rotated in heads of ${size}`);
  }
  return {
    packed,
    batch: at(shape, 0),
    heads,
    sequence: at(shape, packed ? 1 : 2),
    size,
    rotated,
    interleaved: intAttr(attrs, 'interleaved') !== 0,
  };
}

function checkCaches(ctx: InferContext, geo: Geometry): void {
  const ids = optionalType(ctx, 3);
  const half = geo.rotated / 2;
  for (const i of [1, 2]) {
    const { shape } = inputType(ctx, i);
    const fits =
      ids === undefined
        ? shape.join() === [geo.batch, geo.sequence, half].join()
        : shape.length === 2 && shape[1] === half;
    if (!fits) {
      const wanted = ids === undefined ? [geo.batch, geo.sequence, half] : ['positions', half];
      shapeError(
        ctx,
        `${i === 1 ? 'cos_cache' : 'sin_cache'} has shape [${shape.join(',')}]; it takes [${wanted.join(',')}]`,
      );
    }
  }
  const rows = [1, 2].map((i) => at(inputType(ctx, i).shape, 0));
  if (rows[0] !== rows[1]) shapeError(ctx, `cos_cache has ${rows[0]} rows, sin_cache ${rows[1]}`);
  if (ids !== undefined && ids.shape.join() !== [geo.batch, geo.sequence].join()) {
    shapeError(
      ctx,
      `position_ids has shape [${ids.shape.join(',')}]; it takes [${geo.batch},${geo.sequence}]`,
    );
  }
}

const IDS: readonly DType[] = ['i64'];

export const rotaryEmbedding = defineOp({
  kind: 'core',
  name: 'RotaryEmbedding',
  doc: 'Rotary position embedding of queries or keys.',
  since: 23,
  attrs: { interleaved: int(0), num_heads: int(0), rotary_embedding_dim: int(0) },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, FLOATS);
    const ids = optionalType(ctx, 3);
    if (ids !== undefined) requireDType(ctx, ids, IDS, 'position_ids');
    checkCaches(ctx, geometry(ctx, ctx.attrs, x.shape));
    return [x];
  },
  lower: (ctx) => {
    const x = inputType(ctx, 0);
    const geo = geometry(ctx, ctx.attrs, x.shape);
    const [n, h, t, d] = [axis('i0'), axis('i1'), axis('i2'), axis('i3')];
    const position = (element: Expr): readonly Expr[] =>
      geo.packed ? [n, t, iadd(imul(h, geo.size), element)] : [n, h, t, element];
    const element = (offset: Expr): Expr => widen(load('0', x.dtype, position(offset)));
    const half = geo.rotated / 2;
    // Pairs are neighbours, or lie half the rotated elements apart.
    const pair = geo.interleaved
      ? binary('floordiv', d, index(2))
      : choose(lt(d, half), d, sub(d, half));
    const isFirst = geo.interleaved ? eq(binary('mod', d, index(2)), 0) : lt(d, half);
    const step = geo.interleaved ? 1 : half;
    const ids = optionalType(ctx, 3);
    const angle = (operand: 1 | 2): Expr => {
      const { dtype, shape } = inputType(ctx, operand);
      const row = ids === undefined ? [n, t] : [bound(load('3', ids.dtype, [n, t]), at(shape, 0))];
      return cast(element(d).dtype, load(`${operand}`, dtype, [...row, pair]));
    };
    const rotated = choose(
      isFirst,
      sub(mul(element(d), angle(1)), mul(element(iadd(d, step)), angle(2))),
      add(mul(element(iadd(d, -step)), angle(2)), mul(element(d), angle(1))),
    );
    const value =
      geo.rotated === geo.size ? rotated : choose(lt(d, geo.rotated), rotated, element(d));
    return [
      {
        kind: 'map',
        axes: [geo.batch, geo.heads, geo.sequence, geo.size],
        outIndex: position(d),
        value: cast(x.dtype, value),
      },
    ];
  },
  reference: (inputs, attrs, ctx) => {
    const [x, cosines, sines] = [given(inputs, 0), given(inputs, 1), given(inputs, 2)];
    const geo = geometry({ node: ctx.node, op: 'RotaryEmbedding' }, attrs, x.shape);
    const [values, cos, sin] = [toNumbers(x), toNumbers(cosines), toNumbers(sines)];
    const ids = inputs[3] ? toNumbers(inputs[3]) : null;
    const half = geo.rotated / 2;
    const out = values.slice();
    for (let row = 0; row < elementCount(x.shape) / geo.size; row++) {
      const [n, t] = geo.packed
        ? [Math.floor(row / geo.heads / geo.sequence), Math.floor(row / geo.heads) % geo.sequence]
        : [Math.floor(row / geo.heads / geo.sequence), row % geo.sequence];
      const place = n * geo.sequence + t;
      const turned =
        ids === null ? place : checkedIndex(ctx.node, ids[place], at(cosines.shape, 0));
      const angles = turned * half;
      for (let k = 0; k < half; k++) {
        const first = row * geo.size + (geo.interleaved ? 2 * k : k);
        const second = first + (geo.interleaved ? 1 : half);
        const [a, b] = [values[first] as number, values[second] as number];
        const [c, s] = [cos[angles + k] as number, sin[angles + k] as number];
        out[first] = a * c - b * s;
        out[second] = a * s + b * c;
      }
    }
    return [fromNumbers(x.dtype, x.shape, out)];
  },
  cases: () => {
    const ids = fromNumbers('i64', [2, 3], [0, 1, 2, 5, 4, 3]);
    const make = (note: string, inputs: TestCase['inputs'], attrs: Attrs = {}): TestCase => ({
      note,
      inputs,
      attrs,
    });
    return [
      make('halves, by position', [
        sample([2, 2, 3, 4]),
        sample([6, 2], 2),
        sample([6, 2], 3),
        ids,
      ]),
      make(
        'interleaved, angles given',
        [sample([2, 2, 3, 4]), sample([2, 3, 2], 2), sample([2, 3, 2], 3)],
        {
          interleaved: 1,
        },
      ),
      make(
        'packed, partly rotated',
        [sample([2, 3, 12]), sample([6, 2], 2), sample([6, 2], 3), ids],
        {
          num_heads: 2,
          rotary_embedding_dim: 4,
        },
      ),
    ];
  },
});
