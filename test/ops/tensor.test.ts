/**
 * The tensor operators' records: every case infers what its reference gives; and the ONNX suite's
 * node tests of these operators (with HONE_TEST_DATA), both through the references and through the
 * lowerings or decompositions. Every input of a node test counts as a constant, because many decide
 * shapes.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Attrs, AttrValue, ValueId } from 'hone/graph/types';
import { constantTensor } from 'hone/graph/walk';
import { readTensorProto } from 'hone/frontends/onnx/index';
import { openOnnx } from 'hone/frontends/onnx/read-model';
import { loadTensor } from 'hone/frontends/onnx/tensor-elements';
import type { OnnxModel, OnnxNode } from 'hone/frontends/onnx/types';
import { completeAttrs, inputOf } from 'hone/ops/builder';
import type { LowerContext, OpDef, TestCase } from 'hone/ops/define-op';
import { interpret } from 'hone/ops/interpret';
import { opBuilder } from 'hone/ops/registry';
import { TENSOR_OPS } from 'hone/ops/tensor/index';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { assertClose } from '../support/compare.ts';
import { dataPath, missingData } from '../support/data.ts';
import { evaluateBody } from '../support/eval-body.ts';
import { runCase } from '../support/op-cases.ts';

const OPS = new Map<string, OpDef>(TENSOR_OPS.map((op) => [op.name, op]));
const SUITE = 'onnx-1.22.0/node';

const typeText = (type: { dtype: string; shape: readonly number[] }): string =>
  `${type.dtype}[${type.shape.join(',')}]`;

for (const op of TENSOR_OPS) {
  test(`${op.name}: inference agrees with the reference`, () => {
    const cases: readonly TestCase[] = op.cases?.() ?? [];
    assert.ok(cases.length > 0, 'no cases');
    for (const item of cases) {
      const { title, types, outputs } = runCase(op, item);
      assert.equal(types.length, item.outputs ?? 1, title);
      assert.deepEqual(outputs.slice(0, types.length).map(typeText), types.map(typeText), title);
      for (const { shape, data } of outputs) {
        assert.equal(
          data.length,
          shape.reduce((a, b) => a * b, 1),
          title,
        );
      }
    }
  });
}

function attrsOf(node: OnnxNode, model: OnnxModel): Attrs {
  const attrs: Record<string, AttrValue> = {};
  for (const attr of node.attributes) {
    if (attr.kind === 'tensor') attrs[attr.name] = loadTensor(attr.value, model.external);
    else if (attr.kind !== 'other') attrs[attr.name] = attr.value as AttrValue;
  }
  return attrs;
}

/** A node of an older opset gives these elements. */
interface OldForm {
  readonly op: string;
  readonly opset: number;
  readonly inputs: readonly (Tensor | null)[];
  readonly attrs: Attrs;
  readonly wanted: readonly number[];
  readonly outputs?: number;
}

const row = fromNumbers('f32', [4], [1, 2, 3, 4]);
const image = fromNumbers('f32', [1, 1, 2, 2], [1, 2, 3, 4]);
const column = fromNumbers('f32', [1, 2, 1], [5, 6]);
const floats = (...values: number[]): Tensor => fromNumbers('f32', [values.length], values);
const DOUBLED = [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4];

