/** Steps on images: convolutions of every form, pooling, normalisation, resizing, concatenation. */
import { elementCount } from 'hone-runtime/base/tensor';
import { attrsOf, type Growth, type Grown, type Step } from './growth.ts';

/** Products of one convolution; the interpreter takes about ten nanoseconds each. */
const MAX_PRODUCTS = 4e6;
const MAX_WINOGRAD_PRODUCTS = 12e6;

const CHANNELS = [1, 2, 3, 5, 8, 12, 16, 17, 20, 24, 32, 33, 40, 48, 64];
const KERNELS = [
  [1, 1],
  [1, 1],
  [1, 1],
  [3, 3],
  [3, 3],
  [3, 3],
  [2, 2],
  [5, 5],
  [1, 3],
  [3, 1],
  [2, 3],
  [7, 7],
] as const;

interface ImageShape {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
}

function imageOf({ type }: Grown): ImageShape {
  const [n = 1, c = 1, h = 1, w = 1] = type.shape;
  return { n, c, h, w };
}

function pickImage(g: Growth): (ImageShape & Grown) | undefined {
  const x = g.pick(g.isImage);
  return x === undefined ? undefined : { ...x, ...imageOf(x) };
}

const divisors = (n: number): number[] =>
  Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);

/** Pads in front and behind, as exporters write them, or at random. */
function padsOf(g: Growth, kernel: readonly number[], dilations: readonly number[]): number[] {
  const reach = kernel.map((k, i) => (k - 1) * (dilations[i] ?? 1));
  const style = g.random.integer(5);
  if (style === 0) return [0, 0, 0, 0];
  if (style < 4) {
    return [...reach.map((r) => Math.floor(r / 2)), ...reach.map((r) => Math.ceil(r / 2))];
  }
  return [...reach, ...reach].map((r) => g.between(0, r));
}

export const convolution: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const kernel = g.among(KERNELS);
  const dilations = g.chance(0.12) ? [g.between(1, 2), g.between(1, 3)] : [1, 1];
  const strides = g.chance(0.25) ? [g.between(1, 2), g.between(1, 3)] : [1, 1];
  const { group, oc } = channelsOf(g, x.c);
  const products = (x.n * oc * x.c * x.h * x.w * kernel[0] * kernel[1]) / group;
  if (products / ((strides[0] ?? 1) * (strides[1] ?? 1)) > MAX_PRODUCTS) return;
  const shape = [oc, x.c / group, ...kernel];
  const scale = 0.8 / Math.sqrt(elementCount(shape) / oc);
  const weights = weightsOf(g, shape, scale);
  const bias = g.chance(0.7) ? [g.constant([oc], 0.3)] : [];
  const attrs = attrsOf({
    group,
    strides: g.chance(0.9) ? strides : undefined,
    dilations,
    pads: padsOf(g, kernel, dilations),
    kernel_shape: g.chance(0.5) ? kernel : undefined,
  });
  const same = g.chance(0.06);
  g.op(
    'Conv',
    [x.id, weights, ...bias],
    same ? { group, strides, auto_pad: g.among(['SAME_UPPER', 'SAME_LOWER', 'VALID']) } : attrs,
  );
};

/** 3×3 and wide enough for minimal filtering. */
export const wideConvolution: Step = (g) => {
  const x = g.pick((type) => g.isImage(type) && (type.shape[1] ?? 0) >= 16);
  if (x === undefined) return;
  const { n, c, h, w } = imageOf(x);
  const wide = c >= 32 && c % 16 === 0;
  const source = wide ? x : g.op('Conv', [x.id, g.constant([32, c, 1, 1], 0.8 / Math.sqrt(c))]);
  if (source === undefined) return;
  const ic = wide ? c : 32;
  const oc = g.among([32, 33, 40, 48, 64]);
  if (n * ic * oc * 9 * h * w > MAX_WINOGRAD_PRODUCTS) return;
  const weights = g.constant([oc, ic, 3, 3], 0.3 / Math.sqrt(ic));
  const bias = g.chance(0.5) ? [g.constant([oc])] : [];
  const pads = g.chance(0.7) ? [1, 1, 1, 1] : Array.from({ length: 4 }, () => g.between(0, 2));
  g.op('Conv', [source.id, weights, ...bias], { pads });
};

