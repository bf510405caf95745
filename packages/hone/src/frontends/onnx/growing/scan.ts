/**
 * Scan on tensors whose size depends on data, or that stacks rows of such sizes: it is imported as the Loop
 * that takes slices at the number of its iteration.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../../graph/types.ts';
import { isTensorEntity, sizedOf, type TensorEntity } from '../bounded/index.ts';
import { type Int, isKnown, isSame, mostOf, numbersOf } from '../bounded/ints.ts';
import { isBounded, type Sized, Sizing } from '../bounded/sized.ts';
import { type Entity, tensorOf } from '../entities.ts';
import type { ImportGraph } from '../import-control.ts';
import { bodyOf, missing } from '../import-loop.ts';
import { importGrowing } from '../import-runtime-loop.ts';
import type { Scope } from '../import-scope.ts';
import { moved } from '../sequences/stacked.ts';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxType, OnnxValueInfo } from '../types.ts';

interface Scanned {
  readonly name: string;
  readonly axis: number;
  readonly isReversed: boolean;
}

/** The outputs of a Scan of opset 9 or newer. */
export function scanAsLoop(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (TensorEntity | null)[],
  attributes: readonly OnnxAttribute[],
  importGraph: ImportGraph,
): readonly (Entity | undefined)[] {
  const { builder } = scope;
  const s = new Sizing(builder, numbersOf(builder), name, 'Scan');
  const given = inputs.map((entity) => entity ?? missing(name));
  const scans = intOf(attributes, 'num_scan_inputs');
  const body = bodyOf(node, name);
  const states = given.length - scans;
  if (scans < 1 || states < 0 || body.inputs.length !== given.length) {
    fail(
      'HONE-ONNX-016',
      `node ${name} (Scan): ${given.length} inputs with ${scans} scanned ones do not fit a body of ${body.inputs.length} inputs`,
      name,
      'the model is not valid ONNX: export it again',
    );
  }
  const tensors = given.map((entity) => sizedOf(builder, entity));
  const directions = intsOf(attributes, 'scan_input_directions');
  const axes = intsOf(attributes, 'scan_input_axes');
  const scanned = tensors.slice(states).map(
    ({ sizes }, k): Scanned => ({
      name: own(name, `scan ${k}`),
      axis: axisIn(s, axes[k] ?? 0, sizes.length),
      isReversed: directions[k] === 1,
    }),
  );
  const length = lengthOf(s, tensors.slice(states), scanned);
  const values = new Map<string, Entity>(
    scanned.map((item, k): [string, Entity] => [item.name, at(given, states + k)]),
  );
  values.set(own(name, 'last'), noted(s, s.ints.sub(length, 1)));
  const inner: Scope = { ...scope, values, parent: scope, depth: scope.depth + 1 };
  const loop: OnnxNode = {
    ...node,
    op: 'Loop',
    attributes: [{ name: 'body', kind: 'graph', value: loopBody(body, name, states, scanned) }],
  };
  const carried = [noted(s, length), null, ...given.slice(0, states)];
  const made = importGrowing(inner, loop, name, carried, importGraph);
  const outAxes = intsOf(attributes, 'scan_output_axes');
  const backwards = intsOf(attributes, 'scan_output_directions');
  return made.map((entity, k) => {
    const stack = k - states;
    if (stack < 0 || entity === undefined) return entity;
    const rows = isTensorEntity(entity)
      ? sizedOf(builder, entity)
      : sizedOf(builder, tensorOf(entity, `node ${name} (Scan)`));
    const turned = backwards[stack] === 1 ? reversed(s, rows) : rows;
    return entityOf(moved(s, turned, axisIn(s, outAxes[stack] ?? 0, rows.sizes.length)));
  });
}

const own = (name: string, label: string): string => `${name}//${label}`;

/** A body that takes its slices itself. */
function loopBody(
  body: OnnxGraph,
  name: string,
  states: number,
  scanned: readonly Scanned[],
): OnnxGraph {
  const step = (
    op: string,
    inputs: readonly string[],
    output: string,
    attributes: readonly OnnxAttribute[] = [],
  ): OnnxNode => ({
    ...{ op, domain: '', name: '', attributes, overload: '' },
    ...{ inputs, outputs: [output] },
  });
  const [number, condition, back] = ['iteration', 'condition', 'back'].map((label) =>
    own(name, label),
  ) as [string, string, string];
  const slices = scanned.map((item, k) =>
    step('Gather', [item.name, item.isReversed ? back : number], at(body.inputs, states + k).name, [
      { name: 'axis', kind: 'int', value: item.axis },
    ]),
  );
  const turn = scanned.some(({ isReversed }) => isReversed)
    ? [step('Sub', [own(name, 'last'), number], back)]
    : [];
  return {
    ...body,
    inputs: [valueInfo(number), valueInfo(condition), ...body.inputs.slice(0, states)],
    nodes: [...turn, ...slices, ...body.nodes],
    outputs: [valueInfo(condition), ...body.outputs],
  };
}

/** How many slices there are: all scanned inputs have as many. */
function lengthOf(s: Sizing, tensors: readonly Sized[], scanned: readonly Scanned[]): Int {
  const lengths = tensors.map(({ sizes }, k) => at(sizes, at(scanned, k).axis));
  const first = at(lengths, 0);
  for (const length of lengths) {
    if (isSame(length, first)) continue;
    const limit = { min: 0, max: 0 };
    const source = { tensor: '', axis: -1, origin: '', option: '' } as const;
    const says = `${s.node}: the scanned inputs have the same length`;
    s.checked(s.ints.sub(length, first), limit, source, says);
  }
  return lengths.reduce((a, b) => (mostOf(b) < mostOf(a) ? b : a));
}

/** The scalar of a number whose interval is remembered. */
function noted(s: Sizing, number: Int): ValueId {
  const id = s.ints.id(number);
  if (!isKnown(number)) s.ints.note(id, [number]);
  return id;
}

/** The rows that are meant, the last first. */
function reversed(s: Sizing, rows: Sized): Sized {
  const count = at(rows.sizes, 0);
  const most = mostOf(count);
  if (most === 0) return rows;
  const last = s.ints.id(s.ints.sub(count, 1));
  const list = s.b.op('Max', [s.b.op('Sub', [last, s.iota(most)]), s.ints.id(0)]);
  return s.take(rows, 0, list, count);
}

function axisIn(s: Sizing, axis: number, rank: number): number {
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  return fail(
    'HONE-SHAPE-001',
    `node ${s.node} (Scan): axis ${axis} is outside rank ${rank}`,
    s.node,
    'check the shapes the model was exported with',
  );
}

function intOf(attributes: readonly OnnxAttribute[], name: string): number {
  const found = attributes.find((attribute) => attribute.name === name);
  return found?.kind === 'int' ? found.value : 0;
}

function intsOf(attributes: readonly OnnxAttribute[], name: string): readonly number[] {
  const found = attributes.find((attribute) => attribute.name === name);
  return found?.kind === 'ints' ? found.value : [];
}

const entityOf = (x: Sized): Entity => (isBounded(x) ? { kind: 'bounded', ...x } : x.id);

/** Nothing reads what type is declared: operands decide. */
const valueInfo = (name: string): OnnxValueInfo => ({ name, type: UNDECLARED });
const UNDECLARED: OnnxType = { kind: 'unknown' };
