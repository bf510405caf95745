/**
 * Scan: a sub-graph run once for every slice of its scanned inputs, carrying a state. Many slices become
 * a Loop that takes them by the number of its iteration.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { Attrs, Graph, ValueId, ValueType } from '../../graph/types.ts';
import type { OpBuilder } from '../builder.ts';
import {
  inputType,
  intAttr,
  ints,
  intsAttr,
  normalizeAxis,
  requiredInt,
  shapeError,
  typeError,
} from '../checks.ts';
import { type CompositeOp, defineOp, type InferContext } from '../define-op.ts';
import { scanCases } from './cases.ts';
import { reversedRows, sliceNodes, stack, stackNodes, takeSlice, withAxis } from './stacks.ts';
import {
  CAPTURES,
  graphAttr,
  hasTexts,
  inlineGraph,
  nodeCount,
  typesOf,
  UNROLL_LIMIT,
  WRITTEN_OUT_NODES,
} from './subgraph.ts';

interface ScanParts {
  readonly body: Graph;
  /** Numbers of state values and of scanned inputs. */
  readonly states: number;
  readonly scanned: number;
  /** Per scanned input and per scanned output: the axis, and whether it runs backwards. */
  readonly inputAxes: readonly number[];
  readonly inputReversed: readonly boolean[];
  readonly outputAxes: readonly number[];
  readonly outputReversed: readonly boolean[];
  readonly trips: number;
}

/** An optional list of one entry per item; zeros where it is absent. */
function listAttr(attrs: Attrs, name: string, count: number): readonly number[] {
  const value = intsAttr(attrs, name) ?? [];
  return Array.from({ length: count }, (_, i) => value[i] ?? 0);
}

function partsOf(
  ctx: { readonly node: string; readonly op: string },
  attrs: Attrs,
  inputs: readonly (readonly number[])[],
): ScanParts {
  const body = graphAttr(ctx, attrs, 'body');
  const scanned = intAttr(attrs, 'num_scan_inputs');
  const captures = intAttr(attrs, 'captures');
  const states = inputs.length - scanned - captures;
  if (scanned < 1 || states < 0 || body.inputs.length !== inputs.length) {
    shapeError(
      ctx,
      `${inputs.length - captures} inputs with ${scanned} scanned ones do not fit a body of ${body.inputs.length - captures} inputs`,
    );
  }
  const outputs = body.outputs.slice(states);
  const inputAxes = listAttr(attrs, 'scan_input_axes', scanned).map((axis, i) =>
    normalizeAxis(ctx, axis, at(inputs, states + i).length),
  );
  const outputAxes = listAttr(attrs, 'scan_output_axes', outputs.length).map((axis, i) =>
    normalizeAxis(ctx, axis, at(typesOf(body, outputs), i).shape.length + 1),
  );
  const lengths = inputAxes.map((axis, i) => at(at(inputs, states + i), axis));
  const trips = at(lengths, 0);
  if (lengths.some((length) => length !== trips)) {
    shapeError(ctx, `the scanned inputs have different lengths: ${lengths.join(', ')}`);
  }
  return {
    body,
    states,
    scanned,
    inputAxes,
    inputReversed: listAttr(attrs, 'scan_input_directions', scanned).map((d) => d === 1),
    outputAxes,
    outputReversed: listAttr(attrs, 'scan_output_directions', outputs.length).map((d) => d === 1),
    trips,
  };
}

function inputShapes(ctx: InferContext): readonly (readonly number[])[] {
  return ctx.inputs.map((_, i) => inputType(ctx, i).shape);
}

function inferScan(ctx: InferContext): readonly ValueType[] {
  const { body, states, outputAxes, trips } = partsOf(ctx, ctx.attrs, inputShapes(ctx));
  return typesOf(body, body.outputs).map((type, i) => {
    if (i < states) {
      const { dtype, shape } = inputType(ctx, i);
      if (dtype !== type.dtype || shape.join() !== type.shape.join()) {
        shapeError(
          ctx,
          `state ${i} begins as ${dtype}[${shape.join(',')}], but a slice makes it ${type.dtype}[${type.shape.join(',')}]`,
        );
      }
      return type;
    }
    return { dtype: type.dtype, shape: withAxis(type.shape, at(outputAxes, i - states), trips) };
  });
}

/** Slices in the order they are stacked. */
function ordered<T>(slices: readonly T[], reversed: boolean): readonly T[] {
  return reversed ? [...slices].reverse() : slices;
}

