/** Random uses of com.microsoft's operators: sizes, optional inputs and attributes from a seed. */
import type { Attrs } from 'hone/graph/types';
import type { DType } from 'hone-runtime/base/dtype';
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { NodeUse } from '../support/peer-node.ts';

const MICROSOFT = 'com.microsoft';
type Make = (random: Random) => NodeUse;
type Inputs = readonly (Tensor | null)[];

function among<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)] as T;
}

function count(random: Random, most: number): number {
  return 1 + random.integer(most);
}

function reals(random: Random, shape: readonly number[], span = 1): Tensor {
  const values = Array.from({ length: elementCount(shape) }, () => (random.next() * 2 - 1) * span);
  return fromNumbers('f32', shape, values);
}

function whole(random: Random, dtype: DType, shape: readonly number[], below: number): Tensor {
  const values = Array.from({ length: elementCount(shape) }, () => random.integer(below));
  return fromNumbers(dtype, shape, values);
}

function list(dtype: DType, values: readonly number[]): Tensor {
  return fromNumbers(dtype, [values.length], values);
}

function use(
  op: string,
  inputs: Inputs,
  attrs: Attrs,
  outputs = 1,
  constants: number[] = [],
): NodeUse {
  return { op, domain: MICROSOFT, inputs, attrs, outputs, constants };
}

/** An input that is there half of the time. */
function maybe(random: Random, make: () => Tensor): Tensor | null {
  return random.integer(2) ? make() : null;
}

/** A mask of the keys in one of the forms that it may have. Some key of every row counts. */
function mask(random: Random, batch: number, queries: number, keys: number, wide: boolean): Tensor {
  const form = random.integer(wide ? 4 : 2);
  const some = (shape: readonly number[]): Tensor => {
    const values = Array.from({ length: elementCount(shape) }, (_, i) =>
      i % keys === 0 ? 1 : random.integer(2),
    );
    return fromNumbers('i32', shape, values);
  };
  const lengths = Array.from({ length: batch }, () => count(random, keys));
  if (form === 0) return list('i32', lengths);
  if (form === 1) return some([batch, keys]);
  if (form === 2) return some([batch, queries, keys]);
  return list('i32', [...lengths, ...lengths.map((length) => random.integer(length))]);
}

const attention: Make = (random) => {
  const [batch, length, heads] = [count(random, 2), count(random, 4), count(random, 3)];
  const [size, depth, past] = [2 * count(random, 3), count(random, 6), random.integer(3)];
  const width = heads * size;
  const other = past === 0 && random.integer(3) === 0 ? heads * count(random, 5) : width;
  const hasPast = past > 0;
  const masked = maybe(random, () => mask(random, batch, length, past + length, true));
  const inputs = [
    ...[reals(random, [batch, length, depth]), reals(random, [depth, 2 * width + other])],
    ...[reals(random, [2 * width + other]), masked],
    hasPast ? reals(random, [2, batch, heads, past, size]) : null,
  ];
  const attrs = {
    num_heads: heads,
    unidirectional: random.integer(2),
    ...(other === width ? {} : { qkv_hidden_sizes: [width, width, other] }),
    ...(random.integer(3) ? {} : { scale: 0.5 }),
    ...(random.integer(3) ? {} : { mask_filter_value: -3 }),
  };
  return use('Attention', inputs, attrs, hasPast ? 2 : 1);
};

const multiHead: Make = (random) => {
  const [batch, queries, heads] = [count(random, 2), count(random, 4), count(random, 3)];
  const [size, valueSize] = [2 * count(random, 3), 2 * count(random, 3)];
  const past = random.integer(2) ? count(random, 3) : 0;
  const own = count(random, 5);
  const vSize = past > 0 ? size : valueSize;
  const keys = past + own;
  const row = (length: number, columns: number): Tensor => reals(random, [batch, length, columns]);
  const byHead = past === 0 && random.integer(3) === 0;
  const [k, v] = byHead
    ? [reals(random, [batch, heads, own, size]), reals(random, [batch, heads, own, vSize])]
    : [row(own, heads * size), row(own, heads * vSize)];
  const bias = byHead ? null : maybe(random, () => reals(random, [heads * (2 * size + vSize)]));
  const cache = (): Tensor | null => (past > 0 ? reals(random, [batch, heads, past, size]) : null);
  const inputs = [
    ...[row(queries, heads * size), k, v, bias],
    maybe(random, () => mask(random, batch, queries, keys, false)),
    maybe(random, () =>
      reals(random, [among(random, [1, batch]), among(random, [1, heads]), queries, keys]),
    ),
    ...[cache(), cache()],
  ];
  const attrs = { num_heads: heads, ...(random.integer(3) ? {} : { scale: 0.25 }) };
  return use('MultiHeadAttention', inputs, attrs, past > 0 ? 3 : 1);
};

