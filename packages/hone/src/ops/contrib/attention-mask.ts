/**
 * Masks of com.microsoft's attention operators as biases of the scores: a mask says which keys count (1) and
 * which do not (0), per batch entry as positions, as lengths, as ends and starts, or per query.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import { shapeError } from '../checks.ts';
import type { AttendReference } from './attend.ts';
import { castTo } from './attend.ts';

export interface ScoreShape {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
}

type MaskForm = 'keys' | 'lengths' | 'ranges' | 'queries';

export function maskForm(
  ctx: { readonly node: string; readonly op: string },
  mask: ValueType,
  { batch, queries, keys }: ScoreShape,
): MaskForm {
  const shape = mask.shape.join();
  if (shape === `${batch},${keys}`) return 'keys';
  if (shape === `${batch}`) return 'lengths';
  if (shape === `${2 * batch}`) return 'ranges';
  if (shape === `${batch},${queries},${keys}`) return 'queries';
  return shapeError(
    ctx,
    `mask [${shape}] is none of [${batch},${keys}], [${batch}], [${2 * batch}], [${batch},${queries},${keys}]`,
  );
}

/** The bias: 0 where a key counts, `filter` where it does not. */
export function maskBias(
  b: OpBuilder,
  mask: ValueId,
  form: MaskForm,
  shape: ScoreShape,
  filter: number,
): ValueId {
  const counts = countedKeys(b, mask, form, shape);
  return b.op('Where', [counts, b.scalar(0), b.scalar(filter)]);
}

function countedKeys(b: OpBuilder, mask: ValueId, form: MaskForm, shape: ScoreShape): ValueId {
  const { batch, queries, keys } = shape;
  const positions = b.positions(keys);
  const limit = (from: number): ValueId => {
    const part =
      form === 'lengths'
        ? mask
        : b.op('Slice', [mask, b.ints([from]), b.ints([from + batch]), b.ints([0])]);
    return b.reshape(castTo(b, part, 'i64'), [batch, 1, 1, 1]);
  };
  switch (form) {
    case 'keys':
    case 'queries': {
      const rows = form === 'keys' ? 1 : queries;
      const flat = b.reshape(mask, [batch, 1, rows, keys]);
      return castTo(b, flat, 'bool');
    }
    case 'lengths':
      return b.op('Less', [positions, limit(0)]);
    case 'ranges': {
      const isBefore = b.op('Less', [positions, limit(0)]);
      return b.op('And', [isBefore, b.op('GreaterOrEqual', [positions, limit(batch)])]);
    }
    default:
      return form satisfies never;
  }
}

/** The same in plain numbers. */
export function maskFunction(
  mask: Tensor | null,
  form: MaskForm | undefined,
  { batch, queries, keys }: ScoreShape,
  filter: number,
): AttendReference['bias'] {
  if (mask === null || form === undefined) return () => 0;
  const values = toNumbers(mask);
  return (n, _h, i, j) => {
    const counts = {
      keys: () => values[n * keys + j] !== 0,
      lengths: () => j < at([...values], n),
      ranges: () => j < at([...values], n) && j >= at([...values], n + batch),
      queries: () => values[(n * queries + i) * keys + j] !== 0,
    }[form]();
    return counts ? 0 : filter;
  };
}
