/**
 * One test of the suite: its model imported for the shapes of its inputs, its inputs and the
 * outputs it asks for.
 *
 * Shapes of tensors must be known when a model is compiled. A test that computes them from its
 * inputs is imported with those inputs bound to the test's own values: as few as possible, and the
 * test says which.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  importOnnx,
  type OnnxModel,
  type OnnxValue,
  openOnnx,
  readValueProto,
} from 'hone/frontends/onnx/index';
import type { OnnxType, OnnxValueInfo } from 'hone/frontends/onnx/types';
import type { Graph } from 'hone/graph/types';
import { valueById } from 'hone/graph/walk';
import type { Tolerance } from 'hone/ops/define-op';
import { sequenceOf } from 'hone-runtime';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { elementCount, type Tensor } from 'hone-runtime/base/tensor';
import { LOOSE } from './suite.ts';

export interface LoadedTest {
  readonly graph: Graph;
  /** In the order of the graph's inputs. */
  readonly inputs: readonly Tensor[];
  readonly expected: readonly Tensor[];
  readonly bound: readonly string[];
  /** Inputs were bound and none is left. */
  readonly isFolded: boolean;
  readonly tolerance: Tolerance;
  /** The model's own outputs: sequences among them may be rows of one tensor. */
  readonly outputs: readonly OnnxValueInfo[];
}

const NOT_ENOUGH = {
  code: 'HONE-SHAPE-002',
  message: 'no binding of the inputs is enough',
} as const;

const SUITE_TOLERANCE: Tolerance = { relative: 1e-3, absolute: 1e-7 };

/** Opens a test's model: the caller closes it when the graph's constants are not needed any more. */
export function openTest(folder: string): OnnxModel {
  return openOnnx(path.join(folder, 'model.onnx'));
}

/** The operator of a model with one node; otherwise what kind of model it is, in brackets. */
export function operatorOf(model: OnnxModel, test: string): string {
  const [node, ...others] = model.graph.nodes;
  if (node !== undefined && others.length === 0) {
    return node.domain === '' ? node.op : `${node.domain}:${node.op}`;
  }
  if (/_expanded/.test(test)) return '(functions written out)';
  return test.startsWith('node/') ? '(several operators)' : `(${path.dirname(test)})`;
}

/**
 * Imports the model and reads the data of a test; throws what the importer throws. Inputs are bound
 * where the importer needs constants, and until `isEnough` of the graph.
 */
export function loadTest(
  model: OnnxModel,
  folder: string,
  isEnough: (graph: Graph) => boolean = () => true,
): LoadedTest {
  const data = path.join(folder, 'test_data_set_0');
  const given = new Map<string, Tensor>();
  const shapes: Record<string, readonly number[]> = {};
  for (const [i, { name, type }] of model.graph.inputs.entries()) {
    const file = path.join(data, `input_${i}.pb`);
    if (!existsSync(file)) continue;
    const parts = tensorsOf(readValueProto(readFileSync(file), type, file), name, shapes);
    for (const [part, tensor] of parts) {
      given.set(part, tensor);
      shapes[part] = tensor.shape;
    }
  }
  const count = readdirSync(data).filter((name) => /^output_\d+\.pb$/.test(name)).length;
  const expected = model.graph.outputs.slice(0, count).flatMap(({ name, type }, i) => {
    const file = path.join(data, `output_${i}.pb`);
    return tensorsOf(readValueProto(readFileSync(file), type, file), name).map(
      ([, tensor]) => tensor,
    );
  });
  const { graph, bound } = importBound(model, given, shapes, isEnough);
  const inputs = graph.inputs.map((id) => {
    const { name } = valueById(graph, id);
    const tensor = given.get(name);
    if (tensor === undefined) throw new TypeError(`the test has no data for input ${name}`);
    return tensor;
  });
  const isFolded = bound.length > 0 && inputs.length === 0;
  const { outputs } = model.graph;
  return { graph, inputs, expected, bound, isFolded, tolerance: toleranceOf(folder), outputs };
}

