/** Rotary positions by caches whose width, half of what is rotated of a head, may be unknown. */
import type { ValueId } from '../../../graph/types.ts';
import { agreed } from './agreed.ts';
import { atBound } from './at-bound.ts';
import { isKnown, leastOf, mostOf } from './ints.ts';
import { Parts, wideOf } from './parts.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
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
  // Of the operator itself, 0 means the whole head.
  if (half === 0) return x;
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

/** Heads of unknown size: those of packed columns are taken apart, as room lies behind each. */
export const rotaryEmbedding: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const [x, cos, sin] = [0, 1, 2].map((k) => given(use, k)) as [Sized, Sized, Sized];
  const ids = use.inputs[3] == null ? null : s.masked(given(use, 3), 0);
  const isPacked = x.sizes.length === 3;
  const asked = intOf(use, 'rotary_embedding_dim');
  const widths = [x, cos, sin].map((y) => sizeAt(y, y.sizes.length - 1));
  if (widths.every(isKnown)) return atBound(use, [x, cos, sin, ids]);
  const [n = 1, rows = 1, columns = 1] = x.sizes;
  const count = intOf(use, 'num_heads');
  const heads = isPacked
    ? parts.op('Transpose', [parts.reshape(x, [n, rows, count, ints.div(columns, count)])], {
        perm: [0, 2, 1, 3],
      })
    : x;
  // Caches of each row by itself are one that all rows have a position in.
  const places = [sizeAt(heads, 0), sizeAt(heads, 2)].map(mostOf) as [number, number];
  const all = places[0] * places[1];
  const cache = (own: Sized): Sized => {
    const axis = own.sizes.length - 1;
    const cut = asked === 0 ? own : s.first(own, axis, asked / 2);
    const width = sizeAt(cut, axis);
    if (ids !== null) return cut;
    const fitted = [0, 2].reduce((y: Sized, of, k) => s.first(y, k, sizeAt(heads, of)), cut);
    return { id: s.reshape(fitted.id, [all, mostOf(width)]), sizes: [all, width] };
  };
  const made = rotated(use, {
    ...{ x: heads.id, cos: cache(cos), sin: cache(sin) },
    positions: ids?.id ?? s.reshape(s.iota(all), places),
    isInterleaved: intOf(use, 'interleaved') !== 0,
  });
  const y: Sized = { id: made, sizes: heads.sizes };
  if (!isPacked) return [y];
  const back = parts.op('Transpose', [y], { perm: [0, 2, 1, 3] });
  return [parts.reshape(back, x.sizes)];
};
