/**
 * A model imported as a user would who knows how large its numbers can be: sizes that follow from its
 * inputs are decided at run time, within bounds (`--bound`) that follow from the test's data.
 *
 * A number is bounded by twice itself and a margin, so that it is never at its bound; a tensor that
 * depends on data by twice its extents, or of the largest number of the test where they are not told.
 */
import { type ImportResult, importOnnx, type OnnxModel } from 'hone/frontends/onnx/index';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { elementCount, type Tensor, toNumbers } from 'hone-runtime/base/tensor';

/** What is known of a test when its model is imported. */
export interface TestData {
  /** Elements of inputs, by name. */
  readonly given: ReadonlyMap<string, Tensor>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Extents of outputs, by name. */
  readonly outputs: ReadonlyMap<string, readonly number[]>;
}

export interface Bounded {
  readonly result: ImportResult;
  /** As they would be written behind --bound. */
  readonly bounds: readonly string[];
}

type BoundList = Record<string, readonly number[]>;

/** Longer lists are data, not shapes. */
const MAX_LIST = 64;
/** Larger numbers are no sizes. */
const MAX_NUMBER = 4096;
/** Bounds of tensors may show others that have none. */
const MAX_ROUNDS = 8;

const roomFor = (n: number): number => 2 * Math.ceil(Math.abs(n)) + 2;

/** Throws what the importer throws; some of `constants` are bound to the test's values. */
export function importFreely(
  model: OnnxModel,
  data: TestData,
  constants: Readonly<Record<string, Tensor>> = {},
): Bounded {
  const { shapes } = data;
  const attempt = (bounds: BoundList): ImportResult | HoneError => {
    try {
      return importOnnx(model, { shapes, constants, bounds });
    } catch (error) {
      if (error instanceof HoneError) return error;
      throw error;
    }
  };
  const first = attempt({});
  const exact = withoutAssumed(first);
  if (exact !== undefined) return { result: exact, bounds: [] };
  const free = [...data.given].filter(([name]) => !Object.hasOwn(constants, name));
  const numbers = numberBounds(free);
  let last: ImportResult | HoneError = first;
  for (const bounds of [pick(numbers, 'whole'), pick(numbers, 'any')]) {
    const all: BoundList = { ...bounds };
    for (let round = 0; round < MAX_ROUNDS; round++) {
      last = attempt(all);
      const result = withoutAssumed(last);
      if (result !== undefined) return { result, bounds: Object.entries(all).map(written) };
      const more = last instanceof HoneError ? {} : extentBounds(last, data);
      if (Object.keys(more).length === 0) break;
      Object.assign(all, more);
    }
  }
  if (last instanceof HoneError) throw last;
  throw new TypeError(`nothing bounds ${last.bounds.map(({ tensor }) => tensor).join(', ')}`);
}

function withoutAssumed(made: ImportResult | HoneError): ImportResult | undefined {
  if (made instanceof HoneError || made.bounds.some(({ assumed }) => assumed)) return undefined;
  return made;
}

interface NumberBound {
  readonly name: string;
  readonly isWhole: boolean;
  readonly most: readonly number[];
}

/** Bounds of the inputs that could decide sizes: short lists of small numbers. */
function numberBounds(given: readonly (readonly [string, Tensor])[]): readonly NumberBound[] {
  return given.flatMap(([name, tensor]) => {
    const { dtype, shape } = tensor;
    const isWhole = dtype === 'i64' || dtype === 'i32';
    const isList = shape.length <= 1 && elementCount(shape) <= MAX_LIST;
    if (!isList || !(isWhole || dtype === 'f32' || dtype === 'f64')) return [];
    const numbers = [...toNumbers(tensor)];
    if (numbers.length === 0 || numbers.some((n) => !(Math.abs(n) <= MAX_NUMBER))) return [];
    return [{ name, isWhole, most: numbers.map(roomFor) }];
  });
}

function pick(all: readonly NumberBound[], which: 'whole' | 'any'): BoundList {
  const wanted = all.filter(({ isWhole }) => isWhole || which === 'any');
  return Object.fromEntries(wanted.map(({ name, most }) => [name, most]));
}

/** Bounds in place of those that were assumed. */
function extentBounds({ bounds }: ImportResult, data: TestData): BoundList {
  const largest = largestNumber(data);
  return Object.fromEntries(
    bounds.flatMap(({ assumed, tensor, axis = 0 }) => {
      if (!assumed) return [];
      const extent = data.outputs.get(tensor)?.[axis] ?? largest;
      return [[`${tensor}[${axis}]`, [roomFor(extent)]]];
    }),
  );
}

/** Of all extents, and of numbers that could be some. */
function largestNumber({ given, shapes, outputs }: TestData): number {
  const numbers = [...given.values()].flatMap((tensor) =>
    (tensor.dtype === 'i64' || tensor.dtype === 'i32') && elementCount(tensor.shape) <= MAX_LIST
      ? [...toNumbers(tensor)].map(Math.abs)
      : [],
  );
  const extents = [...Object.values(shapes), ...outputs.values()].flat();
  return Math.max(0, ...[...numbers, ...extents].filter((n) => n <= MAX_NUMBER));
}

const written = ([name, most]: readonly [string, readonly number[]]): string =>
  `${name}=${most.join('x')}`;
