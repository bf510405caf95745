/** The equation of Einsum: parsed, ellipses and the implicit output spelt out, extents found. */
import { at } from 'hone-runtime/base/diagnostics';
import { shapeError, typeError } from '../checks.ts';

export interface Equation {
  /** One list of labels per operand, one label per dimension. */
  readonly operands: readonly (readonly string[])[];
  readonly output: readonly string[];
  readonly extents: ReadonlyMap<string, number>;
}

type Place = { readonly node: string; readonly op: string };

const LABEL = /^[A-Za-z]$/;

/** The labels of one term; '...' stands for as many as `rank` leaves over, aligned at the last. */
function labelsOf(place: Place, term: string, rank: number | undefined, dots: number): string[] {
  const out: string[] = [];
  for (let i = 0; i < term.length; i++) {
    const letter = term.charAt(i);
    if (term.startsWith('...', i)) {
      const own = rank === undefined ? dots : rank - (term.length - 3);
      for (let k = dots - own; k < dots; k++) out.push(`.${k}`);
      i += 2;
    } else if (LABEL.test(letter)) out.push(letter);
    else typeError(place, `equation has ${JSON.stringify(letter)} where a letter is expected`);
  }
  return out;
}

/** Without '->': the ellipsis, then every letter that occurs once, in alphabetical order. */
function implicitOutput(operands: readonly (readonly string[])[], dots: number): string[] {
  const counts = new Map<string, number>();
  for (const label of operands.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  const once = [...counts].filter(([label, count]) => count === 1 && LABEL.test(label));
  const ellipsis = Array.from({ length: dots }, (_, k) => `.${k}`);
  return [...ellipsis, ...once.map(([label]) => label).sort()];
}

export function parseEquation(
  place: Place,
  text: string,
  shapes: readonly (readonly number[])[],
): Equation {
  const [left = '', right] = text.replaceAll(' ', '').split('->');
  const terms = left.split(',');
  if (terms.length !== shapes.length) {
    typeError(place, `equation has ${terms.length} operands, the node has ${shapes.length}`);
  }
  const hidden = terms.map((term, k) =>
    term.includes('...') ? at(shapes, k).length - (term.length - 3) : 0,
  );
  const dots = Math.max(0, ...hidden);
  const operands = terms.map((term, k) => labelsOf(place, term, at(shapes, k).length, dots));
  const extents = new Map<string, number>();
  operands.forEach((labels, k) => {
    const shape = at(shapes, k);
    if (labels.length !== shape.length) {
      shapeError(place, `operand ${k} has rank ${shape.length}, the equation says ${at(terms, k)}`);
    }
    labels.forEach((label, axis) => {
      const extent = at(shape, axis);
      const known = extents.get(label) ?? 1;
      if (known !== 1 && extent !== 1 && known !== extent) {
        shapeError(place, `label ${label} has extents ${known} and ${extent}`);
      }
      if (known === 1) extents.set(label, extent);
    });
  });
  const output =
    right === undefined ? implicitOutput(operands, dots) : labelsOf(place, right, undefined, dots);
  for (const label of output) {
    if (!extents.has(label)) typeError(place, `output label ${label} is in no operand`);
  }
  if (new Set(output).size !== output.length) typeError(place, 'an output label is repeated');
  return { operands, output, extents };
}
