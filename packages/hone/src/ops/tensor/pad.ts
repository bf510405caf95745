/** Pad: constant, reflect, edge and wrap; negative pads cut. */
import { fromNumbers, stridesOf, type Tensor } from 'hone-runtime/base/tensor';
import { binary, iadd, imul, index, load, select, unary } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import {
  constantInts,
  inputType,
  normalizeAxis,
  optionalInts,
  optionalType,
  requireOne,
  shapeError,
  text,
  textAttr,
  typeError,
} from '../checks.ts';
import { defineOp, type InferContext } from '../define-op.ts';
import { mapBody, outAxes } from '../lower.ts';
import {
  allOf,
  checkedShape,
  compiled,
  constantExpr,
  imod,
  knownInput,
  onlyElement,
  zeroExpr,
} from './bodies.ts';
import { elementsOf, flatOf, gatherBy } from './elements.ts';
import { attrsWithout, attrToInput } from './reshape.ts';

/** One axis: `kept` elements from `cut` on, with new ones before and after. */
interface AxisPad {
  readonly cut: number;
  readonly kept: number;
  readonly before: number;
  readonly after: number;
}

const MODES = ['constant', 'reflect', 'edge', 'wrap'];

/** Negative pads cut first; what they leave is then padded. */
function axisPad(extent: number, begin: number, end: number): AxisPad {
  const cut = Math.max(0, -begin);
  const kept = extent - cut - Math.max(0, -end);
  return { cut, kept, before: Math.max(0, begin), after: Math.max(0, end) };
}

function padsOf(ctx: InferContext): AxisPad[] {
  const { shape } = inputType(ctx, 0);
  const pads = constantInts(ctx, 1, 'pads');
  const axes = (optionalInts(ctx, 3, 'axes') ?? shape.map((_, i) => i)).map((axis) =>
    normalizeAxis(ctx, axis, shape.length),
  );
  if (pads.length !== 2 * axes.length) {
    shapeError(ctx, `${pads.length} pads for ${axes.length} axes`);
  }
  if (new Set(axes).size !== axes.length) shapeError(ctx, `axes [${axes.join(',')}] repeat`);
  const mode = textAttr(ctx.attrs, 'mode');
  if (!MODES.includes(mode)) typeError(ctx, `mode ${mode} is not one of ${MODES.join(', ')}`);
  const out = shape.map((extent) => axisPad(extent, 0, 0));
  axes.forEach((axis, i) => {
    const begin = pads[i] as number;
    const end = pads[i + axes.length] as number;
    const pad = axisPad(shape[axis] as number, begin, end);
    const grows = pad.before + pad.after > 0;
    if (pad.kept < 0 || (pad.kept === 0 && grows && mode !== 'constant')) {
      shapeError(ctx, `pads ${begin} and ${end} leave nothing of extent ${shape[axis]}`);
    }
    out[axis] = pad;
  });
  return out;
}

const padded = ({ kept, before, after }: AxisPad): number => kept + before + after;

/** Position in the kept part for position `p` of it that may lie outside (`before` < 0). */
function sourceExpr(mode: string, pad: AxisPad, p: Expr): Expr {
  const { kept, before, after } = pad;
  if (before === 0 && after === 0) return p;
  if (mode === 'edge') {
    const low = before > 0 ? binary('max', p, index(0)) : p;
    return after > 0 ? binary('min', low, index(kept - 1)) : low;
  }
  if (mode === 'wrap') return imod(p, kept);
  if (kept === 1) return index(0);
  const last = kept - 1;
  if (before <= last && after <= last) {
    const low = before > 0 ? unary('abs', p) : p;
    return after > 0 ? mirror(low, last) : low;
  }
  const phase = imod(p, 2 * last);
  return binary('min', phase, iadd(imul(phase, -1), 2 * last));
}

/** last − |last − p|: the reflection at the far edge. */
function mirror(p: Expr, last: number): Expr {
  return iadd(imul(unary('abs', iadd(imul(p, -1), last)), -1), last);
}

/** The same position as a number; -1 where `constant` mode fills. */
function sourceOf(mode: string, pad: AxisPad, p: number): number {
  const { kept } = pad;
  if (p >= 0 && p < kept) return p;
  if (mode === 'constant') return -1;
  if (mode === 'edge') return p < 0 ? 0 : kept - 1;
  if (mode === 'wrap') return ((p % kept) + kept) % kept;
  if (kept === 1) return 0;
  // There and back again; stepping from edge to edge would take as many steps as the padding is wide.
  const round = 2 * (kept - 1);
  const phase = ((p % round) + round) % round;
  return Math.min(phase, round - phase);
}

const x = (): Tensor => fromNumbers('f32', [2, 3], [1, 2, 3, 4, 5, 6]);
const list = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);

