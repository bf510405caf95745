/** What bounds a model was planned at: found in its Graph, where runs check them. */
import type { PlannedBound } from 'hone-runtime/artifact/bounds';
import { WITHIN } from '../../../graph/effects.ts';
import type { Attrs, Graph, Node } from '../../../graph/types.ts';
import { subgraphs } from '../../../graph/verify.ts';
import { isBoundedLoop } from '../export-bounded.ts';

/** The bounds that were asked for or assumed, of all graphs inside too; each once. */
export function plannedBounds(graph: Graph): readonly PlannedBound[] {
  const found = new Map<string, PlannedBound>();
  const visit = ({ nodes }: Graph): void => {
    for (const node of nodes) {
      const bound = boundOf(node);
      if (bound !== undefined) {
        const key = JSON.stringify([bound.tensor, bound.axis, bound.node]);
        found.set(key, found.get(key) ?? bound);
      }
      for (const body of Object.values(node.attrs).flatMap(subgraphs)) visit(body);
    }
  };
  visit(graph);
  return [...found.values()];
}

function boundOf(node: Node): PlannedBound | undefined {
  const { attrs, name } = node;
  const word = (key: string): string => String(attrs[key] ?? '');
  const number = (key: string): number => Number(attrs[key]);
  const said = { tensor: word('tensor'), assumed: word('origin') === 'assumed' };
  const option = word('option');
  if (word('origin') === '') return undefined;
  if (isBoundedLoop(node)) return { ...said, axis: 0, most: [number('bound')], node: name, option };
  if (node.domain !== 'hone') return undefined;
  if (node.op === 'SplitTexts')
    return { ...said, axis: number('axis'), most: [number('room')], node: word('node'), option };
  if (node.op !== WITHIN) return undefined;
  const axis = number('axis');
  const where = axis < 0 ? {} : { axis };
  return { ...said, ...where, most: listOf(attrs), node: word('node'), option };
}

function listOf({ max }: Attrs): readonly number[] {
  return Array.isArray(max) ? (max as readonly number[]) : [];
}

/** A sentence about each tensor with a bound that is assumed. */
export function assumptions(bounds: readonly PlannedBound[]): readonly string[] {
  const assumed = bounds.filter((bound) => bound.assumed);
  const tensors = new Map(assumed.map((bound) => [`${bound.tensor} of ${bound.node}`, bound]));
  return [...tensors.values()].map(({ tensor, node, option }) => {
    const axes = assumed
      .filter((bound) => bound.tensor === tensor && bound.node === node)
      .map(({ axis = 0, most }) => `${most.join()} along axis ${axis}`);
    return `ASSUMED: nothing bounds the size of ${tensor} (node ${node}), which depends on data: it is planned for at most ${axes.join(' and ')}, and a run that needs more is an error (HONE-RUN-010)${option === '' ? '' : `. For another bound: --bound ${option}`}`;
  });
}
