/**
 * Checks what a caller gives against the model's signature, before any of it reaches C. Every
 * refusal names the tensor, what the model takes and what came.
 */
import { fail } from '../base/diagnostics.ts';
import { type DType, dtypeBytes, type TypedArray } from '../base/dtype.ts';
import { allocateData, elementCount, type Tensor } from '../base/tensor.ts';
import type { TensorSpec } from '../artifact/program.ts';
import type { NativeTensor, Shapes } from './drivers/c.ts';

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** The inputs in the model's order, as views of the caller's memory. */
export function bindInputs(specs: readonly TensorSpec[], given: Tensors): readonly NativeTensor[] {
  checkNames('input', specs, given);
  return specs.map((spec) => {
    const tensor = given[spec.name] ?? missingInput(spec, specs);
    return bind('input', atShape(spec, tensor), tensor);
  });
}

export function missingInput(spec: TensorSpec, specs: readonly TensorSpec[]): never {
  return fail(
    'HONE-INPUT-001',
    `input "${spec.name}" (${signatureText(spec)}) is missing`,
    spec.name,
    `give all inputs: ${names(specs)}`,
  );
}

export interface BoundOutputs {
  readonly native: readonly NativeTensor[];
  readonly tensors: Record<string, Tensor>;
}

/** Memory for the outputs: the caller's where it gives some, else fresh. */
export function bindOutputs(specs: readonly TensorSpec[], reuse: Tensors = {}): BoundOutputs {
  checkNames('output', specs, reuse);
  const tensors: Record<string, Tensor> = {};
  const native = specs.map((spec) => {
    const { dtype, shape } = spec;
    const data = reuse[spec.name] ?? {
      dtype,
      shape,
      data: allocateData(dtype, elementCount(shape)),
    };
    tensors[spec.name] = data;
    return bind('output', spec, data);
  });
  checkApart(specs, native);
  return { native, tensors };
}

/** The outputs after a run: those whose size depends on data are cut to what they are. */
export function actualOutputs(
  { tensors }: BoundOutputs,
  { outputs }: { readonly outputs: readonly TensorSpec[] },
  shapes: Shapes,
): Record<string, Tensor> {
  if (outputs.every(({ bounded = [] }) => bounded.length === 0)) return tensors;
  return Object.fromEntries(
    outputs.map(({ name, bounded }, i) => {
      const tensor = tensors[name] as Tensor;
      const shape = shapes[i] ?? tensor.shape;
      if (bounded === undefined) return [name, tensor];
      const data = (tensor.data as TypedArray).subarray(0, elementCount(shape));
      return [name, { dtype: tensor.dtype, shape, data }];
    }),
  );
}

/**
 * "f32 [1,3,224,224]"; with "≤100" where the size depends on data and 100 is its bound, and "2..100" where
 * an input may have any size from 2 to 100.
 */
export function signatureText(spec: {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bounded?: readonly number[];
  readonly least?: readonly number[];
}): string {
  const sizes = spec.shape.map((size, axis) => {
    const place = spec.bounded?.indexOf(axis) ?? -1;
    if (place < 0) return size;
    const least = spec.least?.[place];
    return least === undefined ? `≤${size}` : `${least}..${size}`;
  });
  return `${spec.dtype} [${sizes.join(',')}]`;
}

function names(specs: readonly TensorSpec[]): string {
  return specs.map((spec) => spec.name).join(', ') || 'none';
}

export function checkNames(role: string, specs: readonly TensorSpec[], given: Tensors): void {
  for (const name of Object.keys(given)) {
    if (specs.some((spec) => spec.name === name)) continue;
    fail('HONE-INPUT-002', `the model has no ${role} "${name}"`, name, `it has: ${names(specs)}`);
  }
}

