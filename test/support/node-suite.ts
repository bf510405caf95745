/**
 * The ONNX suite's single-node tests (under HONE_TEST_DATA) of some operators: their references,
 * and their compiled forms evaluated directly, against the suite's outputs.
 *
 * Every input counts as a constant, because many decide shapes.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTensorProto } from 'hone/frontends/onnx/index';
import { openOnnx } from 'hone/frontends/onnx/read-model';
import { loadTensor } from 'hone/frontends/onnx/tensor-elements';
import type { OnnxModel, OnnxNode } from 'hone/frontends/onnx/types';
import type { Attrs, AttrValue, Graph, ValueId, ValueType } from 'hone/graph/types';
import { constantTensor, valueById } from 'hone/graph/walk';
import type { LowerContext, OpDef } from 'hone/ops/define-op';
import { interpret, interpretAll } from 'hone/ops/interpret';
import { opBuilder, standardRegistry } from 'hone/ops/registry';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { isRandom } from '../conformance/suite.ts';
import { assertClose } from './compare.ts';
import { dataPath } from './data.ts';
import { evaluateBody } from './eval-body.ts';

export const NODE_SUITE = 'onnx-1.22.0/node';

const TOLERANCE = { relative: 1e-3, absolute: 1e-6 };

export interface SuiteResult {
  /** Tests whose reference gives the suite's outputs. */
  readonly agreed: number;
  /** Those whose compiled form does too. */
  readonly compiled: number;
  readonly failures: readonly string[];
  /** Why some have no compiled form. */
  readonly notCompiled: ReadonlySet<string>;
  /** Tests refused with a coded error, with the reason. */
  readonly refused: readonly string[];
}

function attrsOf(node: OnnxNode, model: OnnxModel): Attrs {
  const attrs: Record<string, AttrValue> = {};
  for (const attr of node.attributes) {
    if (attr.kind === 'tensor') attrs[attr.name] = loadTensor(attr.value, model.external);
    else if (attr.kind !== 'other') attrs[attr.name] = attr.value as AttrValue;
  }
  return attrs;
}

/** The model's one node in its current form, with whatever its upgrade adds. */
function buildGraph(
  model: OnnxModel,
  node: OnnxNode,
  def: OpDef,
  args: ReadonlyMap<string, Tensor>,
): Graph {
  const b = opBuilder();
  const ids = node.inputs.map((name): ValueId | null => {
    const tensor = args.get(name);
    return tensor === undefined ? null : b.constant(tensor, name);
  });
  const opset = model.opsets.get(node.domain) ?? 1;
  const old = { name: node.op, op: node.op, opset, inputs: ids, attrs: attrsOf(node, model) };
  const now = opset < def.since && def.upgrade ? def.upgrade(b, old) : old;
  const op = 'op' in now && now.op !== undefined ? now.op : node.op;
  return b.graph.finish(
    b.ops(op, now.inputs, now.attrs, { domain: node.domain, outputs: node.outputs.length }),
  );
}

/** Outputs of a graph of constants as its compiled forms give them, or why there is none. */
function compiledOutputs(graph: Graph): readonly Tensor[] | string {
  const known = new Map<ValueId, Tensor>();
  const read = (id: ValueId): Tensor => known.get(id) ?? constantTensor(valueById(graph, id));
  for (const node of graph.nodes) {
    const def = standardRegistry.find(node.op, node.domain);
    assert.ok(def, `${node.op} is not known`);
    const inputs = node.inputs.map((id) => (id === null ? null : read(id)));
    const outputs: readonly ValueType[] = node.outputs.map((id) => valueById(graph, id).type);
    const context: LowerContext = {
      node: node.name,
      op: node.op,
      attrs: node.attrs,
      inputs: inputs.map((tensor) =>
        tensor === null
          ? null
          : { type: { dtype: tensor.dtype, shape: tensor.shape }, constant: () => tensor },
      ),
      outputCount: outputs.length,
      outputs,
    };
    const results = compiledNode(def, context, inputs);
    if (typeof results === 'string') return `${node.op}: ${results}`;
    node.outputs.forEach((id, i) => {
      const tensor = results[i];
      assert.ok(tensor, `compiled form: output ${i} is missing`);
      known.set(id, tensor);
    });
  }
  return graph.outputs.map(read);
}

