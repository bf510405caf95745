/** The models that all runtimes run, and inputs for them. */
import path from 'node:path';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { type CompileOptions, compileModel, writeArtifact } from 'hone/compile/index';
import { opBuilder } from 'hone/ops/registry';
import type { Manifest } from 'hone-runtime/artifact/manifest';
import { seededRandom } from 'hone-runtime/base/random';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import { writeFileSync } from 'node:fs';
import { buildNetwork } from '../../bench/networks/index.js';
import { PADDING, TRANSLATOR } from '../../bench/networks/seq2seq.js';
import { npmModel } from '../../bench/npm-files.js';
import { type RawNode, rawModel } from '../onnx/raw-model.ts';
import { textGraph } from '../support/control-graphs.ts';
import { writeSmallModel } from '../support/small-model.ts';

export interface RuntimeModel {
  readonly name: string;
  /** Writes or finds the ONNX file. */
  file(folder: string): string;
  readonly options: CompileOptions;
  /** Where not any values will do. */
  readonly inputs?: Readonly<Record<string, Tensor>>;
}

/** Trained: the direction classifier of PP-OCR; depthwise and plain convolutions, means, a softmax. */
export const DIRECTION: RuntimeModel = {
  name: 'direction',
  file: () => npmModel('ppocr-cls'),
  options: { shapes: { x: [1, 3, 48, 192] } },
};

/** Built here: a convolution, a mean, a dense layer, a softmax. */
export const SMALL: RuntimeModel = {
  name: 'small',
  file(folder) {
    const file = path.join(folder, 'small.onnx');
    writeSmallModel(file);
    return file;
  },
  options: {},
};

/** Built here: several inputs and outputs of several types, and no weights. */
export const TYPES: RuntimeModel = {
  name: 'types',
  file(folder) {
    const b = opBuilder('types');
    const a = b.graph.input('a', { dtype: 'f32', shape: [2, 3] });
    const i = b.graph.input('i', { dtype: 'i64', shape: [2, 3] });
    const flag = b.graph.input('flag', { dtype: 'bool', shape: [3] });
    const scalar = b.graph.input('scalar', { dtype: 'f32', shape: [] });
    const scaled = b.op('Mul', [a, scalar], {}, { name: 'scale', outputNames: ['scaled'] });
    const twice = b.op('Add', [i, i], {}, { name: 'twice', outputNames: ['twice'] });
    const not = b.op('Not', [flag], {}, { name: 'not', outputNames: ['not'] });
    const file = path.join(folder, 'types.onnx');
    writeFileSync(file, exportOnnx(b.graph.finish([scaled, twice, not])));
    return file;
  },
  options: {},
};

/** Built by the bench: a loop that data ends, its output as long as it ran. */
export const GENERATOR: RuntimeModel = {
  name: 'generator',
  file(folder) {
    const file = path.join(folder, 'generator.onnx');
    writeFileSync(file, exportOnnx(buildNetwork('seq2seq-greedy')));
    return file;
  },
  options: {},
  inputs: { source: fromNumbers('i64', [1, TRANSLATOR.source], words()) },
};

/** Eight words and padding. */
function words(): number[] {
  return Array.from({ length: TRANSLATOR.source }, (_, i) => (i < 8 ? 100 + 7 * i : PADDING));
}

/** Built here: outputs whose sizes depend on data, along outer and inner axes, one of them twice. */
export const BOUNDED: RuntimeModel = {
  name: 'bounded',
  file(folder) {
    const node = (
      op: string,
      inputs: string[],
      outputs: string[],
      attrs: RawNode['attrs'] = {},
    ) => ({
      op,
      inputs,
      outputs,
      attrs,
    });
    const model = rawModel({
      inputs: [
        { name: 'x', shape: [3, 5, 2] },
        { name: 'where', dtype: 'bool', shape: [5] },
        { name: 'scores', shape: [3, 4] },
      ],
      outputs: [
        { name: 'inner', shape: [3, null, 2] },
        { name: 'outer', shape: [null, 3] },
        { name: 'fixed', shape: [3, 4] },
        { name: 'positions', dtype: 'i64', shape: [2, null] },
      ],
      nodes: [
        node('Compress', ['x', 'where'], ['inner'], { axis: { int: 1 } }),
        node('Transpose', ['inner'], ['turned'], { perm: { ints: [1, 0, 2] } }),
        node('ReduceSum', ['turned', 'last'], ['outer'], { keepdims: { int: 0 } }),
        node('Relu', ['scores'], ['fixed']),
        node('NonZero', ['fixed'], ['positions']),
      ],
      initializers: { last: fromNumbers('i64', [1], [2]) },
    });
    const file = path.join(folder, 'bounded.onnx');
    writeFileSync(file, model);
    return file;
  },
  options: {},
};

