/**
 * What the kernels of an artifact wrote, as real numbers in row-major order: copies of working memory
 * taken while it runs, so that nothing about the artifact changes.
 */
import type { Session } from 'hone-runtime';
import { dtypeBytes } from 'hone-runtime/base/dtype';
import { elementCount, type Tensor, toNumbers, viewBytes } from 'hone-runtime/base/tensor';
import type { StageOutput, StageReport } from '../report.ts';

/** A value as one kernel wrote it; a part of it where several write it. */
export interface Written {
  readonly stage: StageReport;
  readonly output: StageOutput;
  /** Elements of the part, dequantised. */
  readonly values: Float64Array;
  /** Elements at the end of their range, where others would have been cut off. */
  readonly saturated: number;
}

export interface WatchedRun {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly written: readonly Written[];
}

/** Prepares watching all floats and quantised values; each call runs the model once. */
export function watchStages(
  session: Session,
  stages: readonly StageReport[],
): (inputs: Readonly<Record<string, Tensor>>) => WatchedRun {
  const watched = stages.flatMap((stage) =>
    stage.writes.flatMap((output) => {
      const { memory } = output;
      if (memory === undefined || !isReal(output)) return [];
      const to = new Uint8Array(memory.bytes);
      return [{ stage, output, to, step: stage.id, offset: memory.offset }];
    }),
  );
  return (inputs) => {
    const outputs = session.runWatched(inputs, watched);
    const inner = watched.map(({ stage, output, to }) => read(stage, output, to));
    const last = stages.flatMap((stage) =>
      stage.writes.flatMap((output) => {
        const tensor = output.memory === undefined ? outputs[output.value] : undefined;
        if (tensor === undefined || !isReal(output) || output.part !== undefined) return [];
        return [{ stage, output, values: toNumbers(tensor), saturated: 0 }];
      }),
    );
    return { outputs, written: [...inner, ...last] };
  };
}

/** Floats, and 8-bit values that stand for reals. */
export function isReal({ dtype, scale }: StageOutput): boolean {
  return dtype === 'f32' || dtype === 'bf16' || dtype === 'f16' || scale !== undefined;
}

/** Its name in the graph that was compiled. */
export function storedName({ value, stored }: StageOutput): string {
  return stored ?? value;
}

/** Stored numbers as the reals they stand for. */
export function realValues({ scale, zeroPoint = 0 }: StageOutput, stored: Float64Array) {
  return scale === undefined ? stored : stored.map((level) => (level - zeroPoint) * scale);
}

function read(stage: StageReport, output: StageOutput, bytes: Uint8Array): Written {
  const { dtype, scale, zeroPoint = 0 } = output;
  const places = positions(output);
  const data = viewBytes(dtype, bytes.subarray(0, places.end * dtypeBytes(dtype)));
  const all = toNumbers({ dtype, shape: [data.length], data });
  const values = new Float64Array(places.list.length);
  let saturated = 0;
  for (let i = 0; i < values.length; i++) {
    const stored = all[places.list[i] as number] as number;
    if (scale === undefined) values[i] = stored;
    else {
      values[i] = (stored - zeroPoint) * scale;
      if (stored === 255 || (stored === 0 && zeroPoint > 0)) saturated++;
    }
  }
  return { stage, output, values, saturated };
}

interface Places {
  /** Of each element in row-major order, in elements. */
  readonly list: Int32Array;
  readonly end: number;
}

const known = new WeakMap<StageOutput, Places>();

/** Where the elements of an output lie in its buffer. */
function positions(output: StageOutput): Places {
  const have = known.get(output);
  if (have !== undefined) return have;
  const { shape, part, memory } = output;
  const { block = 1, halo = [] } = memory ?? {};
  const extents = part?.shape ?? shape;
  const from = part?.from ?? extents.map(() => 0);
  const list = new Int32Array(elementCount(extents));
  const index = extents.map(() => 0);
  const [top = 0, left = 0, bottom = 0, right = 0] = halo;
  const laidOut = shape.length === 4 && (block > 1 || top + left + bottom + right > 0);
  let end = 0;
  for (let i = 0; i < list.length; i++) {
    let place = 0;
    if (laidOut) {
      const [n = 0, c = 0, y = 0, x = 0] = index.map((k, axis) => k + (from[axis] ?? 0));
      const [, channels = 1, height = 1, width = 1] = shape;
      const blocks = Math.ceil(channels / block);
      const row = (n * blocks + Math.floor(c / block)) * (height + top + bottom) + y + top;
      place = (row * (width + left + right) + x + left) * block + (c % block);
    } else {
      for (let axis = 0; axis < shape.length; axis++) {
        place = place * (shape[axis] ?? 1) + (index[axis] ?? 0) + (from[axis] ?? 0);
      }
    }
    list[i] = place;
    end = Math.max(end, place + 1);
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] ?? 0) + 1;
      if ((index[axis] ?? 0) < (extents[axis] ?? 0)) break;
      index[axis] = 0;
    }
  }
  const places = { list, end };
  known.set(output, places);
  return places;
}

/** The same part of a whole tensor. */
export function partOf(output: StageOutput, values: Float64Array): Float64Array {
  const { part, shape } = output;
  if (part === undefined) return values;
  const plain = positions({ ...output, memory: { offset: 0, bytes: 0, block: 1, halo: [] } });
  return values.length === elementCount(shape)
    ? Float64Array.from(plain.list, (place) => values[place] as number)
    : values;
}