function channelsOf(g: Growth, c: number): { group: number; oc: number } {
  const kind = g.random.integer(10);
  if (kind < 2) return { group: c, oc: g.chance(0.85) ? c : 2 * c };
  if (kind === 2) {
    const group = g.among(divisors(c));
    return { group, oc: group * g.between(1, Math.max(1, Math.floor(48 / group))) };
  }
  if (kind === 3) {
    const group = g.among(divisors(c));
    return { group, oc: c };
  }
  return { group: 1, oc: g.among(CHANNELS) };
}

/** Mostly a constant; sometimes computed from constants, or an input of the graph. */
function weightsOf(g: Growth, shape: readonly number[], scale: number): number {
  const kind = g.random.integer(20);
  if (kind === 0) return g.input(g.float, shape).id;
  const computed = kind === 1 ? g.op('Mul', [g.constant(shape), g.scalar(scale)]) : undefined;
  return computed?.id ?? g.constant(shape, scale);
}

export const transposedConvolution: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const kernel = g.among([
    [2, 2],
    [3, 3],
    [4, 4],
    [1, 3],
  ]);
  const strides = g.among([
    [1, 1],
    [2, 2],
    [2, 1],
  ]);
  const group = g.chance(0.25) ? g.among(divisors(x.c)) : 1;
  const per = g.among([1, 2, 3, 8, 16]);
  const [kh = 1, kw = 1] = kernel;
  if (x.n * x.c * per * x.h * x.w * kh * kw > MAX_PRODUCTS) return;
  const scale = 0.8 / Math.sqrt((x.c / group) * kh * kw);
  const weights = g.constant([x.c, per, ...kernel], scale);
  const bias = g.chance(0.5) ? [g.constant([per * group], 0.3)] : [];
  const pads = g.chance(0.5) ? [0, 0, 0, 0] : Array.from({ length: 4 }, () => g.between(0, 1));
  const outputPadding = g.chance(0.25) ? strides.map((s) => g.between(0, s - 1)) : undefined;
  g.op(
    'ConvTranspose',
    [x.id, weights, ...bias],
    attrsOf({ group, strides, pads, output_padding: outputPadding }),
  );
};

/** A one-dimensional or three-dimensional convolution. */
export const otherConvolution: Step = (g) => {
  const x = g.pick(
    ({ dtype, shape }) => dtype === g.float && [3, 5].includes(shape.length) && !shape.includes(0),
  );
  if (x === undefined) return;
  const [n = 1, c = 1, ...spatial] = x.type.shape;
  const kernel = spatial.map((extent) => g.between(1, Math.min(3, Math.max(1, extent))));
  const group = g.chance(0.3) ? g.among(divisors(c)) : 1;
  const oc = group * g.between(1, 6);
  if (n * oc * c * elementCount(spatial) * elementCount(kernel) > MAX_PRODUCTS) return;
  const weights = g.constant([oc, c / group, ...kernel], 0.5 / Math.sqrt(c));
  g.op('Conv', [x.id, weights], {
    group,
    pads: [...kernel, ...kernel].map((k) => g.between(0, k - 1)),
  });
};

export const batchNorm: Step = (g) => {
  const x = g.pick(({ dtype, shape }) => dtype === g.float && shape.length >= 2);
  if (x === undefined) return;
  const c = [x.type.shape[1] ?? 1];
  const variance = g.hold(g.integers(c, 1, 8, g.float));
  const parameters = [g.constant(c), g.constant(c, 0.5), g.constant(c, 0.3), variance];
  g.op('BatchNormalization', [x.id, ...parameters], { epsilon: g.among([1e-5, 1e-3]) });
};