function compiledNode(
  def: OpDef,
  context: LowerContext,
  inputs: readonly (Tensor | null)[],
): readonly Tensor[] | string {
  if (def.kind === 'host') return def.reason;
  if (def.kind === 'core') {
    const bodies = def.lower(context);
    if (typeof bodies === 'string') return bodies;
    if (bodies[0]?.kind === 'routine') return `routine ${bodies[0].routine}`;
    return bodies.map((body, i) => {
      const type = context.outputs[i];
      assert.ok(type, `output ${i} has no type`);
      return evaluateBody(body, inputs, type) as Tensor;
    });
  }
  const b = opBuilder();
  const ids = inputs.map((tensor) => (tensor === null ? null : b.constant(tensor)));
  const made = def.decompose(b, ids, context) ?? 'its bodies are compiled';
  return typeof made === 'string' ? made : interpret(b.graph.finish(made), []);
}

const typeText = ({ dtype, shape }: ValueType): string => `${dtype}[${shape.join(',')}]`;

/** Runs every test of one node whose operator is among `ops` and accepted by `wanted`. */
export function runNodeSuite(
  ops: readonly OpDef[],
  wanted: (test: string) => boolean = () => true,
): SuiteResult {
  const find = (node: OnnxNode): OpDef | undefined =>
    ops.find((op) => op.name === node.op && (op.domain ?? '') === node.domain);
  let agreed = 0;
  let compiled = 0;
  const failures: string[] = [];
  const refused: string[] = [];
  const notCompiled = new Set<string>();
  for (const name of readdirSync(dataPath(NODE_SUITE))) {
    const folder = join(dataPath(NODE_SUITE), name);
    if (!wanted(name) || isRandom(name) || !existsSync(join(folder, 'model.onnx'))) continue;
    const model = openOnnx(join(folder, 'model.onnx'));
    try {
      const [node, ...others] = model.graph.nodes;
      const plain = model.graph.inputs.every((input) => input.type.kind === 'tensor');
      if (node === undefined || others.length > 0 || !plain) continue;
      const def = find(node);
      if (def === undefined) continue;
      // Sub-graphs need the importer; the conformance run covers them.
      if (node.attributes.some((attr) => attr.kind === 'graph')) continue;
      const read = (kind: string, i: number): Tensor =>
        readTensorProto(readFileSync(join(folder, 'test_data_set_0', `${kind}_${i}.pb`)));
      const args = new Map(model.graph.inputs.map((input, i) => [input.name, read('input', i)]));
      // A node may leave out outputs by an empty name; the test's outputs are the named ones.
      const positions = model.graph.outputs.map((output) => node.outputs.indexOf(output.name));
      const expected = model.graph.outputs.map((_, i) => read('output', i));
      const graph = buildGraph(model, node, def, args);
      const compare = (tensors: readonly Tensor[], how: string): void => {
        expected.forEach((tensor, i) => {
          const mine = tensors[positions[i] as number];
          assert.ok(mine, `${how}: output ${i} is missing`);
          assertClose(mine, tensor, `${how}: output ${i}`, TOLERANCE);
        });
      };
      const types = positions.map((p) => valueById(graph, graph.outputs[p] as ValueId).type);
      assert.deepEqual(types.map(typeText), expected.map(typeText), 'inferred types');
      const values = interpretAll(graph, []);
      compare(graph.outputs.map(values), 'reference');
      agreed++;
      const forms = compiledOutputs(graph);
      if (typeof forms === 'string') {
        notCompiled.add(forms);
        continue;
      }
      compare(forms, 'compiled form');
      compiled++;
    } catch (error) {
      const coded = error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL');
      (coded ? refused : failures).push(`${name}: ${(error as Error).message}`);
    } finally {
      model.close();
    }
  }
  return { agreed, compiled, failures, notCompiled, refused };
}
