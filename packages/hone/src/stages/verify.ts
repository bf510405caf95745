/**
 * Checks that a StageGraph is well formed: views fit their buffers, stages read what is computed
 * before, expressions use only their axes and operands with the right ranks and dtypes.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import type { DType } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import { printExpr } from '../expr/print.ts';
import { visitExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import { verifyControl } from './verify-control.ts';
import { type BufferId, bodiesOf, type Stage, type StageGraph, type View } from './types.ts';

/** Throws HONE-GRAPH-1xx at the first thing that is wrong; returns the graph. */
export function verifyStages(graph: StageGraph): StageGraph {
  const ready = new Set<BufferId>();
  graph.buffers.forEach((buffer, position) => {
    if (buffer.id !== position) wrong(graph, '101', `buffer ${buffer.name} has id ${buffer.id}`);
    const isConstant = buffer.role === 'constant';
    if (isConstant !== (buffer.constant !== undefined)) {
      wrong(graph, '102', `buffer ${buffer.name} is ${buffer.role}, its constant says otherwise`);
    }
    const { block, halo } = buffer.layout;
    const plain = block === 1 && halo.every((side) => side === 0);
    if (!plain && buffer.shape.length !== 4) {
      wrong(graph, '103', `buffer ${buffer.name} has a layout of rank 4`);
    }
    if (isConstant || buffer.role === 'input') ready.add(buffer.id);
  });
  graph.stages.forEach((stage) => {
    for (const view of [...stage.operands, ...stage.outputs]) checkView(graph, stage, view);
    for (const { buffer } of stage.operands) {
      if (!ready.has(buffer)) {
        wrong(graph, '104', `stage ${stage.id} reads b${buffer} before it is written`);
      }
    }
    for (const { buffer } of stage.outputs) {
      const role = graph.buffers[buffer]?.role;
      if (role === 'constant' || role === 'input') {
        wrong(graph, '105', `stage ${stage.id} writes b${buffer}, which is ${role}`);
      }
      ready.add(buffer);
    }
    if (stage.nodes.length !== stage.ops.length) {
      wrong(
        graph,
        '106',
        `stage ${stage.id} has ${stage.nodes.length} nodes, ${stage.ops.length} ops`,
      );
    }
    checkBody(graph, stage);
  });
  for (const id of graph.outputs) {
    if (!ready.has(id)) wrong(graph, '107', `output b${id} is never written`);
  }
  return graph;
}

function checkView(graph: StageGraph, stage: Stage, view: View): void {
  const buffer = graph.buffers[view.buffer];
  if (buffer === undefined) wrong(graph, '108', `stage ${stage.id} uses b${view.buffer}, unknown`);
  const { shape, offset } = view;
  const fits =
    offset === undefined
      ? elementCount(buffer.shape) === elementCount(shape)
      : offset.length === buffer.shape.length &&
        shape.length === buffer.shape.length &&
        buffer.shape.every(
          (extent, i) => (offset[i] ?? -1) >= 0 && (offset[i] ?? 0) + (shape[i] ?? 0) <= extent,
        );
  if (!fits) {
    const place = offset === undefined ? '' : ` at [${offset}]`;
    wrong(
      graph,
      '109',
      `stage ${stage.id} sees b${view.buffer} [${buffer.shape}] as [${shape}]${place}`,
    );
  }
}

/** Where an expression stands: what it may use. */
interface Scope {
  readonly axes: number;
  readonly reduceAxes: number;
  readonly accs: readonly DType[];
}

function checkBody(graph: StageGraph, stage: Stage): void {
  const { body } = stage;
  if (body.kind === 'routine') return;
  if (body.kind === 'control') {
    for (const [, inner] of bodiesOf(body)) verifyStages(inner);
    verifyControl(graph, stage, body.form);
    return;
  }
  const [output] = stage.outputs;
  if (output === undefined || stage.outputs.length !== 1) {
    wrong(graph, '110', `stage ${stage.id} has ${stage.outputs.length} outputs`);
  }
  const check = (expr: Expr, dtype: DType, scope: Scope): void =>
    checkExpr(graph, stage, expr, dtype, scope);
  const axes = body.axes.length;
  const target = graph.buffers[output.buffer]?.dtype ?? 'f32';
  const outer: Scope = { axes, reduceAxes: 0, accs: [] };
  let final: Scope = outer;
  if (body.kind === 'reduce') {
    const accs: DType[] = [];
    for (const step of body.steps) {
      const counts = step.op === 'argmax' || step.op === 'argmin';
      const scope = { axes, reduceAxes: body.reduceAxes.length, accs: [...accs] };
      check(step.value, counts ? step.value.dtype : step.dtype, scope);
      if (counts && body.reduceAxes.length !== 1) {
        wrong(graph, '111', `stage ${stage.id}: ${step.op} over ${body.reduceAxes.length} axes`);
      }
      accs.push(counts ? 'i64' : step.dtype);
    }
    final = { axes, reduceAxes: body.spans === 'all' ? body.reduceAxes.length : 0, accs };
  } else if (body.kind === 'contract') {
    const scope = { axes, reduceAxes: body.reduceAxes.length, accs: [] };
    check(body.a, body.a.dtype, scope);
    check(body.b, body.b.dtype, scope);
    final = { ...outer, accs: [body.accDtype] };
  }
  check(body.kind === 'contract' ? body.epilogue : body.value, target, final);
  if (body.outIndex.length !== output.shape.length) {
    wrong(
      graph,
      '112',
      `stage ${stage.id} writes ${body.outIndex.length} of ${output.shape.length} dimensions`,
    );
  }
  for (const position of body.outIndex) check(position, 'i64', { ...final, accs: [] });
}

function checkExpr(graph: StageGraph, stage: Stage, expr: Expr, dtype: DType, scope: Scope): void {
  const bad = (why: string): never =>
    wrong(graph, '113', `stage ${stage.id}: ${printExpr(expr)}: ${why}`);
  if (expr.dtype !== dtype) bad(`it is ${expr.dtype} where ${dtype} belongs`);
  visitExpr(expr, (node) => {
    if (node.kind === 'axis') {
      const [, kind, digits] = /^([ir])(\d+)$/.exec(node.name) ?? [];
      const limit = kind === 'i' ? scope.axes : kind === 'r' ? scope.reduceAxes : 0;
      if (digits === undefined || Number(digits) >= limit) bad(`there is no axis ${node.name}`);
    } else if (node.kind === 'load') {
      const view = stage.operands[Number(node.source)];
      if (view === undefined) bad(`there is no operand ${node.source}`);
      else checkLoad(graph, node, view, bad);
    } else if (node.kind === 'acc' && scope.accs[node.step] !== node.dtype) {
      bad(`step ${node.step} gives ${scope.accs[node.step] ?? 'nothing'}`);
    }
  });
}

function checkLoad(
  graph: StageGraph,
  node: Extract<Expr, { kind: 'load' }>,
  view: View,
  bad: (why: string) => never,
): void {
  const stored = graph.buffers[view.buffer]?.dtype;
  if (node.dtype !== stored) bad(`operand ${node.source} is ${stored}, not ${node.dtype}`);
  if (node.index.length !== view.shape.length) {
    bad(`operand ${node.source} has rank ${view.shape.length}`);
  }
  if (node.index.some((position) => position.dtype !== 'i64')) bad('an index is not i64');
}

function wrong(graph: StageGraph, code: string, message: string): never {
  fail(
    `HONE-GRAPH-${code}`,
    `stages ${graph.name}: ${message}`,
    graph.name,
    'this is a fault of fusion or of an operator record: please report it',
  );
}
