/**
 * Every operator on tensors of unknown extents: each test case of its record, each input, each axis, made
 * unknown by a Slice whose end is an input. Room is poisoned; what is meant has to be what the record's
 * reference computes at that size.
 */
import { importOnnx, readOnnx } from 'hone/frontends/onnx/index';
import type { Attrs, Graph } from 'hone/graph/types';
import { verifyGraph } from 'hone/graph/verify';
import type { OpDef, TestCase } from 'hone/ops/define-op';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { isFloat } from 'hone-runtime/base/dtype';
import { memorySource } from 'hone-runtime/base/io';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';
import { type RawAttribute, type RawNode, rawModel, type RawValue } from '../onnx/raw-model.ts';

/** An axis of an input of a case. */
export interface Place {
  readonly input: number;
  readonly axis: number;
}

export interface Trial {
  readonly op: string;
  readonly note: string;
  /** Axes that are of the same unknown extent. */
  readonly places: readonly Place[];
  readonly graph: Graph;
  /** Inputs of the graph, and the outputs they make, per size and poison. */
  readonly runs: readonly {
    readonly inputs: readonly Tensor[];
    readonly wanted: readonly Tensor[];
  }[];
  /** Inputs that would make outputs of other ranks than the model states: errors of the run. */
  readonly beyond: readonly (readonly Tensor[])[];
}

export interface Refusal {
  readonly op: string;
  readonly note: string;
  readonly places: readonly Place[];
  readonly error: HoneError;
}

export const titleOf = (op: OpDef): string => (op.domain ? `${op.domain}:${op.name}` : op.name);

const OPSET = 23;

/** Which inputs a model has as constants: integers, as parameters mostly are, or all that it may. */
export type Fixed = 'integers' | 'all' | 'none';

/** Floats that decide sizes: what nothing bounds would be planned for more than can be interpreted here. */
const DECIDING: Readonly<Record<string, readonly number[]>> = { Resize: [1, 2] };

export interface Written {
  readonly bytes: Uint8Array;
  /** Positions among the operator's inputs. */
  readonly inputs: readonly number[];
}

/**
 * A model of one node; `open`: axes cut to the length that the last input says; `whole`: outputs at the full
 * size, whose ranks the model states.
 */
export function write(
  op: OpDef,
  item: TestCase,
  fixed: Fixed,
  open: readonly Place[],
  whole: readonly Tensor[] = [],
): Written {
  const nodes: RawNode[] = [];
  const initializers: Record<string, Tensor> = {};
  const inputs: RawValue[] = [];
  const free: number[] = [];
  const names = item.inputs.map((tensor, k) => {
    if (tensor === null) return '';
    const axes = open.flatMap(({ input, axis }) => (input === k ? [axis] : []));
    const isConstant =
      axes.length === 0 &&
      (fixed === 'all' ||
        (fixed === 'integers' && !isFloat(tensor.dtype)) ||
        DECIDING[op.name]?.includes(k) === true);
    let name = `x${k}`;
    if (isConstant) initializers[name] = tensor;
    else {
      inputs.push({ name, dtype: tensor.dtype, shape: tensor.shape });
      free.push(k);
    }
    for (const axis of axes) {
      const [axisName, cut] = [`axis${k}_${axis}`, `${name}_${axis}`];
      initializers[axisName] = fromNumbers('i64', [1], [axis]);
      nodes.push({ op: 'Slice', inputs: [name, 'zero', 'length', axisName], outputs: [cut] });
      name = cut;
    }
    return name;
  });
  if (open.length > 0) {
    initializers['zero'] = fromNumbers('i64', [1], [0]);
    inputs.push({ name: 'length', dtype: 'i64', shape: [1] });
  }
  const outputs = Array.from({ length: item.outputs ?? 1 }, (_, i) => `y${i}`);
  nodes.push({
    op: op.name,
    inputs: names,
    outputs,
    ...(op.domain ? { domain: op.domain } : {}),
    attrs: rawAttributes(op, item.attrs ?? {}),
  });
  const bytes = rawModel({
    opset: op.domain ? OPSET : Math.max(OPSET, op.since),
    ...(op.domain ? { domains: { [op.domain]: op.since } } : {}),
    inputs,
    outputs: outputs.map((name, i) => {
      const tensor = whole[i];
      if (tensor === undefined || whole.length !== outputs.length) return { name };
      return { name, dtype: tensor.dtype, shape: tensor.shape.map(() => null) };
    }),
    initializers,
    nodes,
  });
  return { bytes, inputs: free };
}

function rawAttributes(op: OpDef, attrs: Attrs): Record<string, RawAttribute> {
  const out: Record<string, RawAttribute> = {};
  for (const [name, value] of Object.entries(attrs)) {
    const made = rawAttribute(op.attrs[name]?.type ?? 'int', value);
    if (made !== undefined) out[name] = made;
  }
  return out;
}

