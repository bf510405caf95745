/**
 * Gives every input of a model a static type: sizes come from the file, from `shapes` and from
 * `dims`; an open leading dimension becomes the batch, or 1, announced; any other open one is an error
 * that prints the option to paste.
 */
import type { MapKeys } from 'hone-runtime/artifact/program';
import { fail } from 'hone-runtime/base/diagnostics';
import { elementCount } from 'hone-runtime/base/tensor';
import type { ValueType } from '../../graph/types.ts';
import { dtypeOf } from './tensor-elements.ts';
import { type InputPlan, takeApart } from './bind-containers.ts';
import { bindRanges, type SizeRange } from './bind-ranges.ts';
import { keysOfInput } from './map-ops.ts';
import type { OnnxDim, OnnxGraph, OnnxValueInfo } from './types.ts';

export interface ShapeOptions {
  /** Shapes by input name. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Sizes by symbol. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Size of leading dimensions that are still open; default 1, announced. */
  readonly batch?: number;
  /**
   * Least sizes where they vary from run to run, by INPUT[AXIS] or named dimension; `shapes` and `dims` have
   * the most.
   */
  readonly least?: Readonly<Record<string, number>>;
}

export interface BoundInputs {
  /** How the tensors make up the model's inputs. */
  readonly plans: ReadonlyMap<string, InputPlan>;
  /** By the names of tensors; those of a sequence x are x.0, x.1, …. */
  readonly types: ReadonlyMap<string, ValueType>;
  readonly notes: readonly string[];
  /** Sizes that vary from run to run. */
  readonly ranges: readonly SizeRange[];
}

/** Elements of one tensor, at most; sizes above are surely a mistake. */
export const MAX_ELEMENTS = 2 ** 40;

/** Axes of one tensor, at most: nodes that add axes to what they add to would double them without end. */
export const MAX_RANK = 64;

interface OpenInput {
  readonly name: string;
  readonly info: OnnxValueInfo;
  readonly dims: OnnxDim[];
}

/** The graph's inputs that are not initializers. */
export function realInputs(graph: OnnxGraph): readonly OnnxValueInfo[] {
  if (graph.initializers.length === 0 && graph.sparseInitializers.length === 0) return graph.inputs;
  const stored = new Set(graph.initializers.map((tensor) => tensor.name));
  for (const sparse of graph.sparseInitializers) stored.add(sparse.values.name);
  return graph.inputs.filter((input) => !stored.has(input.name));
}

/** Whether a batch can be chosen: an input's first dimension is open, and no size was given for it. */
export function takesBatch(graph: OnnxGraph, { shapes = {}, dims = {} }: ShapeOptions): boolean {
  return realInputs(graph).some(({ name, type }) => {
    const [first] = type.kind === 'tensor' ? (type.shape ?? [0]) : [0];
    if (first === undefined || typeof first === 'number' || Object.hasOwn(shapes, name))
      return false;
    return first === null || !Object.hasOwn(dims, first);
  });
}

export function bindInputs(graph: OnnxGraph, file: string, options: ShapeOptions): BoundInputs {
  const keysOf = (name: string): MapKeys | undefined => keysOfInput(graph, name);
  const {
    infos,
    plans,
    counts,
    notes: taken,
  } = takeApart(realInputs(graph), options.shapes ?? {}, keysOf);
  checkNames(infos, options.shapes ?? {}, counts);
  const symbols = new Map(Object.entries(options.dims ?? {}));
  for (const [symbol, size] of symbols) checkSize(symbol, size);
  const open = infos.map((info) => openInput(info, options.shapes?.[info.name], symbols));
  checkSymbols(infos, options.dims ?? {});
  const notes: string[] = [...taken];
  for (const input of open) closeLeading(input, symbols, options.batch, notes);
  if (options.batch !== undefined) checkBatch(open, symbols, options.batch, file);
  for (const { dims } of open) {
    dims.forEach((dim, i) => {
      if (typeof dim === 'string') dims[i] = symbols.get(dim) ?? dim;
    });
  }
  const missing = open.filter(({ dims }) => dims.some((dim) => typeof dim !== 'number'));
  if (missing.length > 0) failOpen(missing, file);
  const ranges = bindRanges(open, symbols, options.least ?? {});
  const types = new Map<string, ValueType>();
  for (const { name, info, dims } of open) {
    const shape = dims as number[];
    const dataType = info.type.kind === 'tensor' ? info.type.dataType : 0;
    if (shape.length > MAX_RANK || elementCount(shape) > MAX_ELEMENTS) {
      fail(
        'HONE-SHAPE-011',
        `input ${name} of shape [${shape.join(',')}] is too large`,
        name,
        'give a smaller --shape',
      );
    }
    if (types.has(name)) {
      fail('HONE-ONNX-017', `${file} has two inputs named ${name}`, name, 'export the model again');
    }
    types.set(name, { dtype: dtypeOf(dataType, `input ${name}`), shape });
  }
  return { types, plans, notes, ranges };
}

