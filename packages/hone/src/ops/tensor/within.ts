/**
 * Numbers that a run checks: those beyond their bounds end it (HONE-RUN-010), for what depends on them is
 * planned for the bounds only. Compiled, it is the routine `within_<dtype>` of native/routines.h, which
 * nothing removes (`graph/effects.ts`). No model has this operator: the importer makes it.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Attrs } from '../../graph/types.ts';
import { WITHIN } from '../../graph/effects.ts';
import { inputType, int, intsAttr, requireDType, shapeError } from '../checks.ts';
import { type AttrSpec, defineOp } from '../define-op.ts';
import { HONE_DOMAIN } from './positions.ts';

/** Dtypes that numbers which decide sizes have. */
export const CHECKED_DTYPES: readonly DType[] = ['i64', 'i32', 'f32', 'f64'];

const word: AttrSpec = { type: 'string' };

/** What a plan says of a bound; also attributes of loops. Absent: the bound follows from the model. */
export const BOUND_ATTRS = {
  /** The tensor that is bounded, as the model calls it. */
  tensor: word,
  /** assumed: nothing bounds it; asked: by the user; empty: it follows from the model. */
  origin: word,
  /** What to write behind --bound for another one. */
  option: word,
};

/** What a step that checks a bound says of it, in the message of a run that it ends. */
export function boundText(attrs: Attrs, most: string): string {
  const [tensor = '', origin, option = ''] = ['tensor', 'origin', 'option'].map((name) =>
    String(attrs[name] ?? ''),
  );
  if (tensor === '') return '';
  const axis = Number(attrs['axis'] ?? 0);
  const what = axis < 0 ? `values of ${tensor}` : `${tensor} along axis ${axis}`;
  if (origin === 'assumed') {
    const cure = option === '' ? '' : `; compile with --bound ${option}`;
    return `${what}: at most ${most}, assumed as nothing bounds it${cure}`;
  }
  const limit = isExact(attrs) ? 'exactly' : 'at most';
  return `${what}: ${limit} ${most}${origin === 'asked' ? ', as --bound says' : ''}`;
}

/** Is there one number that it may be? */
function isExact(attrs: Attrs): boolean {
  const { min, max } = boundsOf(attrs);
  return min.length > 0 && min.join() === max.join();
}

interface Bounds {
  readonly min: readonly number[];
  readonly max: readonly number[];
}

function boundsOf(attrs: Attrs): Bounds {
  return { min: intsAttr(attrs, 'min') ?? [], max: intsAttr(attrs, 'max') ?? [] };
}

/** What an i32 cannot be is no bound of it. */
function held(bound: number, dtype: DType): number {
  return dtype === 'i32' ? Math.min(Math.max(bound, -(2 ** 31)), 2 ** 31 - 1) : bound;
}

export const Within = defineOp({
  kind: 'core',
  name: WITHIN,
  domain: HONE_DOMAIN,
  doc: 'The same numbers; one beyond its bounds is an error of the run.',
  since: 1,
  attrs: {
    ...BOUND_ATTRS,
    min: { type: 'ints', required: true },
    max: { type: 'ints', required: true },
    /** Whose extent it is; -1: the values of the tensor. */
    axis: int(-1),
    /** The model's node that asks for it. */
    node: word,
  },
  infer: (ctx) => {
    const x = inputType(ctx, 0);
    requireDType(ctx, x, CHECKED_DTYPES);
    const { min, max } = boundsOf(ctx.attrs);
    const count = elementCount(x.shape);
    if (min.length !== count || max.length !== count)
      shapeError(ctx, `${min.length} and ${max.length} bounds for ${count} elements`);
    return [x];
  },
  lower: (ctx) => {
    const { dtype } = inputType(ctx, 0);
    const { min, max } = boundsOf(ctx.attrs);
    const dims = [min.length, ...[...min, ...max].map((bound) => held(bound, dtype))];
    return [{ kind: 'routine', routine: `within_${dtype}`, dims, scalars: [] }];
  },
  reference: ([x], attrs, { node }) => {
    const { min, max } = boundsOf(attrs);
    toNumbers(x as Tensor).forEach((value, i) => {
      if (value >= at(min, i) && value <= at(max, i)) return;
      const why = boundText(attrs, `${at(max, i)}`);
      fail(
        'HONE-RUN-010',
        `node ${node}: ${value} lies outside its bounds${why === '' ? '' : ` (${why})`}`,
        node,
        'check the values of the inputs, or compile with another --bound',
      );
    });
    return [x as Tensor];
  },
  cases: () => [
    {
      inputs: [fromNumbers('i64', [2], [3, -4])],
      attrs: { min: [0, -(2 ** 53) + 1], max: [3, 0] },
    },
    { note: 'a scalar', inputs: [fromNumbers('i64', [], [7])], attrs: { min: [7], max: [7] } },
    { note: 'i32', inputs: [fromNumbers('i32', [1], [7])], attrs: { min: [-9], max: [2 ** 40] } },
    { note: 'f32', inputs: [fromNumbers('f32', [1], [0.5])], attrs: { min: [0], max: [1] } },
    { note: 'f64', inputs: [fromNumbers('f64', [1], [0.5])], attrs: { min: [0], max: [1] } },
    { note: 'none', inputs: [fromNumbers('i64', [0], [])], attrs: { min: [], max: [] } },
  ],
});