function rawAttribute(type: string, value: unknown): RawAttribute | undefined {
  switch (type) {
    case 'int':
      return { int: value as number };
    case 'float':
      return { float: value as number };
    case 'ints':
      return { ints: value as number[] };
    case 'floats':
      return { floats: value as number[] };
    case 'string':
      return { text: value as string };
    case 'strings':
      return { texts: value as string[] };
    case 'tensor':
      return { tensor: value as Tensor };
    default:
      return undefined;
  }
}

/** The graph, or why there is none. */
function imported({ bytes }: Written): Graph | HoneError {
  try {
    return verifyGraph(importOnnx(readOnnx(memorySource(bytes, 'survey.onnx'))).graph);
  } catch (error) {
    if (error instanceof HoneError) return error;
    throw error;
  }
}

/** The case with every place cut to the length. */
function cutTo(item: TestCase, places: readonly Place[], length: number): TestCase {
  const inputs = item.inputs.map((tensor, k) =>
    tensor === null
      ? null
      : places
          .filter(({ input }) => input === k)
          .reduce((x: Tensor, { axis }) => begin(x, axis, length), tensor),
  );
  return { ...item, inputs };
}

function begin(x: Tensor, axis: number, length: number): Tensor {
  const shape = x.shape.map((extent, i) => (i === axis ? length : extent));
  return gathered(x, shape, (index) => index);
}

/** A tensor of another shape, element by element. */
function gathered(
  x: Tensor,
  shape: readonly number[],
  from: (index: readonly number[]) => readonly number[],
): Tensor {
  const strides = stridesOf(x.shape);
  const own = stridesOf(shape);
  const positions = Array.from({ length: elementCount(shape) }, (_, p) => {
    const index = shape.map((extent, i) => Math.floor(p / (own[i] ?? 1)) % Math.max(1, extent));
    return from(index).reduce((sum, n, i) => sum + n * (strides[i] ?? 0), 0);
  });
  if (x.dtype === 'string') {
    return { dtype: 'string', shape, data: positions.map((p) => x.data[p] as string) };
  }
  const size = x.data.length === 0 ? 1 : x.data.length / Math.max(1, elementCount(x.shape));
  const like = x.data as Uint8Array;
  const data = like.slice(0, 0).constructor as new (length: number) => Uint8Array;
  const out = new data(positions.length * size);
  for (const [i, p] of positions.entries()) {
    out.set(like.subarray(p * size, (p + 1) * size), i * size);
  }
  return { ...x, shape, data: out } as Tensor;
}

const POISON: readonly [number, number] = [Number.NaN, 1e30];

/** The case's input with what lies beyond the length made unusable. */
function poisoned(x: Tensor, axes: readonly number[], length: number, kind: 0 | 1): Tensor {
  if (axes.length === 0 || x.dtype === 'string' || isPacked(x)) return x;
  const strides = stridesOf(x.shape);
  const whole = kind === 0 ? 2 ** 62 : -(2 ** 62);
  const bad = isFloat(x.dtype) ? POISON[kind] : x.dtype === 'bool' ? 1 - kind : clampTo(x, whole);
  const [poison] = fromNumbers(x.dtype, [1], [bad]).data;
  const data = x.data.slice() as Uint8Array;
  for (let p = 0; p < data.length; p++) {
    const isRoom = axes.some(
      (axis) => Math.floor(p / (strides[axis] ?? 1)) % Math.max(1, x.shape[axis] ?? 1) >= length,
    );
    if (isRoom) data[p] = poison as number;
  }
  return { ...x, data } as Tensor;
}

const isPacked = ({ dtype }: Tensor): boolean => /4$/.test(dtype) && !/64$/.test(dtype);

function clampTo(x: Tensor, value: number): number {
  const bits = Number(/\d+/.exec(x.dtype)?.[0] ?? 64);
  const isUnsigned = x.dtype.startsWith('u');
  const [least, most] = isUnsigned ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  if (bits === 64) return isUnsigned ? Math.max(0, value) : value;
  return Math.min(most, Math.max(least, value));
}

/** Wanted outputs at a length; undefined where the operator does not take that size. */
export function exact(op: OpDef, item: TestCase, fixed: Fixed): readonly Tensor[] | undefined {
  const written = write(op, item, fixed, []);
  const graph = imported(written);
  if (graph instanceof HoneError) return undefined;
  try {
    return interpret(
      graph,
      written.inputs.map((k) => item.inputs[k] as Tensor),
    );
  } catch {
    return undefined;
  }
}

interface Linked {
  readonly places: readonly Place[];
  /** A length that all of them can have. */
  readonly length: number;
}

