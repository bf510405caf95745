/**
 * `If` whose branches give tensors of different sizes, or of sizes that depend on data: both get room for
 * the larger bound, and more outputs say how much of it the branch that was taken filled. Sequences and
 * optionals are given as the tensors that hold them.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import { chosen } from './bounded/branches.ts';
import { numbersOf } from './bounded/ints.ts';
import { Sizing } from './bounded/sized.ts';
import type { Entity } from './entities.ts';
import { failUndecided, type ImportGraph, importSubgraphs, type Part } from './import-control.ts';
import { withEqualRanks } from './import-ranks.ts';
import type { Scope } from './import-scope.ts';
import { decode, encode, formOf, joined, namesOf } from './sequences/forms.ts';
import type { OnnxNode } from './types.ts';

/** The outputs of the node; throws HONE-SHAPE-… where the branches cannot be brought together. */
export function importUneven(
  scope: Scope,
  node: OnnxNode,
  name: string,
  condition: ValueId,
  importGraph: ImportGraph,
): readonly Entity[] {
  const parts: Part[] = [];
  const { captures } = importSubgraphs(scope, node, name, [condition], importGraph, {
    onPart: (part) => parts.push(part),
  });
  const branch = (attribute: string): Part =>
    parts.find(({ name: own }) => own === attribute) ?? failUndecided(node, name, 'is missing');
  const branches = withEqualRanks(scope, node, name, [
    branch('then_branch'),
    branch('else_branch'),
  ]);
  const sizings = branches.map(
    ({ builder }) => new Sizing(builder, numbersOf(builder), name, node.op),
  );
  const [first, second] = branches;
  const forms = first.outputs.map((entity, k) => {
    const other = second.outputs[k] ?? failUndecided(node, name, 'gives fewer values');
    const form = joined(formOf(first.builder, entity), formOf(second.builder, other));
    return form ?? failDifferent(name, k);
  });
  const tensors = branches.map((part, i) =>
    forms.flatMap((form, k) => encode(at(sizings, i), form, at(part.outputs, k))),
  );
  const outputNames = forms.flatMap((form, k) => namesOf(form, node.outputs[k] ?? '', scope));
  const rest = [
    ...chosen(scope.builder, { condition, captures, options: { name, outputNames } }, [
      { s: at(sizings, 0), outputs: at(tensors, 0) },
      { s: at(sizings, 1), outputs: at(tensors, 1) },
    ]),
  ];
  return forms.map((form) => decode(form, rest));
}

function failDifferent(name: string, output: number): never {
  return fail(
    'HONE-SHAPE-001',
    `node ${name} (If): output ${output} has another dtype, rank or kind in each of its branches`,
    name,
    'export the model with branches that give the same, or with a condition that is fixed',
  );
}
