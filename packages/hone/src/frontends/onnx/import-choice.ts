/**
 * `If` whose branch is chosen at run time: a node; with room for the larger where the branches differ in
 * size; the branch that fits where one does not.
 */
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import { type Entity, tensorOf } from './entities.ts';
import { importUneven } from './import-branches.ts';
import { type ImportGraph, importSubgraphs } from './import-control.ts';
import { finalName, type Scope } from './import-scope.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode } from './types.ts';

/** What the importer does with a branch. */
export interface Ways {
  /** The node with both branches as sub-graphs of fixed sizes. */
  readonly asNode: () => readonly (Entity | undefined)[];
  readonly inlineBranch: (
    scope: Scope,
    node: OnnxNode,
    name: string,
    branch: OnnxGraph,
  ) => readonly Entity[];
  readonly importGraph: ImportGraph;
}

/**
 * A branch chosen at run time, as a node. Where one branch does not fit the sizes that were bound, the
 * other is taken, and a run that chooses the one that does not fit is an error of the run.
 */
export function importChoice(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (ValueId | null)[],
  { asNode, inlineBranch, importGraph }: Ways,
): readonly (Entity | undefined)[] {
  try {
    return asNode();
  } catch (error) {
    if (!(error instanceof HoneError && error.code.startsWith('HONE-SHAPE'))) throw error;
    const [condition] = inputs;
    const uneven =
      condition == null ? undefined : unevenBranches(scope, node, name, condition, importGraph);
    if (uneven !== undefined) return uneven;
    const fitting = node.attributes.filter(
      (attribute) =>
        attribute.kind === 'graph' && isImportable(scope, node, name, attribute, importGraph),
    );
    const [only, ...others] = fitting;
    if (only?.kind !== 'graph' || others.length > 0 || condition == null) throw error;
    const isThen = only.name === 'then_branch';
    scope.state.notes.push(
      `node ${name} (If): its ${isThen ? 'else' : 'then'} branch does not fit these sizes; a run that takes it is an error`,
    );
    const { builder } = scope;
    const scalar = builder.op('Reshape', [condition, builder.ints([])]);
    const [first, second] = (isThen ? [0, OUTSIDE] : [OUTSIDE, 0]).map((position) =>
      builder.scalar(position, 'i64'),
    );
    // The check of indices stops a run that takes the other branch.
    const position = builder.op('Where', [scalar, first ?? null, second ?? null]);
    const inner = { ...node, outputs: [] };
    return inlineBranch(scope, inner, name, only.value).map((entity, i) => {
      const row = builder.op('Unsqueeze', [
        tensorOf(entity, `node ${name} (If)`),
        builder.ints([0]),
      ]);
      const rows = builder.op('Concat', [row, row], { axis: 0 });
      const output = node.outputs[i];
      const outputNames = output ? [finalName(scope, output)] : [];
      return builder.op(
        'Gather',
        [rows, position],
        { axis: 0 },
        { name: `${name}/${i}`, outputNames },
      );
    });
  }
}

/** Both branches at the larger of their sizes; undefined where they cannot be brought together. */
function unevenBranches(
  scope: Scope,
  node: OnnxNode,
  name: string,
  condition: ValueId,
  importGraph: ImportGraph,
): readonly Entity[] | undefined {
  try {
    return importUneven(scope, node, name, condition, importGraph);
  } catch (error) {
    if (error instanceof HoneError && error.code.startsWith('HONE-SHAPE')) return undefined;
    throw error;
  }
}

/** No position in a list of two. */
const OUTSIDE = 2;

/** Can a branch be imported as a sub-graph of its own? */
function isImportable(
  scope: Scope,
  node: OnnxNode,
  name: string,
  attribute: OnnxAttribute,
  importGraph: ImportGraph,
): boolean {
  try {
    const alone = { ...node, attributes: [attribute] };
    importSubgraphs(scope, alone, name, [], importGraph);
    return true;
  } catch (error) {
    if (error instanceof HoneError && error.code.startsWith('HONE-SHAPE')) return false;
    throw error;
  }
}