/** The spec of an input whose size varies, for the size of a tensor; refuses one outside its range. */
function atShape(spec: TensorSpec, { shape: given }: Tensor): TensorSpec {
  const { name, dtype, shape, bounded = [], least } = spec;
  if (least === undefined || given.length !== shape.length) return spec;
  for (const [i, axis] of bounded.entries()) {
    const [extent, min, max] = [given[axis] ?? -1, least[i] ?? 0, shape[axis] ?? 0];
    if (Number.isInteger(extent) && extent >= min && extent <= max) continue;
    fail(
      'HONE-INPUT-005',
      `input "${name}" has ${extent} elements along axis ${axis}, the model takes ${min} to ${max}: ${signatureText(spec)}`,
      name,
      `give ${min} to ${max} there, or compile the model for another range with --shape`,
    );
  }
  const actual = shape.map((extent, axis) =>
    bounded.includes(axis) ? (given[axis] ?? 0) : extent,
  );
  return { name, dtype, shape: actual, bytes: elementCount(actual) * dtypeBytes(dtype) };
}

/** Refuses another dtype or shape, and another number of texts. */
export function checkTensor(role: string, spec: TensorSpec, tensor: Tensor): void {
  const { name } = spec;
  const expected = `the model's is ${signatureText(spec)}`;
  if (tensor.dtype !== spec.dtype) {
    fail(
      'HONE-INPUT-003',
      `${role} "${name}" has dtype ${tensor.dtype}, ${expected}`,
      name,
      `convert it to ${spec.dtype}`,
    );
  }
  if (tensor.shape.length !== spec.shape.length) {
    fail(
      'HONE-INPUT-004',
      `${role} "${name}" has ${tensor.shape.length} axes, ${expected}`,
      name,
      `give the shape [${spec.shape.join(',')}]`,
    );
  }
  if (tensor.shape.some((extent, axis) => extent !== spec.shape[axis])) {
    fail(
      'HONE-INPUT-005',
      `${role} "${name}" has shape [${tensor.shape.join(',')}], ${expected}`,
      name,
      'give that shape, or compile the model for this one with --shape',
    );
  }
  if (spec.dtype !== 'string' || tensor.data.length === elementCount(spec.shape)) return;
  fail(
    'HONE-INPUT-006',
    `${role} "${name}" has ${tensor.data.length} texts, its shape needs ${elementCount(spec.shape)}`,
    name,
    'give a text for each element',
  );
}

function bind(role: string, spec: TensorSpec, tensor: Tensor): NativeTensor {
  checkTensor(role, spec, tensor);
  const { name } = spec;
  const data = arrayOf(role, spec, tensor);
  if (data.byteLength !== spec.bytes) {
    fail(
      'HONE-INPUT-006',
      `${role} "${name}" has ${data.length} elements, its shape needs ${elementCount(spec.shape)}`,
      name,
      `give ${spec.bytes} bytes of data`,
    );
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { dtype: spec.dtype, shape: spec.shape, bytes };
}

/** The typed array of a tensor, of the kind that stores its dtype. */
function arrayOf(role: string, spec: TensorSpec, tensor: Tensor): TypedArray {
  const { data } = tensor;
  const wanted = allocateData(spec.dtype, 0);
  if (ArrayBuffer.isView(data) && data instanceof (wanted.constructor as typeof Uint8Array)) {
    if (data.byteOffset % dtypeBytes(spec.dtype) === 0) return data;
  }
  return fail(
    'HONE-INPUT-007',
    `${role} "${spec.name}" does not have its data in a ${wanted.constructor.name}`,
    spec.name,
    `${spec.dtype} elements are stored in a ${wanted.constructor.name}`,
  );
}

/** Two outputs in the same memory would overwrite each other. */
function checkApart(specs: readonly TensorSpec[], native: readonly NativeTensor[]): void {
  for (const [i, { bytes: a }] of native.entries()) {
    for (const { bytes: b } of native.slice(0, i)) {
      const apart =
        a.buffer !== b.buffer ||
        a.byteOffset + a.byteLength <= b.byteOffset ||
        b.byteOffset + b.byteLength <= a.byteOffset;
      if (apart) continue;
      const name = specs[i]?.name ?? '';
      const cure = 'give each output its own array';
      fail('HONE-INPUT-008', `output "${name}" lies in the memory of another output`, name, cure);
    }
  }
}
