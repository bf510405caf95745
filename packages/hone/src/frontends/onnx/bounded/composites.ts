/** Operators made of others that need their operands prepared before they are taken apart. */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { align, common } from './elementwise.ts';
import { expanded } from './expand.ts';
import { type Int, isKnown, isSame, leastOf, mostOf, type Unknown } from './ints.ts';
import { concat } from './movement.ts';
import { Parts } from './parts.ts';
import { given, intOf, type Rule, sizeAt, type Use } from './rule.ts';
import { boundsOf, type Sized } from './sized.ts';

function takenApart(
  use: Use,
  inputs: readonly (Sized | null)[],
  held: readonly Unknown[] = [],
): readonly Sized[] {
  if (use.def.kind === 'composite') return expanded({ ...use, inputs }, use.def, held);
  return use.s.cannot('it is made of nothing else');
}

/** Some operands are broadcast against each other. */
const aligned =
  (...places: readonly number[]): Rule =>
  (use) => {
    const { operands } = align(
      use,
      places.map((k) => given(use, k)),
    );
    const inputs = [...use.inputs];
    places.forEach((k, i) => {
      inputs[k] = at(operands, i);
    });
    return takenApart(use, inputs);
  };

/** Labels of each operand, '.' for every axis that an ellipsis stands for. */
function labelsOf(use: Use, terms: readonly string[]): readonly (readonly string[])[] {
  return terms.map((term, k) => {
    const { sizes } = given(use, k);
    const [before = '', after] = term.split('...');
    const open = sizes.length - before.length - (after ?? '').length;
    if (after === undefined) return [...before];
    // Counted from the end, as broadcasting pairs axes.
    const dots = Array.from({ length: Math.max(0, open) }, (_, i) => `.${open - i}`);
    return [...before, ...dots, ...after];
  });
}

/** The output's labels where the equation has none: the ellipsis, then what occurs once, sorted. */
function implied(labels: readonly string[]): string {
  const once = labels.filter(
    (label) => !label.startsWith('.') && labels.indexOf(label) === labels.lastIndexOf(label),
  );
  return `...${once.sort().join('')}`;
}

interface Labelled {
  readonly x: Sized;
  readonly labels: readonly string[];
}

/**
 * Every label once: of axes that share one, the elements where they agree, on the first of them. In memory
 * these lie in steps of the room, whatever is meant of it.
 */
function diagonal(use: Use, { x, labels }: Labelled): Labelled {
  const { s, ints } = use;
  const label = labels.find((own, axis) => labels.indexOf(own) !== axis);
  if (label === undefined) return { x, labels };
  const axes = labels.flatMap((own, axis) => (own === label ? [axis] : []));
  // An axis of extent 1 is broadcast against the others.
  const single = axes.find((axis) => sizeAt(x, axis) === 1);
  if (single !== undefined) {
    const sizes = x.sizes.toSpliced(single, 1);
    const id = s.reshape(x.id, boundsOf(sizes));
    return diagonal(use, { x: { id, sizes }, labels: labels.toSpliced(single, 1) });
  }
  const extent = sizeAt(x, at(axes, 0));
  const others = [...labels.keys()].filter((axis) => labels[axis] !== label);
  const rest = others.map((axis) => sizeAt(x, axis));
  const bound = mostOf(extent);
  const front = s.b.op('Transpose', [x.id], { perm: [...axes, ...others] });
  const flat = s.reshape(front, [bound ** axes.length, ...boundsOf(rest)]);
  const step = axes.reduce((sum, _, i) => sum + bound ** i, 0);
  const places = s.b.op('Mul', [s.iota(bound), ints.id(step)]);
  const made = s.made(s.op('Gather', [flat, places], { axis: 0 }), [extent, ...rest]);
  return diagonal(use, {
    x: made,
    labels: [label, ...others.map((axis) => at(labels, axis))],
  });
}

/** The term that has these labels. */
const termOf = (labels: readonly string[]): string =>
  labels
    .map((label, i) => {
      if (!label.startsWith('.')) return label;
      return labels[i - 1]?.startsWith('.') === true ? '' : '...';
    })
    .join('');

