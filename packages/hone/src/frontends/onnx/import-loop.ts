/**
 * Loops written out while a model is imported: those that carry sequences, and those whose tensors change
 * their shapes from one iteration to the next. Their number of iterations has to be known; a condition
 * that turns false on constants ends them.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { declaredRanks } from './declared.ts';
import { type Entity, isTensor, tensorOf } from './entities.ts';
import type { ImportGraph } from './import-control.ts';
import { initializersOf, type Scope } from './import-scope.ts';
import type { OnnxGraph, OnnxNode } from './types.ts';

/** More iterations than this are not written out, however small the body. */
const MAX_ITERATIONS = 10_000;

/** Is the trip count of a Loop a constant? */
export function hasKnownTrips(scope: Scope, inputs: readonly (Entity | null)[]): boolean {
  const [trips] = inputs;
  return trips != null && isTensor(trips) && isKnown(scope, trips);
}

function isKnown(scope: Scope, id: ValueId): boolean {
  return scope.builder.graph.value(id).constant !== undefined;
}

export function unrollLoop(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  importGraph: ImportGraph,
): readonly Entity[] {
  const body = bodyOf(node, name);
  const reader = `node ${name} (Loop)`;
  const [trips, start, ...carried] = inputs;
  const limit = trips == null ? Infinity : numberOf(scope, tensorOf(trips, reader), name);
  let goOn = start == null || numberOf(scope, tensorOf(start, reader), name) !== 0;
  let state = carried.map((entity) => entity ?? missing(name));
  const collected = body.outputs.slice(1 + state.length).map((): ValueId[] => []);
  for (let t = 0; goOn && t < limit; t++) {
    if (t >= MAX_ITERATIONS) {
      fail(
        'HONE-ONNX-022',
        `${reader}: it would be written out more than ${MAX_ITERATIONS} times`,
        name,
        'export the model with fewer iterations, or with carried tensors of fixed shapes',
      );
    }
    const number = scope.builder.constant(fromNumbers('i64', [], [t]));
    const condition = scope.builder.constant(fromNumbers('bool', [], [1]));
    const formal = [number, condition, ...state];
    const results = inlineBody(scope, body, `${name}/${t}`, t, formal, importGraph);
    goOn = numberOf(scope, tensorOf(at(results, 0), reader), name) !== 0;
    state = results.slice(1, 1 + state.length);
    collected.forEach((list, k) => {
      list.push(tensorOf(at(results, 1 + state.length + k), reader));
    });
  }
  return [...state, ...collected.map((list) => stacked(scope, list, name))];
}

export function bodyOf(node: OnnxNode, name: string): OnnxGraph {
  const body = node.attributes.find((attribute) => attribute.name === 'body');
  if (body?.kind === 'graph') return body.value;
  return fail(
    'HONE-ONNX-016',
    `node ${name} (${node.op}): it has no body`,
    name,
    'the model is not valid ONNX: export it again',
  );
}

export function missing(name: string): never {
  return fail(
    'HONE-ONNX-016',
    `node ${name}: an input is missing`,
    name,
    'the model is not valid ONNX: export it again',
  );
}

/** The outputs of a body whose inputs are these values. */
export function inlineBody(
  scope: Scope,
  body: OnnxGraph,
  prefix: string,
  iteration: number,
  formal: readonly Entity[],
  importGraph: ImportGraph,
): readonly Entity[] {
  if (body.inputs.length !== formal.length) {
    fail(
      'HONE-ONNX-016',
      `${prefix}: the body has ${body.inputs.length} inputs, ${formal.length} values are passed`,
      prefix,
      'the model is not valid ONNX: export it again',
    );
  }
  return importGraph(
    {
      ...scope,
      values: new Map(body.inputs.map((info, i) => [info.name, at(formal, i)])),
      initializers: initializersOf(body),
      ranks: declaredRanks(body),
      finalNames: new Map(),
      prefix: `${prefix}/`,
      parent: scope,
      depth: scope.depth + 1,
      iterations: [...scope.iterations, iteration],
    },
    body,
  );
}

/** A constant that decides how often a body runs. */
function numberOf(scope: Scope, id: ValueId, name: string): number {
  const value = scope.builder.graph.value(id);
  if (value.constant !== undefined) return toNumbers(constantTensor(value))[0] ?? 0;
  return fail(
    'HONE-SHAPE-002',
    `node ${name} (Loop): the number of iterations depends on the model's input data`,
    name,
    'a loop over sequences or over tensors that change their shapes needs a fixed number of iterations',
  );
}

function stacked(scope: Scope, list: readonly ValueId[], name: string): ValueId {
  const { builder } = scope;
  if (list.length === 0) {
    return fail(
      'HONE-SHAPE-002',
      `node ${name} (Loop): it runs no iteration, so the shape of what it collects is not known`,
      name,
      'export the model without the loop',
    );
  }
  const rows = list.map((id) => builder.op('Unsqueeze', [id, builder.ints([0])]));
  return rows.length === 1 ? at(rows, 0) : builder.op('Concat', rows, { axis: 0 });
}