const OLD_FORMS: readonly OldForm[] = [
  { op: 'Reshape', opset: 1, inputs: [row], attrs: { shape: [2, 2] }, wanted: [1, 2, 3, 4] },
  { op: 'Squeeze', opset: 11, inputs: [column], attrs: { axes: [0, 2] }, wanted: [5, 6] },
  { op: 'Unsqueeze', opset: 11, inputs: [row], attrs: { axes: [0] }, wanted: [1, 2, 3, 4] },
  {
    op: 'Slice',
    opset: 1,
    inputs: [row],
    attrs: { starts: [1], ends: [-1] },
    wanted: [2, 3],
  },
  { op: 'Split', opset: 2, inputs: [row], attrs: { split: [1, 3] }, wanted: [1], outputs: 2 },
  { op: 'Split', opset: 13, inputs: [row], attrs: {}, wanted: [1, 2], outputs: 2 },
  {
    op: 'Pad',
    opset: 2,
    inputs: [row],
    attrs: { pads: [1, 0], value: 9, mode: 'constant' },
    wanted: [9, 1, 2, 3, 4],
  },
  { op: 'Pad', opset: 1, inputs: [row], attrs: { paddings: [0, 1] }, wanted: [1, 2, 3, 4, 0] },
  {
    op: 'Tile',
    opset: 1,
    inputs: [fromNumbers('f32', [2], [1, 2]), floats(2), floats(0)],
    attrs: {},
    wanted: [1, 2, 1, 2],
  },
  { op: 'TopK', opset: 1, inputs: [row], attrs: { k: 2 }, wanted: [4, 3], outputs: 2 },
  { op: 'Concat', opset: 1, inputs: [image, image], attrs: {}, wanted: [1, 2, 3, 4, 1, 2, 3, 4] },
  {
    op: 'Scatter',
    opset: 9,
    inputs: [row, fromNumbers('i64', [1], [2]), floats(7)],
    attrs: {},
    wanted: [1, 2, 7, 4],
  },
  {
    op: 'Upsample',
    opset: 1,
    inputs: [image],
    attrs: { height_scale: 2, width_scale: 2 },
    wanted: DOUBLED,
  },
  { op: 'Upsample', opset: 7, inputs: [image], attrs: { scales: [1, 1, 2, 2] }, wanted: DOUBLED },
  {
    op: 'Upsample',
    opset: 9,
    inputs: [fromNumbers('f32', [2], [0, 4]), floats(2)],
    attrs: { mode: 'linear' },
    wanted: [0, 2, 4, 4],
  },
  { op: 'Resize', opset: 10, inputs: [image, floats(1, 1, 2, 2)], attrs: {}, wanted: DOUBLED },
  { op: 'Resize', opset: 10, inputs: [row, floats(0.5)], attrs: {}, wanted: [1, 3] },
  {
    op: 'Resize',
    opset: 11,
    inputs: [row, floats(), floats(), fromNumbers('i64', [1], [2])],
    attrs: { coordinate_transformation_mode: 'tf_half_pixel_for_nn', nearest_mode: 'floor' },
    wanted: [2, 4],
  },
  {
    op: 'GridSample',
    opset: 16,
    inputs: [image, fromNumbers('f32', [1, 1, 1, 2], [0, 0])],
    attrs: { mode: 'bilinear' },
    wanted: [2.5],
  },
];

for (const form of OLD_FORMS) {
  test(`${form.op} of opset ${form.opset} (${Object.keys(form.attrs).join(', ')})`, () => {
    const b = opBuilder();
    const ids = form.inputs.map((tensor) => (tensor === null ? null : b.constant(tensor)));
    const old = { name: 'old', op: form.op, opset: form.opset, inputs: ids, attrs: form.attrs };
    const def = OPS.get(form.op) as OpDef;
    const now = form.opset < def.since && def.upgrade ? def.upgrade(b, old) : old;
    const options = { outputs: form.outputs ?? 1 };
    const [first] = b.ops(now.op ?? form.op, now.inputs, now.attrs, options);
    const [got] = interpret(b.graph.finish([first as ValueId]), []);
    assert.deepEqual([...toNumbers(got as Tensor)], [...form.wanted]);
  });
}

interface NodeTest {
  readonly context: LowerContext;
  readonly def: OpDef;
  readonly inputs: readonly (Tensor | null)[];
}