/** An affine map per channel, as exporters leave it of a batch normalisation. */
export const channelAffine: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const shape = g.among([[x.c, 1, 1], [1, x.c, 1, 1], [1], []]);
  const scaled = g.op('Mul', [x.id, g.constant(shape)]);
  if (scaled !== undefined && g.chance(0.6)) g.op('Add', [scaled.id, g.constant(shape, 0.5)]);
};

export const pooling: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const kernel = [g.between(1, Math.min(3, x.h)), g.between(1, Math.min(3, x.w))];
  const strides = g.chance(0.6) ? [g.between(1, 2), g.between(1, 2)] : [1, 1];
  const pads = [...kernel, ...kernel].map((k) => (g.chance(0.5) ? g.between(0, k - 1) : 0));
  const common = { kernel_shape: kernel, strides, pads, ceil_mode: g.chance(0.2) ? 1 : 0 };
  switch (g.random.integer(6)) {
    case 0:
      g.op('AveragePool', [x.id], { ...common, count_include_pad: g.random.integer(2) });
      break;
    case 1:
      g.op('LpPool', [x.id], { ...common, p: g.between(1, 2) });
      break;
    case 2:
      g.ops('MaxPool', [x.id], common, 2);
      break;
    case 3:
      g.op(g.among(['GlobalAveragePool', 'GlobalMaxPool']), [x.id]);
      break;
    default:
      g.op('MaxPool', [x.id], common);
  }
};

/** Squeeze and excitation: every channel is scaled by what all its pixels say. */
export const squeezeExcite: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const mean = g.chance(0.5)
    ? g.op('GlobalAveragePool', [x.id])
    : g.op('ReduceMean', [x.id, g.ints([2, 3])], { keepdims: 1 });
  if (mean === undefined) return;
  const hidden = g.among([1, 4, 8, 16, 20]);
  const down = g.op('Conv', [mean.id, g.constant([hidden, x.c, 1, 1], 0.5), g.constant([hidden])]);
  const relu = down && g.op('Relu', [down.id]);
  const up = relu && g.op('Conv', [relu.id, g.constant([x.c, hidden, 1, 1], 0.5)]);
  const gate = up && g.op(g.among(['Sigmoid', 'HardSigmoid']), [up.id]);
  if (gate !== undefined) g.op('Mul', g.chance(0.5) ? [x.id, gate.id] : [gate.id, x.id]);
};

export const imageNorm: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const c = [x.c];
  switch (g.random.integer(4)) {
    case 0:
      g.op('InstanceNormalization', [x.id, g.constant(c), g.constant(c)], { epsilon: 1e-3 });
      break;
    case 1:
      g.op('GroupNormalization', [x.id, g.constant(c), g.constant(c)], {
        num_groups: g.among(divisors(x.c)),
        epsilon: 1e-3,
      });
      break;
    case 2:
      g.op('LRN', [x.id], { size: g.between(1, 5), alpha: 0.1, beta: 0.75, bias: 1 });
      break;
    default:
      g.op('LpNormalization', [x.id], { axis: g.between(0, 3), p: g.between(1, 2) });
  }
};

export const resize: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const mode = g.among(['nearest', 'nearest', 'linear', 'linear', 'cubic']);
  const attrs = {
    mode,
    coordinate_transformation_mode: g.among([
      'half_pixel',
      'asymmetric',
      'align_corners',
      'pytorch_half_pixel',
    ]),
    nearest_mode: g.among(['floor', 'round_prefer_floor', 'ceil', 'round_prefer_ceil']),
  };
  if (g.chance(0.6)) {
    const scale = (): number => g.among([2, 2, 1, 3, 1.5, 0.5]);
    const scales = g.hold({
      dtype: 'f32',
      shape: [4],
      data: Float32Array.of(1, 1, scale(), scale()),
    });
    g.op('Resize', [x.id, null, scales], attrs);
  } else {
    const sizes = g.ints([x.n, x.c, g.between(1, 2 * x.h), g.between(1, 2 * x.w)]);
    g.op('Resize', [x.id, null, null, sizes], attrs);
  }
};

