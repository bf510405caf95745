/** NonMaxSuppression of boxes and scores that are data: room for all that could be chosen. */
import { at } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { HONE_DOMAIN } from '../../../ops/tensor/positions.ts';
import { common } from './elementwise.ts';
import { isKnown, mostOf, unknown } from './ints.ts';
import { given, intOf, intsOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

const nonMaxSuppression: Rule = (use) => {
  const { s, ints } = use;
  const [boxes, scores] = [given(use, 0), given(use, 1)];
  const isSane = boxes.sizes.length === 3 && scores.sizes.length === 3 && sizeAt(boxes, 2) === 4;
  if (!isSane || s.dtype(boxes) !== 'f32')
    return s.cannot('boxes and scores are not [b,n,4] and [b,c,n] in f32');
  const batch = common(use, sizeAt(boxes, 0), sizeAt(scores, 0));
  const n = common(use, sizeAt(boxes, 1), sizeAt(scores, 2));
  const [b, v] = [s.fit(s.fit(boxes, 0, batch), 1, n), s.fit(s.fit(scores, 0, batch), 2, n)];
  // Nothing is chosen whose score is not above the least, and nothing is below this one.
  const masked = s.masked(v, -Infinity);
  const asked = use.inputs[2] == null ? 0 : at(intsOf(use, 2, 'the number of boxes'), 0);
  const most = ints.clamp(asked, 0, mostOf(n));
  const room = mostOf(most);
  const classes = mostOf(sizeAt(scores, 1));
  const bound = mostOf(batch) * classes * room;
  s.room([bound, 3]);
  const inputs = [b.id, masked.id, ints.id(most), scalar(use, 3, 0), scalar(use, 4, -Infinity)];
  const attrs = { center_point_box: intOf(use, 'center_point_box'), room };
  const [chosen = -1, count = -1] = s.ops('PaddedNonMaxSuppression', inputs, attrs, {
    domain: HONE_DOMAIN,
    outputs: 2,
  });
  return [s.made(chosen, [unknown(count, 0, bound), 3])];
};

/** An optional limit as a scalar. */
function scalar(use: Use, k: number, otherwise: number): ValueId {
  const { s } = use;
  const input: Sized | null = use.inputs[k] ?? null;
  if (input === null || input.sizes.some((size) => isKnown(size) && size === 0))
    return s.number(otherwise, 'f32');
  return s.b.op('Reshape', [s.cast(input.id, 'f32'), s.b.ints([])]);
}

export const SUPPRESSION: ReadonlyMap<string, Rule> = new Map([
  ['NonMaxSuppression', nonMaxSuppression],
]);
