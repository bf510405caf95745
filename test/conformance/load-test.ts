/**
 * One test of the suite: its model imported for the shapes of its inputs, its inputs and the
 * outputs it asks for.
 *
 * Sizes that depend on inputs are decided by the run, within bounds (`bounds.ts`). Where the importer
 * refuses that, inputs are bound to the test's own values: as few as possible, and the test says which.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
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
import { importFreely, type TestData } from './bounds.ts';
import { LOOSE } from './suite.ts';

export interface LoadedTest {
  readonly graph: Graph;
  /** In the order of the graph's inputs. */
  readonly inputs: readonly Tensor[];
  readonly expected: readonly Tensor[];
  /** Bounds that were asked for, as they would be written behind --bound. */
  readonly bounds: readonly string[];
  readonly bound: readonly string[];
  /** Why inputs are bound; empty where none is. */
  readonly why: string;
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
  const extentsOf = new Map<string, readonly number[]>();
  const expected = model.graph.outputs.slice(0, count).flatMap(({ name, type }, i) => {
    const file = path.join(data, `output_${i}.pb`);
    return tensorsOf(readValueProto(readFileSync(file), type, file), name).map(([part, tensor]) => {
      extentsOf.set(part, tensor.shape);
      return tensor;
    });
  });
  const imported = importBound(model, { given, shapes, outputs: extentsOf }, isEnough);
  const { graph, bound } = imported;
  const inputs = graph.inputs.map((id) => {
    const { name } = valueById(graph, id);
    const tensor = given.get(name);
    if (tensor === undefined) throw new TypeError(`the test has no data for input ${name}`);
    return tensor;
  });
  const isFolded = bound.length > 0 && inputs.length === 0;
  const { outputs } = model.graph;
  return { ...imported, inputs, expected, isFolded, tolerance: toleranceOf(folder), outputs };
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

interface Imported {
  readonly graph: Graph;
  readonly bounds: readonly string[];
  readonly bound: readonly string[];
  readonly why: string;
}

/** The fewest inputs bound that are enough; none, where the importer takes the model as it is. */
function importBound(
  model: OnnxModel,
  data: TestData,
  isEnough: (graph: Graph) => boolean,
): Imported {
  const { given } = data;
  let why = 'the compiler needs them as constants';
  const attempt = (bound: readonly string[]): Imported | HoneError => {
    const constants = Object.fromEntries(bound.map((name) => [name, given.get(name) as Tensor]));
    try {
      const { result, bounds } = importFreely(model, data, constants);
      const { graph } = result;
      return isEnough(graph) ? { graph, bounds, bound, why } : new HoneError(NOT_ENOUGH);
    } catch (error) {
      if (error instanceof HoneError && error.code === 'HONE-SHAPE-002') return error;
      throw error;
    }
  };
  const unbound = attempt([]);
  if (!(unbound instanceof HoneError)) return { ...unbound, why: '' };
  if (unbound.message !== NOT_ENOUGH.message) why = unbound.message;
  const names = [...given.keys()];
  const shapeOf = (name: string): readonly number[] => given.get(name)?.shape ?? [];
  // Scalars and lists say how; what else there is are the data, whose binding leaves little to run.
  const scalars = names.filter((name) => elementCount(shapeOf(name)) === 1);
  const lists = names.filter((name) => shapeOf(name).length <= 1);
  for (const candidates of [scalars, lists, names]) {
    const all = attempt(candidates);
    if (all instanceof HoneError) continue;
    let best = all;
    for (const name of candidates) {
      const fewer = attempt(best.bound.filter((other) => other !== name));
      if (!(fewer instanceof HoneError)) best = fewer;
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