/** An input's dimensions after a given shape; binds the symbols the shape decides. */
function openInput(
  info: OnnxValueInfo,
  given: readonly number[] | undefined,
  symbols: Map<string, number>,
): OpenInput {
  const { name, type } = info;
  if (type.kind !== 'tensor') {
    fail(
      'HONE-ONNX-019',
      `input ${name} is not a tensor (${type.kind})`,
      name,
      'export the model with tensor inputs',
    );
  }
  if (given === undefined) {
    if (type.shape === null) {
      fail(
        'HONE-SHAPE-015',
        `input ${name} has no shape in the model`,
        name,
        `give one, e.g. --shape ${name}=1x3x224x224`,
      );
    }
    return { name, info, dims: [...type.shape] };
  }
  for (const size of given) checkSize(`--shape ${name}`, size);
  const declared = type.shape;
  const fits =
    declared === null ||
    (declared.length === given.length &&
      declared.every((dim, i) => typeof dim !== 'number' || dim === given[i]));
  if (!fits) {
    fail(
      'HONE-SHAPE-012',
      `input ${name} has shape ${shapeText(declared ?? [])} in the model; ${given.join('x')} does not fit`,
      name,
      `give a shape that fits, e.g. --shape ${name}=${suggestion(declared ?? []).join('x')}`,
    );
  }
  declared?.forEach((dim, i) => {
    if (typeof dim !== 'string') return;
    const size = given[i] as number;
    const before = symbols.get(dim);
    if (before !== undefined && before !== size) {
      fail(
        'HONE-SHAPE-014',
        `dimension ${dim} is ${size} in input ${name} but ${before} elsewhere`,
        name,
        'give shapes that agree',
      );
    }
    symbols.set(dim, size);
  });
  return { name, info, dims: [...given] };
}

function closeLeading(
  input: OpenInput,
  symbols: Map<string, number>,
  batch: number | undefined,
  notes: string[],
): void {
  const [first] = input.dims;
  if (first === undefined || typeof first === 'number') return;
  if (first !== null && symbols.has(first)) return;
  const size = batch ?? 1;
  if (first === null) input.dims[0] = size;
  else symbols.set(first, size);
  if (batch !== undefined) return;
  const label = first === null ? 'the first dimension' : `the first dimension (${first})`;
  notes.push(`input ${input.name}: ${label} is open and was taken as 1`);
}

/** A batch that no input takes was asked for in vain. */
function checkBatch(
  open: readonly OpenInput[],
  symbols: ReadonlyMap<string, number>,
  batch: number,
  file: string,
): void {
  checkSize('--batch', batch);
  const sizes = open.map(({ dims: [first] }) =>
    typeof first === 'string' ? symbols.get(first) : first,
  );
  // One is what nobody has to open a dimension for.
  if (batch === 1 || sizes.includes(batch)) return;
  fail(
    'HONE-SHAPE-016',
    `no input of ${file} takes a batch of ${batch}: their first dimensions are ${sizes.map((size) => size ?? '?').join(', ') || 'none'}`,
    file,
    'leave --batch out, or export the model with an open first dimension',
  );
}

function failOpen(missing: readonly OpenInput[], file: string): never {
  const what = missing.map(({ name, dims }) => `${name} ${shapeText(dims)}`).join(', ');
  const lines = missing.map(({ name, dims }) => `--shape ${name}=${suggestion(dims).join('x')}`);
  return fail(
    'HONE-SHAPE-010',
    `${file} leaves sizes of its inputs open: ${what}`,
    missing[0]?.name,
    `give them, e.g. ${lines.join(' ')}`,
  );
}

/** A plausible shape: images of 224 pixels, sequences of 128. */
function suggestion(dims: readonly OnnxDim[]): number[] {
  return dims.map((dim, i) => {
    if (typeof dim === 'number') return dim;
    if (i === 0) return 1;
    if (dims.length !== 4) return 128;
    return i === 1 && dims[3] !== 3 ? 3 : 224;
  });
}

/** A shape as users read it: `[N,3,?,?]`. */
export function shapeText(dims: readonly OnnxDim[]): string {
  return `[${dims.map((dim) => dim ?? '?').join(',')}]`;
}

function checkSize(what: string, size: number): void {
  if (Number.isSafeInteger(size) && size >= 0) return;
  fail('HONE-SHAPE-014', `${what}: ${size} is not a size`, what, 'give whole numbers from 0 up');
}

function checkNames(
  infos: readonly OnnxValueInfo[],
  shapes: Readonly<Record<string, readonly number[]>>,
  counts: ReadonlySet<string>,
): void {
  for (const name of Object.keys(shapes)) {
    if (counts.has(name)) continue;
    if (infos.some((info) => info.name === name)) continue;
    fail(
      'HONE-SHAPE-013',
      `the model has no input named ${name}`,
      name,
      `its inputs are ${infos.map((info) => info.name).join(', ')}`,
    );
  }
}

function checkSymbols(
  infos: readonly OnnxValueInfo[],
  dims: Readonly<Record<string, number>>,
): void {
  const known = new Set<string>();
  for (const { type } of infos) {
    if (type.kind !== 'tensor') continue;
    for (const dim of type.shape ?? []) if (typeof dim === 'string') known.add(dim);
  }
  for (const symbol of Object.keys(dims)) {
    if (known.has(symbol)) continue;
    fail(
      'HONE-SHAPE-013',
      `the model's inputs have no dimension named ${symbol}`,
      symbol,
      known.size === 0 ? 'its sizes are fixed' : `its dimensions are ${[...known].join(', ')}`,
    );
  }
}
