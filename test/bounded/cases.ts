/** Models with sizes that depend on data, and inputs that make them empty, full and in between. */
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawGraph, RawModel, RawNode, RawValue } from '../onnx/raw-model.ts';

export interface BoundedCase {
  readonly name: string;
  readonly model: RawModel;
  /** In the order of the model's inputs; one list per run. */
  readonly runs: readonly (readonly Tensor[])[];
}

export const node = (
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attrs: RawNode['attrs'] = {},
): RawNode => ({ op, inputs, outputs, attrs });

/** A node that runs one of two graphs. */
export const branch = (
  condition: string,
  outputs: readonly string[],
  yes: RawGraph,
  no: RawGraph,
): RawNode =>
  node('If', [condition], outputs, { then_branch: { graph: yes }, else_branch: { graph: no } });

/** Of unknown rank without a shape. */
export const value = (
  name: string,
  shape: RawValue['shape'],
  dtype: NonNullable<RawValue['dtype']> = 'f32',
): RawValue => ({ name, dtype, ...(shape === undefined ? {} : { shape }) });

/** A loop body that always goes on. */
export const body = (
  carried: readonly RawValue[],
  nodes: readonly RawNode[],
  after: readonly RawValue[],
): RawGraph => ({
  inputs: [value('i', [], 'i64'), value('on', [], 'bool'), ...carried],
  nodes: [node('Identity', ['on'], ['again']), ...nodes],
  outputs: [value('again', [], 'bool'), ...after],
});

export const truth = (name: string): RawValue => ({ name, dtype: 'bool', shape: [] });

export const i64 = (...values: number[]): Tensor => fromNumbers('i64', [values.length], values);
export const scalar = (value: number, dtype: Tensor['dtype'] = 'i64'): Tensor =>
  fromNumbers(dtype, [], [value]);
export const f32 = (shape: readonly number[], values: ArrayLike<number>): Tensor =>
  fromNumbers('f32', shape, values);

/** Seeded numbers in [-1, 1). */
export function noise(shape: readonly number[], seed: number): Tensor {
  const random = seededRandom(seed);
  const values = Float64Array.from({ length: elementCount(shape) }, () => random.next() * 2 - 1);
  return fromNumbers('f32', shape, values);
}

/** About `share` of the elements set. */
export function flags(shape: readonly number[], share: number, seed: number): Tensor {
  const random = seededRandom(seed);
  const values = Float64Array.from({ length: elementCount(shape) }, () =>
    random.next() < share ? 1 : 0,
  );
  return fromNumbers('bool', shape, values);
}

/** None, all, one, and shares of them. */
export const SHARES = [0, 1, 0.5, 0.1, 0.9] as const;

/** Whole numbers from 0 up to, but not including, `below`. */
export function numbers(shape: readonly number[], below: number, seed: number): Tensor {
  const random = seededRandom(seed);
  const values = Float64Array.from({ length: elementCount(shape) }, () =>
    Math.floor(random.next() * below),
  );
  return fromNumbers('i64', shape, values);
}
