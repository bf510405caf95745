/**
 * `If` whose branches give tensors of different sizes, or of sizes that depend on data: both get room for
 * the larger bound, and more outputs say how much of it the branch that was taken filled.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import { isTensorEntity, numbersOf, sizedOf } from './bounded/index.ts';
import { type Int, isKnown, leastOf, mostOf, unknown } from './bounded/ints.ts';
import { type Sized, Sizing } from './bounded/sized.ts';
import type { Entity } from './entities.ts';
import { failUndecided, type ImportGraph, importSubgraphs, type Part } from './import-control.ts';
import { finalName, type Scope } from './import-scope.ts';
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
  const tensors = branches.map((part) =>
    part.outputs.map((entity) =>
      isTensorEntity(entity)
        ? sizedOf(part.builder, entity)
        : failUndecided(node, name, `gives a ${entity.kind}`),
    ),
  );
  const [yes, no] = [at(tensors, 0), at(tensors, 1)];
  const open = yes.flatMap((own, output) => openAxes(name, own, at(no, output), output));
  const graphs = branches.map((part, i) => {
    const ints = numbersOf(part.builder);
    const s = new Sizing(part.builder, ints, name, node.op);
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
  const outputNames = node.outputs.map((output) =>
    output === '' ? undefined : finalName(scope, output),
  );
  const options = { name, outputs: yes.length + open.length, outputNames };
  const made = scope.builder.ops('If', [condition, ...captures], attrs, options);
  return yes.map((own, output): Entity => {
    const sizes: Int[] = own.sizes.map((size, axis) => {
      const place = open.findIndex((item) => item.output === output && item.axis === axis);
      if (place < 0) return size;
      const { min, max } = at(open, place);
      return unknown(at(made, yes.length + place), min, max);
    });
    const id = at(made, output);
    return sizes.every(isKnown) ? id : { kind: 'bounded', id, sizes };
  });
}

/** The axes along which two tensors are not of one known extent. */
function openAxes(name: string, a: Sized, b: Sized, output: number): readonly Axis[] {
  if (a.sizes.length !== b.sizes.length) {
    return fail(
      'HONE-SHAPE-001',
      `node ${name} (If): output ${output} has ${a.sizes.length} axes in one branch and ${b.sizes.length} in the other`,
      name,
      'export the model with branches of one rank, or with a condition that is fixed',
    );
  }
  return a.sizes.flatMap((size, axis) => {
    const other = at(b.sizes, axis);
    if (isKnown(size) && size === other) return [];
    const min = Math.min(leastOf(size), leastOf(other));
    return [{ output, axis, min, max: Math.max(mostOf(size), mostOf(other)) }];
  });
}
