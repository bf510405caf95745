/** Steps on rows and matrices: products, attention, normalisation, recurrence, quantised products. */
import { elementCount } from 'hone-runtime/base/tensor';
import type { Growth, Grown, Step } from './growth.ts';

const WIDTHS = [1, 3, 5, 8, 16, 17, 24, 32, 33, 48, 64, 70];
const MAX_PRODUCTS = 2e6;

interface Rows extends Grown {
  readonly shape: readonly number[];
  readonly m: number;
  readonly k: number;
}

function pickRows(g: Growth): Rows | undefined {
  const x = g.pick(g.isMatrix);
  if (x === undefined) return undefined;
  const { shape } = x.type;
  return { ...x, shape, m: shape.at(-2) ?? 1, k: shape.at(-1) ?? 1 };
}

export const linear: Step = (g) => {
  const x = pickRows(g);
  if (x === undefined) return;
  const n = g.among(WIDTHS);
  if (elementCount(x.shape) * n > MAX_PRODUCTS) return;
  const weights = g.chance(0.85)
    ? g.constant([x.k, n], 0.8 / Math.sqrt(x.k))
    : g.input(g.float, [x.k, n]).id;
  const product = g.op('MatMul', [x.id, weights]);
  if (product === undefined || g.chance(0.3)) return;
  const sum = g.op(
    'Add',
    g.chance(0.5) ? [product.id, g.constant([n])] : [g.constant([n]), product.id],
  );
  if (sum !== undefined && g.chance(0.5))
    g.op(g.among(['Relu', 'Gelu', 'Tanh', 'Sigmoid']), [sum.id]);
};

/** A product of two computed values, one of them made to fit. */
export const product: Step = (g) => {
  const x = pickRows(g);
  const y = g.pick(g.isMatrix);
  if (x === undefined || y === undefined) return;
  const n = y.type.shape.at(-1) ?? 1;
  if (elementCount(x.shape) * n > MAX_PRODUCTS) return;
  const scaled = g.op('Mul', [x.id, g.scalar(1 / Math.sqrt(x.k))]);
  if (scaled === undefined) return;
  if (y.type.shape.at(-2) === x.k) g.op('MatMul', [scaled.id, y.id]);
  else {
    const rank = x.shape.length;
    const perm = x.shape.map((_, i) => (i < rank - 2 ? i : 2 * rank - 3 - i));
    const turned = g.op('Transpose', [x.id], { perm });
    if (turned !== undefined) {
      g.op('MatMul', g.chance(0.5) ? [scaled.id, turned.id] : [turned.id, scaled.id]);
    }
  }
};

export const gemm: Step = (g) => {
  const x = g.pick((type) => g.isMatrix(type) && type.shape.length === 2);
  if (x === undefined) return;
  const [rows = 1, columns = 1] = x.type.shape;
  const transA = g.chance(0.25) ? 1 : 0;
  const transB = g.random.integer(2);
  const [m, k] = transA === 1 ? [columns, rows] : [rows, columns];
  const n = g.among(WIDTHS);
  const shape = transB === 1 ? [n, k] : [k, n];
  const weights = g.chance(0.85)
    ? g.constant(shape, 0.8 / Math.sqrt(k))
    : g.input(g.float, shape).id;
  const c = g.chance(0.7) ? [g.constant(g.among([[n], [1, n], [m, 1], [m, n], [1], []]))] : [];
  const factor = (): number => g.among([1, 1, 0.5, 2]);
  g.op('Gemm', [x.id, weights, ...c], { transA, transB, alpha: factor(), beta: factor() });
};

/** Self-attention over the last two axes of a rank-3 value, written out. */
export const attention: Step = (g) => {
  const x = g.pick((type) => g.isMatrix(type) && type.shape.length === 3);
  if (x === undefined) return;
  const [batch = 1, s = 1, d = 1] = x.type.shape;
  const heads = g.among([1, 2, 3, 4].filter((h) => d % h === 0));
  const size = d / heads;
  if (batch * s * d * (s + 3 * d) > MAX_PRODUCTS) return;
  const project = (perm: readonly number[]): Grown | undefined => {
    const y = g.op('MatMul', [x.id, g.constant([d, d], 0.8 / Math.sqrt(d))]);
    const split = y && g.op('Reshape', [y.id, g.ints([g.among([0, batch]), s, heads, size])]);
    return split && g.op('Transpose', [split.id], { perm });
  };
  const [q, k, v] = [project([0, 2, 1, 3]), project([0, 2, 3, 1]), project([0, 2, 1, 3])];
  if (q === undefined || k === undefined || v === undefined) return;
  const scores = g.op('MatMul', [q.id, k.id]);
  const scaled = scores && g.op('Mul', [scores.id, g.scalar(1 / Math.sqrt(size))]);
  const mask = scaled && g.chance(0.4) ? g.op('Add', [scaled.id, g.constant([s, s])]) : scaled;
  const weights = mask && g.op('Softmax', [mask.id], { axis: -1 });
  const mixed = weights && g.op('MatMul', [weights.id, v.id]);
  const back = mixed && g.op('Transpose', [mixed.id], { perm: [0, 2, 1, 3] });
  const joined = back && g.op('Reshape', [back.id, g.ints([batch, s, -1])]);
  if (joined !== undefined) g.op('Add', [joined.id, x.id]);
};

