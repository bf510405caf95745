/** Rotary positions by caches whose width, half of what is rotated of a head, may be unknown. */
import type { ValueId } from '../../../graph/types.ts';
import { agreed } from './agreed.ts';
import { isKnown, leastOf, mostOf } from './ints.ts';
import { wideOf } from './parts.ts';
import { sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

export interface Rotation {
  /** [batch, heads, queries, size], at the bound. */
  readonly x: ValueId;
  /** [positions, half] */
  readonly cos: Sized;
  readonly sin: Sized;
  /** i64 [batch, queries], at the bound; 0 in the room. */
  readonly positions: ValueId;
  readonly isInterleaved: boolean;
}

/** The heads with their first elements rotated, as many as the caches are wide and as many again. */
export function rotated(use: Use, it: Rotation): ValueId {
  const { s, ints } = use;
  const { x, cos, sin, positions, isInterleaved } = it;
  const half = agreed(use, [sizeAt(cos, 1), sizeAt(sin, 1)], 'the widths of its caches');
  agreed(use, [sizeAt(cos, 0), sizeAt(sin, 0)], 'the positions in its caches');
  if (isKnown(half)) {
    const [c, d] = [cos, sin].map((cache) => s.first(cache, 1, half).id) as [ValueId, ValueId];
    const attrs = { interleaved: Number(isInterleaved), rotary_embedding_dim: 2 * half };
    return s.op('RotaryEmbedding', [x, c, d, positions], attrs);
  }
  const { dtype, shape } = s.b.typeOf(x);
  const size = shape.at(-1) ?? 0;
  const most = Math.min(mostOf(half), Math.floor(size / 2));
  if (mostOf(half) > most) {
    const source = { tensor: s.plan.names[0] ?? '', axis: -1, origin: '', option: '' } as const;
    const limit = { min: leastOf(half), max: most };
    s.checked(half, limit, source, `${s.node}: its caches are wider than half a head`);
  }
  const [zero, one, width] = [ints.id(0), ints.id(1), half.id];
  const place = s.iota(size);
  const isSecond = isInterleaved
    ? s.op('Equal', [s.op('Mod', [place, ints.id(2)]), one])
    : s.op('GreaterOrEqual', [place, width]);
  const behind = s.op('Sub', [place, width]);
  const pair = isInterleaved
    ? s.op('Div', [place, ints.id(2)])
    : s.op('Where', [isSecond, behind, place]);
  const step = isInterleaved ? one : width;
  const other = s.op('Where', [isSecond, s.op('Sub', [place, step]), s.op('Add', [place, step])]);
  // Elements that are not rotated read any.
  const within = (list: ValueId, count: number): ValueId =>
    s.op('Min', [s.op('Max', [list, zero]), ints.id(Math.max(0, count - 1))]);
  const wide = (id: ValueId): ValueId => s.cast(id, wideOf(dtype));
  const angle = (cache: Sized): ValueId => {
    const rows = s.op('Gather', [cache.id, positions], { axis: 0 });
    const spread = s.op('Gather', [rows, within(pair, mostOf(sizeAt(cache, 1)))], { axis: 2 });
    return wide(s.op('Unsqueeze', [spread, s.b.ints([1])]));
  };
  const partner = s.op('Gather', [wide(x), within(other, size)], { axis: 3 });
  const own = s.op('Mul', [wide(x), angle(cos)]);
  const others = s.op('Mul', [partner, angle(sin)]);
  const turned = s.op('Where', [isSecond, s.op('Add', [others, own]), s.op('Sub', [own, others])]);
  const isRotated = s.op('Less', [place, ints.id(ints.mul(half, 2))]);
  return s.op('Where', [isRotated, s.cast(turned, dtype), x]);
}