/** Every sequence is whole: what is beyond a sequence's end is no one's business. */
const groupQuery: Make = (random) => {
  const [batch, kvHeads] = [count(random, 2), count(random, 2)];
  const heads = kvHeads * count(random, 3);
  const size = 16;
  const past = random.integer(2) ? count(random, 5) : 0;
  const queries = past === 0 ? count(random, 5) : count(random, 2);
  const total = past + queries;
  const packed = random.integer(2) === 0;
  const row = (columns: number): Tensor => reals(random, [batch, queries, columns]);
  const q = packed ? row((heads + 2 * kvHeads) * size) : row(heads * size);
  const kv = (): Tensor | null => (packed ? null : row(kvHeads * size));
  const cache = (): Tensor | null =>
    past === 0 ? null : reals(random, [batch, kvHeads, past, size]);
  const rotates = random.integer(2);
  const angles = (): Tensor | null => (rotates ? reals(random, [total + 2, size / 2]) : null);
  const sink = random.integer(4) === 0 ? reals(random, [heads]) : null;
  const inputs = [
    ...[q, kv(), kv(), cache(), cache()],
    list('i32', new Array<number>(batch).fill(total - 1)),
    ...[list('i32', [total]), angles(), angles()],
    rotates && random.integer(2) ? whole(random, 'i64', [batch, queries], 3) : null,
    random.integer(3) ? null : reals(random, [1, among(random, [1, heads]), queries, total]),
    sink,
  ];
  const attrs = {
    num_heads: heads,
    kv_num_heads: kvHeads,
    do_rotary: rotates,
    rotary_interleaved: random.integer(2),
    ...(random.integer(3) ? {} : { local_window_size: count(random, 4) }),
    ...(random.integer(3) ? {} : { softcap: 1.5 }),
    ...(random.integer(3) ? {} : { scale: 0.4 }),
    ...(sink !== null || random.integer(4) ? {} : { smooth_softmax: 1 }),
  };
  return use('GroupQueryAttention', inputs, attrs, 3, [6]);
};

const rotary: Make = (random) => {
  const [batch, length, heads] = [count(random, 2), count(random, 4), count(random, 3)];
  const size = 4 * count(random, 3);
  const most = 10;
  const half = size / 2;
  const is4 = random.integer(2) === 0;
  const shape = is4 ? [batch, heads, length, size] : [batch, length, heads * size];
  const ids = random.integer(2)
    ? list('i64', [random.integer(4)])
    : whole(random, 'i64', [batch, length], most);
  const inputs = [
    reals(random, shape),
    ids,
    reals(random, [most, half]),
    reals(random, [most, half]),
  ];
  return use('RotaryEmbedding', inputs, { interleaved: random.integer(2) });
};

const embed: Make = (random) => {
  const [batch, length, words, width] = [
    count(random, 3),
    count(random, 5),
    9,
    4 * count(random, 3),
  ];
  const hasSegments = random.integer(2) === 0;
  const inputs = [
    whole(random, 'i32', [batch, length], words),
    hasSegments ? whole(random, 'i32', [batch, length], 2) : null,
    ...[reals(random, [words, width]), reals(random, [length + 2, width])],
    hasSegments ? reals(random, [2, width]) : null,
    ...[reals(random, [width]), reals(random, [width])],
    maybe(random, () => whole(random, 'i32', [batch, length], 2)),
    maybe(random, () => whole(random, 'i32', [batch, length], length + 2)),
  ];
  return use('EmbedLayerNormalization', inputs, { epsilon: 1e-5 }, 2);
};

