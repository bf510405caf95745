/**
 * Hone's own operator TreeLeaves: the leaf that each row reaches in each tree. ai.onnx.ml's ensembles are made
 * of it; compiled, it is the routine `tree_leaves_<dtype>` of native/routines.h.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeBytes } from 'hone-runtime/base/dtype';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { inputType, int, intAttr, requireDType, shapeError } from '../checks.ts';
import { defineOp } from '../define-op.ts';
import { given } from '../math/loops.ts';
import { f32, tensor } from '../math/samples.ts';
import { checkTables, MIXED, MODE_BITS, NODE_WIDTH } from './tree-check.ts';
import { MODES, saysYes } from './tree-table.ts';

export const TREE_LEAVES = 'TreeLeaves';

/** The code of a node that splits; a leaf, whose both ways are itself, has its number instead. */
export function splitCode(mode: number, missingYes: boolean): number {
  return mode + (missingYes ? 1 << MODE_BITS : 0);
}

const REAL: readonly DType[] = ['f32', 'f64'];

export const treeLeaves = defineOp({
  kind: 'core',
  name: TREE_LEAVES,
  domain: 'hone',
  doc: "The leaf that each row reaches in each tree; a part of ai.onnx.ml's TreeEnsemble operators.",
  since: 1,
  attrs: { mode: int(MIXED) },
  infer: (ctx) => {
    const [x, nodes, limits, roots] = [0, 1, 2, 3].map((k) => inputType(ctx, k)) as [
      ReturnType<typeof inputType>,
      ReturnType<typeof inputType>,
      ReturnType<typeof inputType>,
      ReturnType<typeof inputType>,
    ];
    requireDType(ctx, x, REAL);
    requireDType(ctx, limits, [x.dtype], 'the thresholds');
    requireDType(ctx, nodes, ['i32'], 'the nodes');
    requireDType(ctx, roots, ['i32'], 'the roots');
    const [count = 0] = limits.shape;
    if (x.shape.length !== 2 || roots.shape.length !== 1 || limits.shape.length !== 1) {
      shapeError(ctx, `it takes rows and lists, not [${x.shape.join(',')}]`);
    }
    if (nodes.shape.join() !== [count, NODE_WIDTH].join()) {
      shapeError(ctx, `${count} thresholds are not those of nodes [${nodes.shape.join(',')}]`);
    }
    const [table, starts] = [1, 3].map((k) => ctx.inputs[k]?.constant);
    if (table && starts) {
      const mode = intAttr(ctx.attrs, 'mode');
      const known = { nodes: table(), roots: starts(), features: at(x.shape, 1), mode };
      checkTables(ctx, known);
    }
    return [{ dtype: 'i32', shape: [at(x.shape, 0), at(roots.shape, 0)] }];
  },
  lower: (ctx) => {
    const [x, , , roots] = ctx.inputs;
    if (ctx.inputs.slice(1).some((input) => input?.constant == null)) {
      return 'trees that are computed have no compiled form';
    }
    const { dtype, shape } = inputType(ctx, 0);
    if (x == null || roots == null) return 'rows or trees are missing';
    const trees = at(roots.type.shape, 0);
    const dims = [...shape, trees, intAttr(ctx.attrs, 'mode')];
    const nodes = at(inputType(ctx, 2).shape, 0);
    // A walk through a tree that is about balanced; a node, its threshold and a value a step.
    const steps = at(shape, 0) * trees * Math.log2(Math.max(2, nodes / Math.max(1, trees)));
    const bytesRead = Math.ceil(steps * (NODE_WIDTH * 4 + 2 * dtypeBytes(dtype)));
    return [{ kind: 'routine', routine: `tree_leaves_${dtype}`, dims, scalars: [], bytesRead }];
  },
  reference: (inputs, attrs, { node: name }) => {
    const [x, nodes, limits, roots] = [0, 1, 2, 3].map((k) => given(inputs, k)) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const [rows, features] = x.shape as [number, number];
    const [values, table, thresholds] = [toNumbers(x), toNumbers(nodes), toNumbers(limits)];
    const shared = intAttr(attrs, 'mode');
    const ref = { node: name, op: TREE_LEAVES };
    checkTables(ref, { nodes, roots, features, mode: shared });
    const field = (node: number, k: number): number => table[node * NODE_WIDTH + k] as number;
    const leafOf = (row: number, root: number): number => {
      let node = root;
      while (field(node, 1) !== node || field(node, 2) !== node) {
        const code = field(node, 3);
        const mode = shared === MIXED ? code & ((1 << MODE_BITS) - 1) : shared;
        const value = values[row * features + field(node, 0)] as number;
        const isMissingYes = code >> MODE_BITS !== 0 && Number.isNaN(value);
        const isYes = isMissingYes || saysYes(mode, value, thresholds[node] as number);
        node = field(node, isYes ? 1 : 2);
      }
      return field(node, 3);
    };
    const starts = [...toNumbers(roots)];
    const out = Array.from({ length: rows }, (_, row) => starts.map((root) => leafOf(row, root)));
    return [fromNumbers('i32', [rows, starts.length], out.flat())];
  },
  cases: () => {
    const codes = MODES.map((_, mode) => splitCode(mode, mode % 2 === 0));
    // A tree for each way to compare: a node, and the leaves "yes" and "no".
    const nodes = codes.flatMap((code, i) => [
      ...[i % 2, 3 * i + 1, 3 * i + 2, code],
      ...[0, 3 * i + 1, 3 * i + 1, 2 * i],
      ...[0, 3 * i + 2, 3 * i + 2, 2 * i + 1],
    ]);
    const count = 3 * codes.length;
    const x = [0.5, 0.25, 1, 0.5, Number.NaN, Number.NaN, -1, 2];
    const trees = [
      tensor('i32', [count, NODE_WIDTH], nodes),
      f32(
        [count],
        Array.from({ length: count }, () => 0.5),
      ),
      tensor(
        'i32',
        [codes.length],
        codes.map((_, i) => 3 * i),
      ),
    ];
    const one = [
      tensor('i32', [3, NODE_WIDTH], nodes.slice(0, 3 * NODE_WIDTH)),
      f32([3], [0.5, 0, 0]),
      tensor('i32', [9], new Array<number>(9).fill(0)),
    ];
    return [
      { note: 'each way to compare, values missing', inputs: [f32([4, 2], x), ...trees] },
      { note: 'no rows', inputs: [f32([0, 2], []), ...trees] },
      { note: 'one way', attrs: { mode: 0 }, inputs: [f32([4, 2], x), ...one] },
    ];
  },
});