/** The same as a Loop: scanned inputs are captured, and the iteration takes its slice of them. */
function asLoop(
  b: OpBuilder,
  inputs: readonly (ValueId | null)[],
  parts: ScanParts,
  name: string,
): readonly ValueId[] {
  const { body, states, scanned, trips } = parts;
  const given = inputs.map((id) => id ?? b.scalar(0));
  const nested = b.nested(body.name);
  const { graph } = nested;
  const iteration = graph.input('iteration', { dtype: 'i64', shape: [] });
  const goOn = graph.input('go_on', { dtype: 'bool', shape: [] });
  const inner = given.map((id) => {
    const { name: called, type } = b.graph.value(id);
    return graph.input(called, type);
  });
  const backwards = (): ValueId =>
    nested.op('Sub', [nested.scalar(trips - 1, 'i64'), iteration], {}, { name });
  const slices = parts.inputAxes.map((axis, i) => {
    const position = at(parts.inputReversed, i) ? backwards() : iteration;
    return nested.op('Gather', [at(inner, states + i), position], { axis }, { name });
  });
  const rest = inner.slice(states + scanned);
  const results = inlineGraph(nested, body, [...inner.slice(0, states), ...slices, ...rest], name);
  const loop = b.ops(
    'Loop',
    [b.scalar(trips, 'i64'), null, ...given],
    { body: graph.finish([goOn, ...results]), captures: given.length - states },
    { name, outputs: results.length },
  );
  const stacked = parts.outputAxes.map((axis, k) => {
    const rows = at(loop, states + k);
    const rank = b.typeOf(rows).shape.length;
    const turned = at(parts.outputReversed, k) ? reversedRows(b, rows) : rows;
    if (axis === 0) return turned;
    // The new axis stands first and belongs behind `axis` of the others.
    const perm = withAxis(
      Array.from({ length: rank - 1 }, (_, i) => i + 1),
      axis,
      0,
    );
    return b.op('Transpose', [turned], { perm });
  });
  return [...loop.slice(0, states), ...stacked];
}

export const scan: CompositeOp = defineOp({
  kind: 'composite',
  name: 'Scan',
  doc: 'A sub-graph run for every slice of its inputs; a Loop, or few slices written out.',
  since: 25,
  attrs: {
    ...CAPTURES,
    body: { type: 'graph', required: true },
    num_scan_inputs: requiredInt,
    scan_input_axes: ints(),
    scan_input_directions: ints(),
    scan_output_axes: ints(),
    scan_output_directions: ints(),
  },
  upgrade: (_b, { name, op, opset, inputs, attrs }) => {
    if (opset < 9) {
      typeError({ node: name, op }, 'the batched Scan of opset 8 is not supported');
    }
    return { inputs, attrs };
  },
  infer: inferScan,
  decompose: (b, inputs, ctx) => {
    const parts = partsOf(ctx, ctx.attrs, inputShapes(ctx));
    const { body, states, scanned, trips } = parts;
    const nodes = trips * nodeCount(body);
    const isText = hasTexts(body);
    if (isText && nodes > UNROLL_LIMIT) {
      return `writing out ${trips} slices would take ${nodes} nodes`;
    }
    if (!isText && nodes > WRITTEN_OUT_NODES) return asLoop(b, inputs, parts, ctx.node);
    const given = inputs.map((id) => id ?? b.scalar(0));
    const captures = given.slice(states + scanned);
    let state = given.slice(0, states);
    const collected = parts.outputAxes.map((): number[] => []);
    for (let t = 0; t < trips; t++) {
      const slices = parts.inputAxes.map((axis, i) =>
        sliceNodes(b, at(given, states + i), axis, at(parts.inputReversed, i) ? trips - 1 - t : t),
      );
      const results = inlineGraph(b, body, [...state, ...slices, ...captures], `${ctx.node}/${t}`);
      state = results.slice(0, states);
      collected.forEach((list, k) => {
        list.push(at(results, states + k));
      });
    }
    const stacked = collected.map((list, k) => {
      const { dtype, shape } = at(ctx.outputs, states + k);
      if (list.length === 0) return b.constant(fromNumbers(dtype, shape, []));
      return stackNodes(b, ordered(list, at(parts.outputReversed, k)), at(parts.outputAxes, k));
    });
    return [...state, ...stacked];
  },
  reference: (inputs, attrs, ctx) => {
    const tensors = inputs as readonly Tensor[];
    const shapes = tensors.map((tensor) => tensor.shape);
    const parts = partsOf({ node: ctx.node, op: 'Scan' }, attrs, shapes);
    const { body, states, scanned, trips } = parts;
    const captures = tensors.slice(states + scanned);
    let state = tensors.slice(0, states);
    const collected = parts.outputAxes.map((): Tensor[] => []);
    for (let t = 0; t < trips; t++) {
      const slices = parts.inputAxes.map((axis, i) =>
        takeSlice(at(tensors, states + i), axis, at(parts.inputReversed, i) ? trips - 1 - t : t),
      );
      const results = ctx.run(body, [...state, ...slices, ...captures]);
      state = results.slice(0, states);
      collected.forEach((list, k) => {
        list.push(at(results, states + k));
      });
    }
    return [
      ...state,
      ...collected.map((list, k) => {
        const axis = at(parts.outputAxes, k);
        return stack(
          ordered(list, at(parts.outputReversed, k)),
          axis,
          at(ctx.outputTypes, states + k),
        );
      }),
    ];
  },
  cases: () => scanCases(),
});
