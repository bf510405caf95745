/**
 * Calibration: runs samples through a compiled graph that watches values, and gathers a histogram of
 * each. Samples are read one at a time and not kept; their digest stands for them from then on.
 */
import { load, type Session } from 'hone-runtime';
import type { TensorSpec } from 'hone-runtime/artifact/program';
import { at, fail } from 'hone-runtime/base/diagnostics';
import { sha256Hasher } from 'hone-runtime/base/digest';
import { isFloat } from 'hone-runtime/base/dtype';
import { bytesOf, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import path from 'node:path';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import type { Graph, ValueId, ValueType } from '../../graph/types.ts';
import { valueById } from '../../graph/walk.ts';
import { standardRegistry, withOps } from '../../ops/registry.ts';
import { writeArtifact } from '../build-artifact.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { CompileOptions } from '../options.ts';
import type { Channels } from './bias.ts';
import { withBodySums } from './body-sums.ts';
import { type Carried, withCarried } from './carried.ts';
import { Histogram } from './histogram.ts';
import { observe, observeMore, type WatchedGraph, watchMore, watchValues } from './observe.ts';

/** Inputs of one run, by name. */
export interface Sample {
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** How errors call it, e.g. a path. */
  readonly name: string;
}

/** A sample with all its inputs. */
export interface CompleteSample extends Sample {
  /** Its state is what the sample before left. */
  readonly continues: boolean;
}

/** Anything that gives samples once; arrays do. */
export type Samples = AsyncIterable<Sample> | Iterable<Sample>;

/** Values of a body that are watched. */
export interface WatchedBody {
  readonly prefix: string;
  readonly values: readonly ValueId[];
}

export interface Calibration {
  /** Of every watched value. */
  readonly histograms: ReadonlyMap<ValueId, Histogram>;
  /** The same of each body, by its prefix. */
  readonly bodies: ReadonlyMap<string, ReadonlyMap<ValueId, Histogram>>;
  /** Means per channel, of the values asked for. */
  readonly means: ReadonlyMap<ValueId, Float64Array>;
  readonly samples: number;
  /** SHA-256 over all samples in order. */
  readonly digest: string;
}

export interface CalibrationOptions
  extends Pick<CompileOptions, 'timeoutMs' | 'onProgress' | 'registry'> {
  readonly threads?: number;
  /** Values whose means per channel are wanted. */
  readonly channels?: readonly Channels[];
  /** Bodies of control flow that are watched over all that runs in them. */
  readonly bodies?: readonly WatchedBody[];
  /** State to be fed back; samples may leave it out. */
  readonly carried?: Carried;
  /** Is told of each sample that ran. */
  readonly onSample?: (sample: CompleteSample) => void;
}

/** Runs all samples on this machine. The graph is one after the standard passes. */
export async function calibrate(
  graph: Graph,
  values: readonly ValueId[],
  samples: Samples,
  options: CalibrationOptions = {},
): Promise<Calibration> {
  const { onProgress, timeoutMs, threads, carried = new Map<string, string>() } = options;
  const kept = new Set(carried.values());
  const { bodies = [], registry = standardRegistry } = options;
  const summed = withBodySums(graph, registry, (prefix) => {
    const body = bodies.find((item) => item.prefix === prefix);
    return (body?.values ?? []).map((id, i) => watchMore(id, `${i}`));
  });
  const more = [...summed.sums.values()].flat(2);
  const watched = watchValues(summed.graph, values, options.channels, kept, more);
  const inside = bodies.flatMap(({ prefix, values: ids }) =>
    (summed.sums.get(prefix) ?? []).map((pair, i) => {
      const [facts = '', counts = ''] = pair.map((id) => valueById(watched.graph, id).name);
      return { prefix, id: at(ids, i), facts, counts };
    }),
  );
  return withScratch(async (directory) => {
    const model = await compileBuiltGraph(watched.graph, {
      registry: withOps([observe, observeMore], options.registry),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      onProgress: (message) => onProgress?.(`calibration: ${message}`),
    });
    const folder = path.join(directory, 'watched.hone');
    await writeArtifact(model, folder);
    const session = load(folder, threads === undefined ? {} : { threads });
    try {
      const plan = { values, watched, inside };
      return await observeAll(session, graph, plan, samples, { ...options, carried });
    } finally {
      session.close();
    }
  });
}

interface Observed {
  readonly values: readonly ValueId[];
  readonly watched: WatchedGraph;
  /** Values of bodies, with the names of the outputs that tell of them. */
  readonly inside: readonly {
    readonly prefix: string;
    readonly id: ValueId;
    readonly facts: string;
    readonly counts: string;
  }[];
}

async function observeAll(
  session: Session,
  graph: Graph,
  { values, watched, inside }: Observed,
  samples: Samples,
  { onProgress, onSample, carried }: CalibrationOptions & { readonly carried: Carried },
): Promise<Calibration> {
  const histograms = values.map(() => new Histogram());
  const bodies = new Map<string, Map<ValueId, Histogram>>();
  for (const { prefix, id } of inside) {
    bodies.set(prefix, (bodies.get(prefix) ?? new Map()).set(id, new Histogram()));
  }
  const signature = graph.inputs.map((id): Spec => {
    const { name, type } = valueById(graph, id);
    return { name, ...type };
  });
  const sums = new Map<ValueId, Float64Array>();
  const hasher = sha256Hasher();
  const types = new Map<string, ValueType>(signature.map((spec) => [spec.name, spec]));
  let count = 0;
  let found: Readonly<Record<string, Tensor>> | undefined;
  for await (const given of samples) {
    const { inputs, continues } = withCarried(carried, given.inputs, types, found);
    const sample = { ...given, inputs, continues };
    checkSample(signature, sample);
    // What is fed back depends on the machine's rounding: the digest is of what was given.
    for (const { name } of signature) {
      const tensor = given.inputs[name];
      if (tensor !== undefined) hasher.update(bytesOf(tensor));
    }
    found = await session.run(inputs);
    onSample?.(sample);
    const outputs = found;
    watched.outputs.forEach(({ facts, counts }, i) => {
      const numbers = (name: string) => outputs[name]?.data as Float32Array | Int32Array;
      at(histograms, i).add(numbers(facts), numbers(counts));
    });
    for (const { prefix, id, facts, counts } of inside) {
      const numbers = (name: string) => outputs[name]?.data as Float32Array | Int32Array;
      bodies.get(prefix)?.get(id)?.add(numbers(facts), numbers(counts));
    }
    for (const [id, name] of watched.means) addTo(sums, id, toNumbers(outputs[name] as Tensor));
    count++;
    onProgress?.(`calibrating: ${count} samples`);
  }
  if (count === 0) {
    fail(
      'HONE-CALIBRATE-001',
      'there are no samples to calibrate with',
      'samples',
      'give at least one; a hundred that are typical of the use are better',
    );
  }
  return {
    histograms: new Map(values.map((id, i) => [id, at(histograms, i)])),
    bodies,
    means: new Map([...sums].map(([id, sum]) => [id, sum.map((value) => value / count)])),
    samples: count,
    digest: hasher.digest(),
  };
}

function addTo(sums: Map<ValueId, Float64Array>, id: ValueId, values: Float64Array): void {
  const have = sums.get(id);
  const sum = have?.map((value, i) => value + (values[i] as number)) ?? values;
  sums.set(id, sum);
}

type Spec = Pick<TensorSpec, 'name' | 'dtype' | 'shape'>;

/** HONE-CALIBRATE-002 … 004: inputs missing, of another type, or not finite. */
export function checkSample(signature: readonly Spec[], { inputs, name }: Sample): void {
  for (const spec of signature) {
    const tensor = inputs[spec.name];
    const wanted = `${spec.dtype} ${spec.shape.join('x') || 'scalar'}`;
    if (tensor === undefined) {
      fail(
        'HONE-CALIBRATE-002',
        `sample ${name} has no input "${spec.name}" (${wanted})`,
        name,
        'give every input of the model in every sample',
      );
    }
    const given = `${tensor.dtype} ${tensor.shape.join('x') || 'scalar'}`;
    if (given !== wanted) {
      fail(
        'HONE-CALIBRATE-003',
        `sample ${name}: input "${spec.name}" takes ${wanted}, ${given} is given`,
        name,
        'bring the samples to the shape and dtype of the input, or compile with --shape',
      );
    }
    if (isFloat(spec.dtype) && toNumbers(tensor).some((value) => !Number.isFinite(value))) {
      fail(
        'HONE-CALIBRATE-004',
        `sample ${name}: input "${spec.name}" holds NaN or infinity`,
        name,
        'leave the sample out, or mend it',
      );
    }
  }
}
