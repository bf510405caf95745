/**
 * Nodes that take only some sizes, or are something else at different ones: extents that have to be equal to
 * others, heads of unknown size, masks of one row or of all, and sizes that a node does not take.
 */
import { fromNumbers, stridesOf, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { RawNode, RawValue } from '../onnx/raw-model.ts';
import { f32, i64, node, noise } from './cases.ts';
import type { FreeCase } from './free-cases.ts';

/** The numbers that say how much of an axis is left. */
type Length = 'n' | 'm';

/** An input of the model, cut along some axes. */
interface Cut {
  readonly at: Tensor;
  readonly cuts: Readonly<Record<number, Length>>;
}

interface Spec {
  readonly inputs: readonly (Cut | Tensor | null)[];
  readonly attrs?: RawNode['attrs'];
  readonly domain?: string;
  readonly opset?: number;
  /** n and m of each run. */
  readonly lengths: readonly (readonly [n: number, m?: number])[];
  /** Those that the node does not take, and what the run says. */
  readonly beyond?: readonly (readonly [n: number, m: number, says: RegExp])[];
}

const isCut = (input: Cut | Tensor): input is Cut => 'cuts' in input;

function fitting(op: string, note: string, spec: Spec): FreeCase {
  const { inputs: given, attrs = {}, lengths, beyond = [], opset = 18, domain } = spec;
  const nodes: RawNode[] = [];
  const initializers: Record<string, Tensor> = { zero: i64(0) };
  const inputs: RawValue[] = (['n', 'm'] as const).map((name) => ({
    name,
    dtype: 'i64',
    shape: [1],
  }));
  const cuts: Cut[] = [];
  const names = given.map((input, k) => {
    if (input === null) return '';
    let name = `x${k}`;
    if (!isCut(input)) {
      initializers[name] = input;
      return name;
    }
    cuts.push(input);
    inputs.push({ name, dtype: input.at.dtype, shape: input.at.shape });
    for (const [axis, length] of Object.entries(input.cuts)) {
      initializers[`axis${axis}`] = i64(Number(axis));
      const cut = `${name}_${axis}`;
      nodes.push(node('Slice', [name, 'zero', length, `axis${axis}`], [cut]));
      name = cut;
    }
    return name;
  });
  nodes.push({ op, inputs: names, outputs: ['y'], attrs, ...(domain ? { domain } : {}) });
  const run = (n: number, m: number): readonly Tensor[] => [
    i64(n),
    i64(m),
    ...cuts.map((cut) => spoiled(cut, { n, m })),
  ];
  return {
    name: `${op}, ${note}`,
    model: {
      opset,
      ...(domain ? { domains: { [domain]: 1 } } : {}),
      inputs,
      outputs: [{ name: 'y', dtype: 'f32' }],
      initializers,
      nodes,
    },
    runs: lengths.map(([n, m = n]) => run(n, m)),
    beyond: beyond.map(([n, m, says]) => [run(n, m), says]),
  };
}

/** No numbers where the cuts take them off. */
function spoiled({ at: x, cuts }: Cut, lengths: Readonly<Record<Length, number>>): Tensor {
  const strides = stridesOf(x.shape);
  const bad = x.dtype === 'f32' ? Number.NaN : x.dtype === 'bool' ? 1 : 2 ** 30;
  const values = [...toNumbers(x)].map((value, p) => {
    const isRoom = Object.entries(cuts).some(([axis, length]) => {
      const [stride = 1, extent = 1] = [strides[Number(axis)], x.shape[Number(axis)]];
      return Math.floor(p / stride) % extent >= lengths[length];
    });
    return isRoom ? bad : value;
  });
  return fromNumbers(x.dtype, x.shape, values);
}

const cut = (at: Tensor, cuts: Cut['cuts']): Cut => ({ at, cuts });
const int = (value: number) => ({ int: value });
const i32 = (shape: readonly number[], ...values: number[]): Tensor =>
  fromNumbers('i32', shape, values);
const MS = 'com.microsoft';

/** Queries, keys and values of 2 heads. */
const HEADS = (size: number): readonly Tensor[] => [
  ...[noise([2, 2, 3, size], 1), noise([2, 2, 5, size], 2), noise([2, 2, 5, 4], 3)],
];
const [Q, K, V] = HEADS(4) as [Tensor, Tensor, Tensor];
const [WIDE_Q, WIDE_K] = HEADS(40) as [Tensor, Tensor];
const ROWS = (length: number, seed: number): Tensor => noise([3, length, 8], seed);

export const FITTING_CASES: readonly FreeCase[] = [
  fitting('Attention', 'heads of unknown size', {
    inputs: [cut(WIDE_Q, { 3: 'n' }), cut(WIDE_K, { 3: 'n' }), cut(V, {})],
    opset: 23,
    lengths: [[40], [39], [8], [1]],
  }),
  fitting('Attention', 'packed heads of unknown size', {
    inputs: [
      cut(noise([1, 3, 24], 1), { 2: 'n' }),
      cut(noise([1, 5, 12], 2), { 2: 'm' }),
      noise([1, 5, 4], 3),
    ],
    attrs: { q_num_heads: int(4), kv_num_heads: int(2) },
    opset: 23,
    lengths: [
      [24, 12],
      [16, 8],
      [4, 2],
    ],
    beyond: [[24, 10, /has to be equal to another size/]],
  }),
  fitting('Attention', 'a mask of one head, or of all', {
    inputs: [cut(Q, {}), cut(K, {}), cut(V, {}), cut(noise([1, 3, 3, 5], 4), { 1: 'n' })],
    opset: 23,
    lengths: [[2], [1]],
    beyond: [[3, 0, /input 3 along axis 1 has to be from 1 to 2/]],
  }),
  fitting('Attention', 'a mask of one batch or all of an unknown number', {
    inputs: [
      ...[cut(noise([5, 2, 3, 4], 1), { 0: 'n' }), cut(noise([5, 2, 5, 4], 2), { 0: 'n' })],
      ...[cut(noise([5, 2, 5, 4], 3), { 0: 'n' }), cut(noise([6, 1, 3, 5], 4), { 0: 'm' })],
    ],
    opset: 23,
    lengths: [[5], [5, 1], [3], [2, 1], [1]],
    beyond: [
      [3, 2, /has to be equal to another size/],
      [2, 4, /has to be equal to another size/],
    ],
  }),
  fitting('Attention', 'as many values as keys', {
    inputs: [cut(Q, {}), cut(K, { 2: 'n' }), cut(noise([2, 2, 7, 4], 3), { 2: 'm' })],
    opset: 23,
    lengths: [[5], [3], [1]],
    beyond: [
      [4, 5, /has to be equal to another size/],
      [5, 7, /has to be equal to another size/],
    ],
  }),
  fitting('MultiHeadAttention', 'lengths of a batch', {
    inputs: [
      cut(ROWS(3, 1), { 0: 'n' }),
      ...[cut(ROWS(4, 2), { 0: 'n' }), cut(ROWS(4, 3), { 0: 'n' }), null],
      i32([2], 3, 1),
    ],
    attrs: { num_heads: int(2) },
    domain: MS,
    lengths: [[2]],
    beyond: [[3, 0, /input 0 along axis 0 has to be 2/]],
  }),
  fitting('MultiHeadAttention', 'heads of unknown size', {
    inputs: [
      ...[cut(noise([2, 3, 24], 1), { 2: 'n' }), cut(noise([2, 4, 24], 2), { 2: 'n' })],
      noise([2, 4, 8], 3),
    ],
    attrs: { num_heads: int(2) },
    domain: MS,
    lengths: [[24], [22], [2]],
  }),
  fitting('MultiHeadAttention', 'scores biased alike for a batch, or not', {
    inputs: [
      ...[noise([2, 3, 8], 1), noise([2, 4, 8], 2), noise([2, 4, 8], 3), null, null],
      cut(noise([3, 2, 3, 4], 5), { 0: 'n' }),
    ],
    attrs: { num_heads: int(2) },
    domain: MS,
    lengths: [[2], [1]],
    beyond: [[3, 0, /input 5 along axis 0 has to be from 1 to 2/]],
  }),
  fitting('RotaryEmbedding', 'caches of half a head', {
    inputs: [
      cut(noise([2, 2, 3, 4], 1), {}),
      i64(4),
      ...[2, 3].map((seed) => cut(noise([8, 6], seed), { 1: 'n' })),
    ],
    domain: MS,
    lengths: [[2]],
    beyond: [[3, 0, /input 2 along axis 1 has to be 2/]],
  }),
  fitting('RotaryEmbedding', 'as many heads as there are columns for', {
    inputs: [
      cut(noise([2, 3, 12], 1), { 2: 'n' }),
      fromNumbers('i64', [2, 3], [0, 1, 2, 5, 6, 7]),
      ...[noise([8, 2], 2), noise([8, 2], 3)],
    ],
    domain: MS,
    lengths: [[12], [8], [4]],
    beyond: [[10, 0, /columns are not whole heads of 4/]],
  }),
  fitting('FusedConv', 'a kernel that fits', {
    inputs: [cut(noise([1, 1, 6, 6], 1), {}), cut(noise([1, 1, 9, 2], 2), { 2: 'n' })],
    attrs: { activation: { text: 'Relu' } },
    domain: MS,
    lengths: [[6], [5], [3], [1]],
  }),
  fitting('NGramRepeatBlock', 'of fewer words, or more', {
    inputs: [
      cut(fromNumbers('i64', [1, 6], [1, 2, 3, 1, 2, 4]), { 1: 'n' }),
      cut(noise([1, 5], 2), {}),
    ],
    attrs: { ngram_size: int(3) },
    domain: MS,
    lengths: [[6], [5], [3], [2], [1]],
  }),
  fitting('FeatureVectorizer', 'cut or filled up', {
    inputs: [cut(noise([3, 5], 1), { 1: 'n' }), cut(f32([3, 1], [1, 2, 3]), {})],
    attrs: { inputdimensions: { ints: [3, 1] } },
    domain: 'ai.onnx.ml',
    lengths: [[5], [4], [3], [2], [1]],
  }),
  fitting('DequantizeLinear', 'blocks that the scales are enough for', {
    inputs: [
      cut(
        fromNumbers(
          'u8',
          [2, 16],
          Array.from({ length: 32 }, (_, i) => (i * 37) % 256),
        ),
        {
          1: 'n',
        },
      ),
      noise([2, 3], 2),
    ],
    attrs: { axis: int(1), block_size: int(4) },
    opset: 21,
    lengths: [[12], [11], [9]],
    beyond: [
      [8, 0, /input 0 along axis 1 has to be from 9 to 12/],
      [16, 0, /input 0 along axis 1 has to be from 9 to 12/],
    ],
  }),
];
