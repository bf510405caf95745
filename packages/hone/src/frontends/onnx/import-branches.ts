/**
 * `If` whose branches give tensors of different sizes, or of sizes that depend on data: both get room for
 * the larger bound, and more outputs say how much of it the branch that was taken filled. Sequences and
 * optionals are given as the tensors that hold them.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import { numbersOf } from './bounded/index.ts';
import { type Int, isKnown, leastOf, mostOf, unknown } from './bounded/ints.ts';
import { type Sized, Sizing } from './bounded/sized.ts';
import type { Entity } from './entities.ts';
import { failUndecided, type ImportGraph, importSubgraphs, type Part } from './import-control.ts';
import type { Scope } from './import-scope.ts';
import { decode, encode, formOf, joined, namesOf } from './sequences/forms.ts';
import type { OnnxNode } from './types.ts';

/** What an axis of an output is in both branches. */
interface Axis {
  readonly output: number;
  readonly axis: number;
  readonly min: number;
  readonly max: number;
}

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
  const branches = [branch('then_branch'), branch('else_branch')] as const;
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
  const [yes, no] = [at(tensors, 0), at(tensors, 1)];
  const open = yes.flatMap((own, output) => openAxes(own, at(no, output), output));
  const graphs = branches.map((part, i) => {
    const s = at(sizings, i);
    const { ints } = s;
    const outputs = at(tensors, i);
    const ids = outputs.map(({ id }, k) =>
      open
        .filter(({ output }) => output === k)
        .reduce((x, { axis, max }) => {
          const have = part.builder.typeOf(x).shape[axis] ?? 0;
          return have < max ? s.longer(x, axis, max) : x;
        }, id),
    );
    const sizes = open.map(({ output, axis }) => {
      const size = at(at(outputs, output).sizes, axis);
      return part.builder.op('Identity', [ints.id(size)]);
    });
    return part.builder.graph.finish([...ids, ...sizes]);
  });
  const attrs = {
    then_branch: at(graphs, 0),
    else_branch: at(graphs, 1),
    captures: captures.length,
  };
  const outputNames = forms.flatMap((form, k) => namesOf(form, node.outputs[k] ?? '', scope));
  const options = { name, outputs: yes.length + open.length, outputNames };
  const made = scope.builder.ops('If', [condition, ...captures], attrs, options);
  const results = yes.map((own, output): Sized => {
    const sizes: Int[] = own.sizes.map((size, axis) => {
      const place = open.findIndex((item) => item.output === output && item.axis === axis);
      if (place < 0) return size;
      const { min, max } = at(open, place);
      return unknown(at(made, yes.length + place), min, max);
    });
    return { id: at(made, output), sizes };
  });
  return forms.map((form) => decode(form, results));
}

function failDifferent(name: string, output: number): never {
  return fail(
    'HONE-SHAPE-001',
    `node ${name} (If): output ${output} has another dtype, rank or kind in each of its branches`,
    name,
    'export the model with branches that give the same, or with a condition that is fixed',
  );
}

/** The axes along which two tensors are not of one known extent. */
function openAxes(a: Sized, b: Sized, output: number): readonly Axis[] {
  return a.sizes.flatMap((size, axis) => {
    const other = at(b.sizes, axis);
    if (isKnown(size) && size === other) return [];
    const min = Math.min(leastOf(size), leastOf(other));
    return [{ output, axis, min, max: Math.max(mostOf(size), mostOf(other)) }];
  });
}
