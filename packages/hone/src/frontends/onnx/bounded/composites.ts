/** Operators made of others that need their operands prepared before they are taken apart. */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { align, common } from './elementwise.ts';
import { expanded } from './expand.ts';
import type { Int } from './ints.ts';
import { given, type Rule, sizeAt, type Use } from './rule.ts';
import type { Sized } from './sized.ts';

function takenApart(use: Use, inputs: readonly (Sized | null)[]): readonly Sized[] {
  if (use.def.kind === 'composite') return expanded({ ...use, inputs }, use.def);
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
function labelsOf(use: Use): readonly (readonly string[])[] {
  const equation = String(use.attrs['equation']).replaceAll(' ', '');
  const terms = (equation.split('->')[0] ?? '').split(',');
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

/** Axes of a label have one extent; an extent of 1 is broadcast. */
const einsum: Rule = (use) => {
  const labels = labelsOf(use);
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
  const inputs = labels.map((own, k) =>
    own.reduce(
      (x: Sized, label, axis) => use.s.fit(x, axis, extents.get(label) ?? 1),
      given(use, k),
    ),
  );
  return takenApart(use, inputs);
};

const MS = 'com.microsoft:';

export const COMPOSITES: ReadonlyMap<string, Rule> = new Map([
  ['Einsum', einsum],
  [`${MS}QLinearAdd`, aligned(0, 3)],
  [`${MS}QLinearMul`, aligned(0, 3)],
  [`${MS}QLinearWhere`, aligned(0, 1, 4)],
]);