const skipNorm: Make = (random) => {
  const [batch, length, width] = [count(random, 2), count(random, 3), 4 * count(random, 4)];
  const centred = random.integer(2) === 0;
  const row = (): Tensor => reals(random, [width]);
  const skip = among(random, [
    [batch, length, width],
    [1, length, width],
    [length, width],
  ]);
  const beta = centred ? [maybe(random, row)] : [];
  const inputs = [
    ...[reals(random, [batch, length, width]), reals(random, skip), row()],
    ...[...beta, maybe(random, row)],
  ];
  const op = centred ? 'SkipLayerNormalization' : 'SkipSimplifiedLayerNormalization';
  return use(op, inputs, { epsilon: 1e-5 });
};

const ACTIVATIONS: readonly Attrs[] = [
  { activation: 'Relu' },
  { activation: 'Tanh' },
  { activation: 'Sigmoid' },
  { activation: 'LeakyRelu', activation_params: [0.25] },
  { activation: 'HardSigmoid', activation_params: [0.25, 0.5] },
  { activation: 'Clip', activation_params: [-0.5, 0.75] },
];

const fusedConv: Make = (random) => {
  const [group, kernel] = [count(random, 2), count(random, 3)];
  const [inner, outer] = [group * count(random, 3), group * count(random, 3)];
  const [height, width] = [kernel + random.integer(4), kernel + random.integer(4)];
  const pad = random.integer(kernel);
  const out = (extent: number): number => extent + 2 * pad - kernel + 1;
  const inputs = [
    reals(random, [1, inner, height, width]),
    reals(random, [outer, inner / group, kernel, kernel]),
    reals(random, [outer]),
    maybe(random, () => reals(random, [1, outer, out(height), out(width)])),
  ];
  const attrs = { group, pads: [pad, pad, pad, pad], ...among(random, ACTIVATIONS) };
  return use('FusedConv', inputs, attrs);
};

const fusedGemm: Make = (random) => {
  const [m, k, n] = [count(random, 5), count(random, 5), count(random, 5)];
  const [transA, transB] = [random.integer(2), random.integer(2)];
  const inputs = [
    reals(random, transA ? [k, m] : [m, k]),
    reals(random, transB ? [n, k] : [k, n]),
    maybe(random, () => reals(random, among(random, [[n], [m, n], [1, n]]))),
  ];
  const { activation, activation_params: params = [] } = among(random, ACTIVATIONS.slice(0, 5));
  const [alpha, beta] = params as readonly number[];
  const attrs = {
    ...{ transA, transB, alpha: 0.5, activation: activation ?? '' },
    ...(alpha === undefined ? {} : { activation_alpha: alpha }),
    ...(beta === undefined ? {} : { activation_beta: beta }),
  };
  return use('FusedGemm', inputs, attrs);
};

const fusedMatMul: Make = (random) => {
  const [m, k, n] = [count(random, 5), count(random, 5), count(random, 5)];
  const [transA, transB] = [random.integer(2), random.integer(2)];
  const batch = random.integer(2) ? [count(random, 3)] : [];
  const inputs = [
    reals(random, [...batch, ...(transA ? [k, m] : [m, k])]),
    reals(random, [...(random.integer(2) ? batch : []), ...(transB ? [n, k] : [k, n])]),
  ];
  return use('FusedMatMul', inputs, { transA, transB, alpha: 1.5 });
};

const gelus: Make = (random) => {
  const width = count(random, 6);
  const x = reals(random, [count(random, 4), width], 4);
  const bias = reals(random, [width]);
  return among(random, [
    use('Gelu', [x], {}),
    use('QuickGelu', [x], { alpha: 1.25 }),
    use('FastGelu', [x, bias], {}),
    use('BiasGelu', [x, bias], {}),
  ]);
};