/** The single node of a test model in its current form, on given inputs. */
function prepare(model: OnnxModel, args: ReadonlyMap<string, Tensor>): NodeTest {
  const node = model.graph.nodes[0] as OnnxNode;
  const b = opBuilder();
  const ids = node.inputs.map((name): ValueId | null => {
    const tensor = args.get(name);
    return tensor === undefined ? null : b.constant(tensor, name);
  });
  const opset = model.opsets.get('') ?? 1;
  const old = { name: node.op, op: node.op, opset, inputs: ids, attrs: attrsOf(node, model) };
  const found = OPS.get(node.op) as OpDef;
  const now = opset < found.since && found.upgrade ? found.upgrade(b, old) : old;
  const def = OPS.get(now.op ?? node.op) as OpDef;
  const values = now.inputs.map((id) => (id === null ? null : b.graph.value(id)));
  const context = {
    node: node.op,
    op: def.name,
    attrs: completeAttrs(def, now.attrs, node.op),
    inputs: values.map((value) => (value === null ? null : inputOf(value))),
    outputCount: node.outputs.length,
  };
  const outputs = def.infer(context);
  return {
    def,
    context: { ...context, outputs },
    inputs: values.map((value) => (value === null ? null : constantTensor(value))),
  };
}

/** What the compiled form computes, or why there is none. */
function compiledOutputs({
  def,
  context,
  inputs,
}: NodeTest): readonly (Tensor | undefined)[] | string {
  if (def.kind === 'host') return def.reason;
  if (def.kind === 'core') {
    const bodies = def.lower(context);
    if (typeof bodies === 'string') return bodies;
    if (bodies[0]?.kind === 'routine') return `routine ${bodies[0].routine}`;
    return bodies.map((body, i) => {
      const type = context.outputs[i];
      assert.ok(type, `output ${i} has no type`);
      return evaluateBody(body, inputs, type);
    });
  }
  const b = opBuilder();
  const ids = inputs.map((tensor) => (tensor === null ? null : b.constant(tensor)));
  const made = def.decompose(b, ids, context) ?? 'its bodies are compiled';
  return typeof made === 'string' ? made : interpret(b.graph.finish(made), []);
}

test('ONNX node tests of the tensor operators', { skip: missingData(SUITE) }, (t) => {
  let ran = 0;
  let lowered = 0;
  const failures: string[] = [];
  const without = new Set<string>();
  for (const name of readdirSync(dataPath(SUITE))) {
    const folder = join(dataPath(SUITE), name);
    if (!existsSync(join(folder, 'model.onnx'))) continue;
    const model = openOnnx(join(folder, 'model.onnx'));
    try {
      const [node, ...others] = model.graph.nodes;
      const plain = model.graph.inputs.every((input) => input.type.kind === 'tensor');
      if (node === undefined || others.length > 0 || !OPS.has(node.op) || !plain) continue;
      const read = (kind: string, i: number): Tensor =>
        readTensorProto(readFileSync(join(folder, 'test_data_set_0', `${kind}_${i}.pb`)));
      const args = new Map(model.graph.inputs.map((input, i) => [input.name, read('input', i)]));
      const wanted = model.graph.outputs.map((_, i) => read('output', i));
      const item = prepare(model, args);
      const got = item.def.reference(item.inputs, item.context.attrs, {
        node: name,
        outputTypes: item.context.outputs,
        run: interpret,
      });
      const tolerance = { relative: 1e-3, absolute: 1e-6 };
      const compare = (tensors: readonly (Tensor | undefined)[], how: string): void => {
        wanted.forEach((tensor, i) => {
          const mine = tensors[i];
          assert.ok(mine, `${how}: output ${i} is missing`);
          assertClose(mine, tensor, `${how}: output ${i}`, tolerance);
        });
      };
      assert.deepEqual(item.context.outputs.map(typeText), wanted.map(typeText), 'inferred types');
      compare(got, 'reference');
      ran++;
      const compiled = compiledOutputs(item);
      if (typeof compiled === 'string') without.add(`${item.def.name}: ${compiled}`);
      else {
        compare(compiled, 'compiled form');
        lowered++;
      }
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
    } finally {
      model.close();
    }
  }
  t.diagnostic(`${ran} node tests agree, ${lowered} of them compiled`);
  for (const reason of without) t.diagnostic(`not compiled: ${reason}`);
  assert.deepEqual(failures, []);
  assert.ok(ran > 200, `only ${ran} node tests were found`);
});