/** Axes of a label have one extent; an extent of 1 is broadcast. */
const einsum: Rule = (use) => {
  const equation = String(use.attrs['equation']).replaceAll(' ', '');
  const [left = '', right] = equation.split('->');
  const labels = labelsOf(use, left.split(','));
  const extents = new Map<string, Int>();
  labels.forEach((own, k) => {
    const x = given(use, k);
    if (own.length !== x.sizes.length)
      fail(
        'HONE-SHAPE-001',
        `node ${use.s.node} (${use.op}): operand ${k} has ${x.sizes.length} axes and ${own.length} labels`,
        use.s.node,
        'check the shapes the model was exported with',
      );
    own.forEach((label, axis) => {
      extents.set(label, common(use, extents.get(label) ?? 1, sizeAt(x, axis)));
    });
  });
  const operands = labels.map((own, k): Labelled => {
    const fit = (x: Sized, label: string, axis: number): Sized =>
      use.s.fit(x, axis, extents.get(label) ?? 1);
    return diagonal(use, { x: own.reduce(fit, given(use, k)), labels: own });
  });
  const terms = operands.map((operand) => termOf(operand.labels)).join();
  const attrs = { ...use.attrs, equation: `${terms}->${right ?? implied(labels.flat())}` };
  return takenApart(
    { ...use, attrs },
    operands.map(({ x }) => x),
  );
};

/** A convolution and what is behind it: larger kernels than its own need not fit into the picture. */
const convolution =
  (weights: number): Rule =>
  (use) => {
    const kernel = given(use, weights).sizes.slice(2);
    const held = kernel.flatMap((size) => (isKnown(size) ? [] : [size]));
    return takenApart(use, use.inputs, held);
  };

/** Features of several inputs side by side, each cut or filled up with 0 to its stated number. */
const featureVectorizer: Rule = (use) => {
  const { s, ints } = use;
  const parts = new Parts(use);
  const dims = use.attrs['inputdimensions'];
  const widths = Array.isArray(dims) ? (dims as readonly number[]) : [];
  const tables = use.inputs.map((_, k) => {
    const { sizes } = given(use, k);
    const rows = sizes.length < 2 ? 1 : sizeAt(given(use, k), 0);
    const features = ints.product(sizes.length < 2 ? sizes : sizes.slice(1));
    const table = parts.reshape(parts.cast(given(use, k), 'f32'), [rows, features]);
    const width = widths[k] ?? features;
    if (isSame(width, features)) return table;
    const full = leastOf(features) < mostOf(width) ? s.masked(table, 0, [1]) : table;
    return s.first(full, 1, width);
  });
  return [concat(use, tables, 1)];
};

/** Where the caches say how wide a head is, columns of unknown number are heads of unknown number: taken apart. */
const cachedRotary: Rule = (use) => {
  const { s, ints } = use;
  const [x, cos] = [given(use, 0), given(use, 2)];
  const [n = 1, rows = 1, columns = 1] = x.sizes;
  const width = 2 * mostOf(sizeAt(cos, 1));
  const isApart = x.sizes.length !== 3 || intOf(use, 'num_heads') > 0;
  if (isApart || isKnown(columns) || !isKnown(sizeAt(cos, 1)) || width === 0)
    return takenApart(use, use.inputs);
  const heads = ints.div(columns, width);
  const rest = ints.sub(columns, ints.mul(heads, width));
  const source = { tensor: s.plan.names[0] ?? '', axis: -1, origin: '', option: '' } as const;
  s.checked(rest, { min: 0, max: 0 }, source, `${s.node}: columns are not whole heads of ${width}`);
  const parts = new Parts(use);
  const perm = [0, 2, 1, 3];
  const apart = parts.op('Transpose', [s.reshaped(x, [n, rows, heads, width])], { perm });
  const [turned] = use.apply({
    ...{ op: use.op, domain: 'com.microsoft', attrs: use.attrs },
    inputs: [apart, ...use.inputs.slice(1)],
  });
  const back = parts.op('Transpose', [turned ?? apart], { perm });
  return [s.reshaped(back, x.sizes)];
};

const MS = 'com.microsoft:';

export const COMPOSITES: ReadonlyMap<string, Rule> = new Map([
  ['Einsum', einsum],
  ['QLinearConv', convolution(3)],
  [`${MS}QLinearConv`, convolution(3)],
  [`${MS}FusedConv`, convolution(1)],
  [`${MS}ConvTransposeWithDynamicPads`, convolution(1)],
  ['ai.onnx.ml:FeatureVectorizer', featureVectorizer],
  [`${MS}RotaryEmbedding`, cachedRotary],
  [`${MS}QLinearAdd`, aligned(0, 3)],
  [`${MS}QLinearMul`, aligned(0, 3)],
  [`${MS}QLinearWhere`, aligned(0, 1, 4)],
]);
