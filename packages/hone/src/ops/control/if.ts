/** If: one of two sub-graphs. Only the one that is taken runs, unless both are cheap. */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Graph, ValueType } from '../../graph/types.ts';
import { constantInput, inputType, intAttr, requireDType, shapeError } from '../checks.ts';
import { type ControlOp, defineOp, type InferContext, type TestCase } from '../define-op.ts';
import { branchCases } from './cases.ts';
import { isCheap } from './cheap.ts';
import { CAPTURES, graphAttr, hasTexts, inlineGraph, typesOf } from './subgraph.ts';

/** The branch taken, where the condition is known at compile time. */
function knownBranch(ctx: InferContext): 'then_branch' | 'else_branch' | undefined {
  const condition = ctx.inputs[0];
  if (condition === null || condition === undefined || condition.constant === null)
    return undefined;
  return isTrue(constantInput(ctx, 0, 'the condition')) ? 'then_branch' : 'else_branch';
}

function branches(ctx: InferContext): readonly [Graph, Graph] {
  return [graphAttr(ctx, ctx.attrs, 'then_branch'), graphAttr(ctx, ctx.attrs, 'else_branch')];
}

/** Branches take nothing but the values around them. */
function checkInputs(ctx: InferContext): void {
  const captures = intAttr(ctx.attrs, 'captures');
  for (const { inputs } of branches(ctx)) {
    if (inputs.length === captures) continue;
    shapeError(
      ctx,
      `a branch has ${inputs.length - captures} inputs of its own, but branches take none`,
    );
  }
}

function isTrue(condition: Tensor | null | undefined): boolean {
  return condition !== null && condition !== undefined && condition.data[0] === 1;
}

function outputTypes(ctx: InferContext): readonly ValueType[] {
  const types = (name: string): readonly ValueType[] => {
    const graph: Graph = graphAttr(ctx, ctx.attrs, name);
    return typesOf(graph, graph.outputs);
  };
  const known = knownBranch(ctx);
  if (known !== undefined) return types(known);
  const [yes, no] = [types('then_branch'), types('else_branch')];
  if (yes.length !== no.length) {
    shapeError(ctx, `the branches have ${yes.length} and ${no.length} outputs`);
  }
  yes.forEach((type, i) => {
    const other = at(no, i);
    if (type.shape.length !== other.shape.length) {
      fail(
        'HONE-SHAPE-002',
        `node ${ctx.node} (If): output ${i} has ${type.shape.length} axes in one branch and ${other.shape.length} in the other, and which is taken depends on the model's input data`,
        ctx.node,
        'export the model so that both branches give as many axes',
      );
    }
    if (type.dtype !== other.dtype || type.shape.join() !== other.shape.join()) {
      shapeError(
        ctx,
        `output ${i} is ${type.dtype}[${type.shape.join(',')}] in one branch and ${other.dtype}[${other.shape.join(',')}] in the other, and the condition depends on input data`,
      );
    }
  });
  return yes;
}

export const ifOp: ControlOp = defineOp({
  kind: 'control',
  name: 'If',
  doc: 'One of two sub-graphs; only the one that is taken runs, but for cheap ones.',
  since: 25,
  attrs: {
    ...CAPTURES,
    then_branch: { type: 'graph', required: true },
    else_branch: { type: 'graph', required: true },
  },
  infer: (ctx) => {
    const condition = inputType(ctx, 0);
    requireDType(ctx, condition, ['bool'], 'the condition');
    if (elementCount(condition.shape) !== 1) {
      shapeError(ctx, `the condition has shape [${condition.shape.join(',')}]`);
    }
    checkInputs(ctx);
    return outputTypes(ctx);
  },
  decompose: (b, inputs, ctx) => {
    const [condition, ...captures] = inputs.map((id) => id ?? b.scalar(0));
    const branch = (name: string): readonly number[] =>
      inlineGraph(b, graphAttr(ctx, ctx.attrs, name), captures, `${ctx.node}/${name}`);
    const known = knownBranch(ctx);
    if (known !== undefined) return branch(known);
    if (condition === undefined) return 'it has no condition';
    const graphs = branches(ctx);
    // Texts have no compiled form: their nodes must be found by the split of the host's steps.
    if (!graphs.every(isCheap) && !graphs.some(hasTexts)) return undefined;
    const [yes, no] = [branch('then_branch'), branch('else_branch')];
    // A condition of shape [1] must not add an axis to a scalar.
    const scalar = b.op('Reshape', [condition, b.ints([])]);
    return yes.map((id, i) => b.op('Where', [scalar, id, at(no, i)]));
  },
  control: (ctx) => {
    const [yes, no] = branches(ctx);
    return { kind: 'if', operands: ctx.inputs.map((_, i) => i), then: yes, else: no };
  },
  reference: (inputs, attrs, ctx) => {
    const branch = isTrue(inputs[0]) ? 'then_branch' : 'else_branch';
    const captured = inputs.slice(1).map((tensor) => tensor ?? fromNumbers('f32', [], [0]));
    return ctx.run(graphAttr({ node: ctx.node, op: 'If' }, attrs, branch), captured);
  },
  cases: (): readonly TestCase[] => branchCases(),
});