/** What a run gives as the suite has it: every tensor of a sequence, and of an optional its value. */
export function asExpected(
  { graph, outputs }: LoadedTest,
  got: readonly Tensor[],
): readonly Tensor[] {
  const named = Object.fromEntries(
    got.map((tensor, i) => [valueById(graph, graph.outputs[i] ?? -1).name, tensor] as const),
  );
  const valuesOf = (name: string, type: OnnxType): readonly Tensor[] => {
    if (type.kind === 'sequence') return sequenceOf(named, name);
    if (type.kind === 'optional') {
      const isPresent = named[`${name}.present`]?.data[0] !== 0;
      return isPresent ? valuesOf(name, type.element) : [];
    }
    const tensor = named[name];
    return tensor === undefined ? [] : [tensor];
  };
  const isPlain = outputs.every(({ type }) => type.kind !== 'sequence' && type.kind !== 'optional');
  return isPlain ? got : outputs.flatMap(({ name, type }) => valuesOf(name, type));
}

/** The tensors of a value by the names the importer gives them; notes sequences without any. */
function tensorsOf(
  value: OnnxValue,
  name: string,
  shapes?: Record<string, readonly number[]>,
): readonly (readonly [string, Tensor])[] {
  if ('dtype' in value) return [[name, value]];
  if (value.kind === 'optional') {
    return value.item === null ? [] : tensorsOf(value.item, name, shapes);
  }
  if (value.items.length === 0 && shapes !== undefined) shapes[name] = [0];
  return value.items.flatMap((item, i) => tensorsOf(item, `${name}.${i}`, shapes));
}

function importBound(
  model: OnnxModel,
  given: ReadonlyMap<string, Tensor>,
  shapes: Readonly<Record<string, readonly number[]>>,
  isEnough: (graph: Graph) => boolean,
): { graph: Graph; bound: readonly string[] } {
  const attempt = (bound: readonly string[]): Graph | HoneError => {
    const constants = Object.fromEntries(bound.map((name) => [name, given.get(name) as Tensor]));
    try {
      const { graph, bounds } = importOnnx(model, { shapes, constants });
      // At assumed bounds the references would take minutes; test/bounded has these models.
      const isAssumed = bounds.some(({ assumed }) => assumed);
      return !isAssumed && isEnough(graph) ? graph : new HoneError(NOT_ENOUGH);
    } catch (error) {
      // Sizes at assumed bounds may not fit each other, or memory.
      if (error instanceof HoneError && /^HONE-SHAPE-0(01|02|11)$/.test(error.code)) return error;
      throw error;
    }
  };
  const unbound = attempt([]);
  if (!(unbound instanceof HoneError)) return { graph: unbound, bound: [] };
  const names = [...given.keys()];
  const shapeOf = (name: string): readonly number[] => given.get(name)?.shape ?? [];
  // Scalars and lists say how; what else there is are the data, whose binding leaves little to run.
  const scalars = names.filter((name) => elementCount(shapeOf(name)) === 1);
  const lists = names.filter((name) => shapeOf(name).length <= 1);
  for (const candidates of [scalars, lists, names]) {
    const all = attempt(candidates);
    if (all instanceof HoneError) continue;
    let best = { graph: all, bound: candidates };
    for (const name of candidates) {
      const fewer = best.bound.filter((other) => other !== name);
      const graph = attempt(fewer);
      if (!(graph instanceof HoneError)) best = { graph, bound: fewer };
    }
    return best;
  }
  throw unbound;
}

/** The suite's usual tolerance, the test's own (`data.json`), or a looser one with a reason. */
function toleranceOf(folder: string): Tolerance {
  const loose = LOOSE.find(({ pattern }) => pattern.test(path.basename(folder)));
  if (loose !== undefined) return { ...SUITE_TOLERANCE, absolute: loose.absolute };
  const file = path.join(folder, 'data.json');
  if (!existsSync(file)) return SUITE_TOLERANCE;
  const own = JSON.parse(readFileSync(file, 'utf8')) as { rtol?: number; atol?: number };
  return {
    relative: own.rtol ?? SUITE_TOLERANCE.relative,
    absolute: own.atol ?? SUITE_TOLERANCE.absolute,
  };
}