export const Pad = defineOp({
  kind: 'core',
  name: 'Pad',
  doc: 'Adds elements around the input: a constant, the edge, a reflection or a repetition.',
  since: 19,
  attrs: { mode: text('constant') },
  upgrade: (b, node) => {
    if (node.opset >= 11) return { inputs: node.inputs, attrs: node.attrs };
    const old = attrToInput(b, node, node.opset < 2 ? 'paddings' : 'pads', 1);
    const value = node.attrs['value'];
    const inputs = [...old.inputs];
    const [data] = inputs;
    if (typeof value === 'number' && value !== 0 && data !== undefined && data !== null) {
      inputs[2] = b.scalar(value, b.typeOf(data).dtype);
    }
    return { inputs, attrs: attrsWithout(old.attrs, 'value') };
  },
  infer: (ctx) => {
    const { dtype } = inputType(ctx, 0);
    const fill = optionalType(ctx, 2);
    if (fill !== undefined && fill.dtype !== dtype) {
      typeError(ctx, `the padded value is ${fill.dtype}, the input ${dtype}`);
    }
    requireOne(ctx, 2, 'the padded value');
    return [{ dtype, shape: checkedShape(ctx, padsOf(ctx).map(padded)) }];
  },
  lower: (ctx) =>
    compiled(ctx, () => {
      const { dtype } = inputType(ctx, 0);
      const pads = padsOf(ctx);
      const mode = textAttr(ctx.attrs, 'mode');
      // Positions in the kept part, before and after the axis' mode is applied.
      const inner = outAxes(pads.length).map((at, i) => iadd(at, -(pads[i] as AxisPad).before));
      const from = inner.map((p, i) => {
        const pad = pads[i] as AxisPad;
        return iadd(mode === 'constant' ? p : sourceExpr(mode, pad, p), pad.cut);
      });
      const value = load('0', dtype, from);
      const shape = pads.map(padded);
      if (mode !== 'constant') return [mapBody(shape, value)];
      const inside = allOf(
        pads.flatMap(({ before, after, kept }, i) => [
          ...(before > 0 ? [binary('ge', inner[i] as Expr, index(0))] : []),
          ...(after > 0 ? [binary('lt', inner[i] as Expr, index(kept))] : []),
        ]),
      );
      if (inside === undefined) return [mapBody(shape, value)];
      const known = knownInput(ctx, 2);
      const fillType = optionalType(ctx, 2);
      let fill = zeroExpr(dtype);
      if (known !== undefined) fill = constantExpr(known);
      else if (fillType !== undefined) fill = load('2', dtype, onlyElement(fillType));
      return [mapBody(shape, select(inside, value, fill))];
    }),
  reference: ([data, amounts, fill, chosen], attrs) => {
    const source = data as Tensor;
    const rank = source.shape.length;
    const given = Array.from(elementsOf(amounts as Tensor) as ArrayLike<bigint>, Number);
    const axes = chosen
      ? Array.from(elementsOf(chosen) as ArrayLike<bigint>, (axis) => (Number(axis) + rank) % rank)
      : source.shape.map((_, i) => i);
    const pads = source.shape.map((extent, axis) => {
      const i = axes.indexOf(axis);
      const [begin, end] = i < 0 ? [0, 0] : [given[i], given[i + axes.length]];
      return axisPad(extent, begin as number, end as number);
    });
    const strides = stridesOf(source.shape);
    const mode = textAttr(attrs, 'mode');
    return [
      gatherBy(
        source,
        pads.map(padded),
        (p) => {
          const from = p.map((at, i) => {
            const pad = pads[i] as AxisPad;
            const inner = sourceOf(mode, pad, at - pad.before);
            return inner < 0 ? Number.NaN : inner + pad.cut;
          });
          const flat = flatOf(from, strides);
          return Number.isNaN(flat) ? -1 : flat;
        },
        fill ? elementsOf(fill)[0] : undefined,
      ),
    ];
  },
  cases: () => [
    { inputs: [x(), list(1, 0, 0, 2), fromNumbers('f32', [], [9])] },
    { note: 'zeros, negative', inputs: [x(), list(-1, 2, 1, -1)] },
    { note: 'axes', inputs: [x(), list(1, 1), null, list(-1)] },
    { note: 'reflect', inputs: [x(), list(0, 2, 1, 2)], attrs: { mode: 'reflect' } },
    { note: 'reflect twice', inputs: [x(), list(0, 5, 0, 7)], attrs: { mode: 'reflect' } },
    { note: 'edge', inputs: [x(), list(1, 2, 0, 1)], attrs: { mode: 'edge' } },
    { note: 'wrap', inputs: [x(), list(1, 4, 1, 5)], attrs: { mode: 'wrap' } },
  ],
});