/** Channels side by side: several images, one twice, a constant among them. */
export const channelConcat: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const fits = g.values.filter((value) => {
    if (!g.isImage(value.type)) return false;
    const { n, h, w } = imageOf(value);
    return n === x.n && h === x.h && w === x.w;
  });
  const parts = [x.id, ...Array.from({ length: g.between(1, 3) }, () => g.among(fits).id)];
  if (g.chance(0.1)) parts.push(g.constant([x.n, g.between(1, 17), x.h, x.w]));
  if (g.chance(0.5)) parts.reverse();
  g.op('Concat', parts, { axis: g.chance(0.5) ? 1 : -3 });
};

/** Images one beside, below or behind the other. */
export const sideConcat: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const axis = g.among([0, 2, 3]);
  const fits = g.values.filter(
    ({ type }) =>
      g.isImage(type) && type.shape.every((extent, i) => i === axis || extent === x.type.shape[i]),
  );
  g.op('Concat', [x.id, ...Array.from({ length: g.between(1, 2) }, () => g.among(fits).id)], {
    axis,
  });
};

export const channelSlice: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined || x.c < 2) return;
  const cut = g.chance(0.5) ? g.between(1, x.c - 1) : 16 * Math.floor((x.c - 1) / 16) || 1;
  if (g.chance(0.4)) g.ops('Split', [x.id, g.ints([cut, x.c - cut])], { axis: 1 }, 2);
  else if (g.chance(0.5)) g.op('Slice', [x.id, g.ints([0]), g.ints([cut]), g.ints([1])]);
  else g.op('Slice', [x.id, g.ints([cut]), g.ints([x.c]), g.ints([1])]);
};

export const spatialSlice: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined || x.h < 3 || x.w < 3) return;
  const step = g.between(1, 2);
  const starts = g.ints([g.between(0, 1), g.between(0, 1)]);
  const ends = g.ints([x.h, g.chance(0.5) ? -1 : x.w]);
  g.op('Slice', [x.id, starts, ends, g.ints([2, 3]), g.ints([step, step])]);
};

export const channelShuffle: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const group = g.among(divisors(x.c));
  const split = g.op('Reshape', [x.id, g.ints([x.n, group, x.c / group, x.h, x.w])]);
  const turned = split && g.op('Transpose', [split.id], { perm: [0, 2, 1, 3, 4] });
  if (turned !== undefined) g.op('Reshape', [turned.id, g.ints([x.n, x.c, x.h, x.w])]);
};

export const depthSpace: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  if (x.c % 4 === 0 && g.chance(0.5)) {
    g.op('DepthToSpace', [x.id], { blocksize: 2, mode: g.among(['DCR', 'CRD']) });
  } else g.op('SpaceToDepth', [x.id], { blocksize: 2 });
};

/** To channels last and, maybe, back. */
export const channelsLast: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const last = g.op('Transpose', [x.id], { perm: [0, 2, 3, 1] });
  if (last === undefined || g.chance(0.4)) return;
  const made = g.op(g.among(['Relu', 'Sigmoid', 'Neg']), [last.id]);
  if (made !== undefined) g.op('Transpose', [made.id], { perm: [0, 3, 1, 2] });
};

export const prelu: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  g.op('PRelu', [x.id, g.constant(g.among([[x.c, 1, 1], [1], [x.c, x.h, x.w]]))]);
};

export const gridSample: Step = (g) => {
  const x = pickImage(g);
  if (x === undefined) return;
  const shape = [x.n, g.between(1, 6), g.between(1, 6), 2];
  const grid = g.chance(0.5) ? g.input(g.float, shape).id : g.constant(shape, 0.6);
  g.op('GridSample', [x.id, grid], {
    mode: g.among(['linear', 'nearest', 'cubic']),
    padding_mode: g.among(['zeros', 'border', 'reflection']),
    align_corners: g.random.integer(2),
  });
};