export const rowNorm: Step = (g) => {
  const x = pickRows(g);
  if (x === undefined) return;
  const k = [x.k];
  const epsilon = 1e-3;
  switch (g.random.integer(7)) {
    case 0:
      g.op('RMSNormalization', [x.id, g.constant(k)], { axis: -1, epsilon });
      break;
    case 1:
      g.op('LpNormalization', [x.id], { axis: -1, p: g.between(1, 2) });
      break;
    case 2: {
      const rest = x.shape.slice(-2);
      g.op('LayerNormalization', [x.id, g.constant(rest), g.constant(rest)], { axis: -2, epsilon });
      break;
    }
    case 3:
      writtenNorm(g, x);
      break;
    case 4:
      g.ops('SkipLayerNormalization', [x.id, x.id, g.constant(k)], { epsilon }, 1, 'com.microsoft');
      break;
    default:
      g.op('LayerNormalization', [x.id, g.constant(k), g.constant(k)], { axis: -1, epsilon });
  }
};

/** A layer normalisation as old exporters write it. */
function writtenNorm(g: Growth, x: Rows): void {
  const axes = g.ints([-1]);
  const mean = g.op('ReduceMean', [x.id, axes]);
  const centred = mean && g.op('Sub', [x.id, mean.id]);
  const square = centred && g.op('Pow', [centred.id, g.scalar(2)]);
  const variance = square && g.op('ReduceMean', [square.id, axes]);
  const safe = variance && g.op('Add', [variance.id, g.scalar(1e-3)]);
  const deviation = safe && g.op('Sqrt', [safe.id]);
  const normal = centred && deviation && g.op('Div', [centred.id, deviation.id]);
  const scaled = normal && g.op('Mul', [normal.id, g.constant([x.k])]);
  if (scaled !== undefined) g.op('Add', [scaled.id, g.constant([x.k])]);
}

export const softmax: Step = (g) => {
  const x = g.pick((type) => g.isFloat(type) && type.shape.length > 0);
  if (x === undefined) return;
  const rank = x.type.shape.length;
  const axis = g.between(-rank, rank - 1);
  g.op(g.among(['Softmax', 'Softmax', 'LogSoftmax', 'Hardmax']), [x.id], { axis });
};

export const einsum: Step = (g) => {
  const x = pickRows(g);
  if (x === undefined || x.shape.length > 3) return;
  const n = g.between(1, 20);
  const lead = x.shape.length === 3 ? 'b' : '';
  const weights = g.constant([n, x.k], 0.8 / Math.sqrt(x.k));
  g.op('Einsum', [x.id, weights], {
    equation: `${lead}ij,kj->${g.among([`${lead}ik`, `k${lead}i`])}`,
  });
};

export const recurrence: Step = (g) => {
  const x = g.pick((type) => g.isMatrix(type) && type.shape.length === 3);
  if (x === undefined) return;
  const [steps = 1, batch = 1, features = 1] = x.type.shape;
  if (steps > 6 || batch * features > 200) return;
  const [op, gates] = g.among([
    ['LSTM', 4],
    ['GRU', 3],
    ['RNN', 1],
  ] as const);
  const direction = g.among(['forward', 'reverse', 'bidirectional']);
  const count = direction === 'bidirectional' ? 2 : 1;
  const hidden = g.among([1, 3, 8, 16]);
  const w = g.constant([count, gates * hidden, features], 0.3);
  const r = g.constant([count, gates * hidden, hidden], 0.3);
  const bias = g.chance(0.5) ? [g.constant([count, 2 * gates * hidden], 0.3)] : [];
  g.ops(op, [x.id, w, r, ...bias], { hidden_size: hidden, direction }, op === 'LSTM' ? 3 : 2);
};

/** To 8 bits and back, or a product of 8-bit integers. */
export const quantised: Step = (g) => {
  const x = pickRows(g);
  if (x === undefined) return;
  const scale = g.scalar(1 / 32);
  const dtype = g.among(['u8', 'i8'] as const);
  const zero = g.scalar(dtype === 'u8' ? 128 : 0, dtype);
  const q = g.chance(0.8)
    ? g.op('QuantizeLinear', [x.id, scale, zero])
    : g.ops('DynamicQuantizeLinear', [x.id], {}, 3)?.[0];
  if (q === undefined) return;
  if (g.chance(0.5)) {
    g.op('DequantizeLinear', [
      q.id,
      scale,
      g.scalar(q.type.dtype === 'u8' ? 128 : 0, q.type.dtype),
    ]);
    return;
  }
  const n = g.among(WIDTHS);
  const weights = g.hold(g.integers([x.k, n], -9, 9, 'i8'));
  const sum = g.op('MatMulInteger', [
    q.id,
    weights,
    ...(g.chance(0.5) ? [g.scalar(3, q.type.dtype)] : []),
  ]);
  const real = sum && g.op('Cast', [sum.id], { to: 1 });
  if (real !== undefined) g.op('Mul', [real.id, g.scalar(1 / 256)]);
};
