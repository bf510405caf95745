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
import type { Tensor } from 'hone-runtime/base/tensor';
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
  const made = def.decompose(b, ids, context);
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