/** Axes that have to change together with one, the fewest there can be; undefined: it cannot change. */
function linked(op: OpDef, item: TestCase, fixed: Fixed, place: Place): Linked | undefined {
  const n = extentOf(item, place);
  const others = item.inputs.flatMap((tensor, input) =>
    (tensor?.shape ?? []).flatMap((extent, axis) =>
      extent === n && (input !== place.input || axis !== place.axis) ? [{ input, axis }] : [],
    ),
  );
  const sets = Array.from({ length: 2 ** Math.min(others.length, 7) }, (_, bits) =>
    others.filter((_, i) => (bits >> i) % 2 === 1),
  ).sort((a, b) => a.length - b.length);
  // Channels of groups and heads change by more than one.
  for (const length of new Set([n - 1, n - 2, Math.floor(n / 2)])) {
    if (length < 1) continue;
    for (const set of sets) {
      const places = [place, ...set];
      if (exact(op, cutTo(item, places, length), fixed) !== undefined) return { places, length };
    }
  }
  return undefined;
}

const extentOf = (item: TestCase, { input, axis }: Place): number =>
  item.inputs[input]?.shape[axis] ?? 0;

/** All trials of one case; without `isRun` only what is refused is of use. */
export function surveyCase(op: OpDef, item: TestCase, isRun = true): readonly (Trial | Refusal)[] {
  const fixed = (['integers', 'none', 'all'] as const).find(
    (way) => exact(op, item, way) !== undefined,
  );
  if (fixed === undefined) return [];
  const found: (Trial | Refusal)[] = [];
  const seen = new Set<string>();
  item.inputs.forEach((tensor, input) => {
    (tensor?.shape ?? []).forEach((extent, axis) => {
      if (extent < 2 || seen.has(`${input}.${axis}`)) return;
      const link = linked(op, item, fixed, { input, axis });
      if (link === undefined) return;
      for (const place of link.places) seen.add(`${place.input}.${place.axis}`);
      found.push(trial(op, item, fixed, link, isRun));
    });
  });
  return found;
}

function trial(
  op: OpDef,
  item: TestCase,
  fixed: Fixed,
  { places, length: shorter }: Linked,
  isRun: boolean,
): Trial | Refusal {
  const what = { op: titleOf(op), note: item.note ?? '', places };
  const whole = exact(op, item, fixed) ?? [];
  const written = write(op, item, fixed, places, whole);
  const graph = imported(written);
  if (graph instanceof HoneError) return { ...what, error: graph };
  const n = extentOf(item, places[0] as Place);
  const all = (isRun ? [...new Set([n, shorter, 1, 0])] : []).flatMap((length) => {
    const wanted = exact(op, cutTo(item, places, length), fixed);
    if (wanted === undefined) return [];
    const isRanked = wanted.every(({ shape }, k) => shape.length === whole[k]?.shape.length);
    return ([0, 1] as const).map((kind) => ({
      isRanked,
      inputs: [
        ...written.inputs.map((k) => {
          const axes = places.flatMap((place) => (place.input === k ? [place.axis] : []));
          return poisoned(item.inputs[k] as Tensor, axes, length, kind);
        }),
        fromNumbers('i64', [1], [length]),
      ],
      wanted,
    }));
  });
  return {
    ...what,
    graph,
    runs: all.filter(({ isRanked }) => isRanked),
    beyond: all.filter(({ isRanked }) => !isRanked).map(({ inputs }) => inputs),
  };
}

export const isTrial = (found: Trial | Refusal): found is Trial => 'graph' in found;

export const placesOf = ({ places }: Trial | Refusal): string =>
  places.map(({ input, axis }) => `${input}.${axis}`).join('+');

/** In what a result is not what is wanted; undefined: in nothing. */
export function differs(got: Tensor, wanted: Tensor): string | undefined {
  if (got.shape.join() !== wanted.shape.join()) return `[${got.shape}], not [${wanted.shape}]`;
  if (got.dtype === 'string') {
    return got.data.join('\0') === (wanted.data as readonly string[]).join('\0')
      ? undefined
      : 'other texts';
  }
  const [a, b] = [toNumbers(got), toNumbers(wanted)];
  // Two steps of a dtype that parts of an operator are rounded to.
  const share = got.dtype === 'bf16' ? 2 ** -7 : 2e-3;
  const k = b.findIndex((y, i) => {
    const x = a[i] ?? Number.NaN;
    // What the exact size makes no number of may be another such: an inverse of nothing.
    if (!Number.isFinite(y)) return Number.isFinite(x);
    return !(x === y || Math.abs(x - y) <= share * (1 + Math.abs(y)));
  });
  return k < 0 ? undefined : `element ${k} is ${a[k]}, not ${b[k]}`;
}