/** Built here: a loop of as many iterations as an input says, with a branch in it. */
export const CONTROL: RuntimeModel = {
  name: 'control',
  file(folder) {
    const graph = textGraph(`graph control(%n: i64[], %x: f32[3,4]) {
      %seven = const i64[] {7}
      %size = Abs(%n)
      %trips = Mod(%size, %seven)
      %true = const bool[] {1}
      %y = Loop(%trips, %true, %x) {
        body=graph body(%i: i64[], %go: bool[], %s: f32[3,4]) {
          %w = const f32[4,4] splat 0.25
          %m = MatMul(%s, %w)
          %sum = ReduceSum(%m) {keepdims=0}
          %none = const f32[] {0}
          %up = Greater(%sum, %none)
          %next = If(%up, %m, %s) {
            captures=2,
            then_branch=graph then(%m: f32[3,4], %s: f32[3,4]) {
              %e = Exp(%m)
              %d = Sub(%s, %e)
              return %d
            },
            else_branch=graph else(%m: f32[3,4], %s: f32[3,4]) {
              %e = Sigmoid(%m)
              %d = Add(%s, %e)
              return %d
            }} "choose"
          return %go, %next
        }} "repeat"
      return %y
    }`);
    const file = path.join(folder, 'control.onnx');
    writeFileSync(file, exportOnnx(graph));
    return file;
  },
  options: {},
};

/** Built here: what a loop draws, with a seed and without, in each of its iterations. */
export const RANDOM: RuntimeModel = {
  name: 'random',
  file(folder) {
    const graph = textGraph(`graph random(%n: i64[], %p: f32[3,4]) {
      %size = Abs(%n)
      %seven = const i64[] {7}
      %trips = Mod(%size, %seven)
      %y = Loop(%trips, _, %p) {
        body=graph body(%i: i64[], %go: bool[], %s: f32[3,4]) {
          %a = RandomUniformLike(%s) {seed=1} "even"
          %b = RandomNormalLike(%s) "normal"
          %true = const bool[] {1}
          %half = const f32[] {0.5}
          %d = Dropout(%a, %half, %true) "drop"
          %t = Add(%s, %b)
          %u = Add(%t, %d)
          return %go, %u
        }} "repeat"
      return %y
    }`);
    const file = path.join(folder, 'random.onnx');
    writeFileSync(file, exportOnnx(graph));
    return file;
  },
  options: {},
};

/** Compiles a model to `<folder>/<name>.hone` and returns that path. */
export async function compileTo(
  folder: string,
  model: RuntimeModel,
  options: CompileOptions = {},
): Promise<string> {
  const artifact = path.join(folder, `${model.name}.hone`);
  const compiled = await compileModel(model.file(folder), { ...model.options, ...options });
  await writeArtifact(compiled, artifact);
  return artifact;
}

/** Seeded values in [-1, 1) for every input, whole numbers for the integer ones. */
export function inputsFor(manifest: Pick<Manifest, 'inputs'>, seed = 5): Record<string, Tensor> {
  const random = seededRandom(seed);
  return Object.fromEntries(
    manifest.inputs.map(({ name, dtype, shape }) => {
      const scale = dtype === 'f32' ? 1 : 1000;
      const values = Float64Array.from(
        { length: elementCount(shape) },
        () => (random.next() * 2 - 1) * scale,
      );
      return [name, fromNumbers(dtype, shape, values)];
    }),
  );
}