const crop: Make = (random) => {
  const [images, channels, regions] = [count(random, 2), count(random, 3), count(random, 4)];
  const size = list('i32', [count(random, 4), count(random, 4)]);
  const x = reals(random, [images, channels, count(random, 6), count(random, 6)]);
  const inputs = [
    x,
    reals(random, [regions, 4], 1.2),
    whole(random, 'i32', [regions], images),
    size,
  ];
  const mode = among(random, ['bilinear', 'nearest']);
  return use('CropAndResize', inputs, { mode, extrapolation_value: 0.5 }, 1, [3]);
};

const inverse: Make = (random) => {
  const n = count(random, 6);
  const values = reals(random, [count(random, 3), n, n]).data as Float32Array;
  // Away from singular ones, whose inverses are noise.
  const safe = Array.from(values, (x, i) => (Math.floor(i / n) % n === i % n ? x + 4 : x));
  return use('Inverse', [fromNumbers('f32', [values.length / n / n, n, n], safe)], {});
};

const language: Make = (random) => {
  const [batch, length, words] = [count(random, 3), count(random, 8), 4];
  const ids = whole(random, 'i64', [batch, length], words);
  const ngrams = use('NGramRepeatBlock', [ids, reals(random, [batch, words])], {
    ngram_size: count(random, 3),
  });
  const x = reals(random, [count(random, 3), 3 + random.integer(5)]);
  const windows = use('UnfoldTensor', [x], {
    dim: 1,
    size: count(random, 3),
    step: count(random, 2),
  });
  const [a, b] = [reals(random, [count(random, 5), 3]), reals(random, [count(random, 5), 3])];
  const metric = among(random, ['euclidean', 'sqeuclidean']);
  return among(random, [ngrams, windows, use('CDist', [a, b], { metric })]);
};

const table: Make = (random) => {
  const [rows, blocks, block] = [count(random, 5), count(random, 3), 16];
  const bits = among(random, [4, 8]);
  const width = blocks * block;
  const data = whole(random, 'u8', [rows, bits === 4 ? width / 2 : width], 256);
  const zeroBytes = bits === 4 ? Math.ceil(blocks / 2) : blocks;
  const shape = random.integer(2) ? [count(random, 4)] : [2, count(random, 3)];
  const inputs = [
    ...[data, whole(random, 'i64', shape, rows), reals(random, [rows, blocks])],
    maybe(random, () => whole(random, 'u8', [rows, zeroBytes], 256)),
  ];
  return use('GatherBlockQuantized', inputs, { bits, block_size: block });
};

const weights: Make = (random) => {
  const [m, n, k, block] = [count(random, 3), count(random, 4), 16 * count(random, 3), 16];
  const a = reals(random, [m, k]);
  if (random.integer(2)) {
    const bytes = whole(random, 'u8', [(n * k) / 2], 256);
    const attrs = { K: k, N: n, block_size: block, quant_type: random.integer(2) };
    return use('MatMulBnb4', [a, bytes, reals(random, [(n * k) / block])], attrs, 1, [1, 2]);
  }
  const blocks = k / block;
  const bytes = whole(random, 'u8', [n, blocks, block / 2], 256);
  const zeros = maybe(random, () => whole(random, 'u8', [n, Math.ceil(blocks / 2)], 256));
  const attrs = { K: k, N: n, bits: 4, block_size: block };
  return use('MatMulNBits', [a, bytes, reals(random, [n, blocks]), zeros], attrs, 1, [1, 2, 3]);
};

const pools: Make = (random) => {
  const kernel = count(random, 3);
  const shape = [1, kernel + random.integer(4), kernel + random.integer(4), count(random, 4)];
  const stride = count(random, 2);
  const attrs = { kernel_shape: [kernel, kernel], strides: [stride, stride] };
  return use('NhwcMaxPool', [whole(random, 'u8', shape, 256)], attrs);
};

const MAKERS: readonly Make[] = [
  ...[attention, multiHead, groupQuery, rotary, embed, skipNorm, fusedConv, fusedGemm, fusedMatMul],
  ...[gelus, crop, inverse, language, table, weights, pools, multiHead, groupQuery],
];

/** The use of a seed; uses of consecutive seeds are of all operators in turn. */
export function contribUse(seed: number): NodeUse {
  const make = MAKERS[seed % MAKERS.length] as Make;
  return make(seededRandom(seed));
}
