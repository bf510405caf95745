/** Operators that carry a state along a sequence, other than recurrent layers. */
import { at } from 'hone-runtime/base/diagnostics';
import { inputOf } from '../../../ops/builder.ts';
import { linearAttentionNodes } from '../../../ops/nn/linear-attention-nodes.ts';
import { agreed, apart, opened, rootOf } from './agreed.ts';
import { expanded } from './expand.ts';
import { type Int, isKnown, mostOf } from './ints.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

/** Inputs of LinearAttention. */
const IN = { query: 0, key: 1, value: 2, past: 3, decay: 4, beta: 5 };

/** Extents of LinearAttention, those of heads too. */
interface Plan {
  readonly batch: Int;
  readonly tokens: Int;
  readonly heads: number;
  readonly kvHeads: number;
  readonly keySize: Int;
  readonly valueSize: Int;
}

function planOf(use: Use): Plan {
  const { ints } = use;
  const present = [...use.inputs.keys()].filter((k) => use.inputs[k] != null);
  const extents = (axis: number, without = -1): Int[] =>
    present.flatMap((k) => (k === without ? [] : [sizeAt(given(use, k), axis)]));
  const [heads, kvHeads] = [intOf(use, 'q_num_heads'), intOf(use, 'kv_num_heads')];
  const own = (k: number, count: number): Int => ints.div(sizeAt(given(use, k), 2), count);
  const past = use.inputs[IN.past];
  const ofPast = (axis: number): Int[] => (past == null ? [] : [sizeAt(past, axis)]);
  const keys = [own(IN.query, heads), own(IN.key, kvHeads), ...ofPast(2)];
  const values = [own(IN.value, kvHeads), ...ofPast(3)];
  return {
    batch: agreed(use, extents(0), 'the batches of its inputs'),
    tokens: agreed(use, extents(1, IN.past), 'the lengths of its inputs'),
    ...{ heads, kvHeads },
    keySize: agreed(use, keys, 'the key sizes of its inputs'),
    valueSize: agreed(use, values, 'the value sizes of its inputs'),
  };
}

/**
 * A state per sequence and head, over all of the room: behind the last token that is meant it stays as it is,
 * and rows for keys in the room are 0. Sequences are computed apart, and so are columns of values.
 */
const linearAttention: Rule = (use) => {
  const { s, ints } = use;
  const plan = planOf(use);
  const { batch, tokens, heads, kvHeads, keySize, valueSize } = plan;
  const ids = use.inputs.map((x, k) => (x === null ? null : fitted(use, plan, x, k).id));
  const scale = isKnown(keySize) || intOf(use, 'scale') !== 0 ? null : rootOf(use, keySize);
  const ctx = {
    ...{ node: s.node, op: use.op, outputCount: use.outputs },
    attrs: scale === null ? use.attrs : { ...use.attrs, scale: 1 },
    inputs: ids.map((id) => (id === null ? null : inputOf(s.b.graph.value(id)))),
  };
  use.def.infer(ctx);
  const rows: Sized = { id: s.iota(mostOf(keySize), 2), sizes: [keySize, 1] };
  const made = linearAttentionNodes(s.b, ids, ctx, {
    count: isKnown(tokens) ? null : ints.id(tokens),
    keys: s.valid(rows) ?? null,
    scale,
  });
  if (typeof made === 'string') return s.cannot(made);
  const [y = -1, state] = made;
  const room = [batch, tokens, heads, valueSize].map(mostOf);
  const columns: Int[] = [batch, tokens, ints.mul(valueSize, heads)];
  const read = isKnown(valueSize)
    ? s.made(y, columns)
    : s.reshaped(s.made(s.reshape(y, room), [batch, tokens, heads, valueSize]), columns);
  if (state === undefined) return [read];
  return [read, s.made(state, [batch, kvHeads, keySize, valueSize])];
};

/** An input at the bound of the plan's extents, with 0 where a key of the room is read. */
function fitted(use: Use, plan: Plan, x: Sized, k: number): Sized {
  const { s } = use;
  const { batch, tokens, heads, kvHeads, keySize, valueSize } = plan;
  const rows = s.first(x, 0, batch);
  if (k === IN.past) {
    const keys = s.masked(s.first(rows, 2, keySize), 0, [2]);
    return s.first(keys, 3, valueSize);
  }
  const all = s.first(rows, 1, tokens);
  if (k === IN.decay) return perKey(use, plan, all);
  // One strength, or one for each head.
  if (k === IN.beta) return s.fit(all, 2, kvHeads);
  if (k === IN.value) return apart(use, all, kvHeads, valueSize);
  return apart(use, all, k === IN.query ? heads : kvHeads, keySize);
}

/** Decays as one for each key, where it is not known whether they are one for each head. */
function perKey(use: Use, { kvHeads, keySize }: Plan, x: Sized): Sized {
  const { s, ints } = use;
  const columns = sizeAt(x, 2);
  if (columns === kvHeads || (isKnown(columns) && isKnown(keySize))) return x;
  const room = mostOf(keySize);
  const place = s.iota(kvHeads * room);
  const head = s.op('Div', [place, ints.id(Math.max(1, room))]);
  const key = s.op('Mod', [place, ints.id(Math.max(1, room))]);
  const own = s.op('Add', [s.op('Mul', [head, ints.id(keySize)]), key]);
  const isOfHeads = s.op('Equal', [ints.id(columns), ints.id(kvHeads)]);
  const list = s.op('Where', [isOfHeads, head, own]);
  // Keys of the room read any.
  const last = ints.id(Math.max(0, mostOf(columns) - 1));
  return s.take(x, 2, s.op('Min', [list, last]), kvHeads * room);
}

/** Channels are convolved apart. */
const causalConv: Rule = (use) => {
  if (use.def.kind !== 'composite') return use.s.cannot('it is made of nothing else');
  const { s } = use;
  // Input, weight, bias, state.
  const AXES = [1, 0, 0, 1] as const;
  const extents = use.inputs.flatMap((x, k) => (x === null ? [] : [sizeAt(x, at(AXES, k))]));
  const channels = agreed(use, extents, 'the channels of its inputs');
  const inputs = use.inputs.map((x, k): Sized | null => {
    const axis = at(AXES, k);
    return x === null ? null : opened(s.first(x, axis, channels), [axis]);
  });
  return expanded({ ...use, inputs }, use.def).map(({ id, sizes }) => ({
    id,
    sizes: sizes.map((size, axis) => (axis === 1 ? channels : size)),
  }));
};

export const TOKEN_STATES: ReadonlyMap<string, Rule> = new Map([
  ['LinearAttention', linearAttention],
  ['CausalConvWithState', causalConv],
]);
