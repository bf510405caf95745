/**
 * Nodes the importer resolves itself: `Constant` becomes a constant, `Identity` and inference-mode
 * `Dropout` vanish, `Shape` and `Size` are known because shapes are static.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { addConstant, addTensor, finalName, type Scope } from './import-scope.ts';
import { loadSparse } from './tensor-elements.ts';
import type { OnnxAttribute, OnnxNode } from './types.ts';

const MAX_MASK_ELEMENTS = 2 ** 26;

/** The node's outputs, or undefined where it has to be imported like any other. */
export function importSpecial(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (ValueId | null)[],
  attributes: readonly OnnxAttribute[],
): readonly ValueId[] | undefined {
  if (node.domain !== '') return undefined;
  const [input] = inputs;
  switch (node.op) {
    case 'Constant':
      return [importConstant(scope, node, name, attributes)];
    case 'Identity':
      return input == null ? undefined : [input];
    case 'Dropout':
      return input == null ? undefined : importDropout(scope, node, name, inputs, attributes);
    case 'Shape': {
      if (input == null) return undefined;
      const dims = scope.builder.typeOf(input).shape;
      const from = intAttribute(attributes, 'start', 0);
      const to = intAttribute(attributes, 'end', dims.length);
      const part = dims.slice(from, to);
      return [addConstant(scope, outputName(node), fromNumbers('i64', [part.length], part))];
    }
    case 'Size': {
      if (input == null) return undefined;
      const count = elementCount(scope.builder.typeOf(input).shape);
      return [addConstant(scope, outputName(node), fromNumbers('i64', [], [count]))];
    }
    default:
      return undefined;
  }
}

/** Does the node pass its first input on unchanged? */
export function isBypassed(node: OnnxNode): boolean {
  return node.domain === '' && (node.op === 'Identity' || node.op === 'Dropout');
}

/** The first output's name; a node whose output nobody names still gets one. */
function outputName(node: OnnxNode): string {
  return node.outputs[0] ?? node.op;
}

function intAttribute(
  attributes: readonly OnnxAttribute[],
  name: string,
  otherwise: number,
): number {
  const found = attributes.find((attribute) => attribute.name === name);
  return found?.kind === 'int' ? found.value : otherwise;
}

function importConstant(
  scope: Scope,
  node: OnnxNode,
  name: string,
  attributes: readonly OnnxAttribute[],
): ValueId {
  const label = finalName(scope, outputName(node));
  const [first] = attributes;
  const whole = attributes.length === 1 ? constantOf(scope, first, label) : undefined;
  if (whole !== undefined) return whole;
  return fail(
    'HONE-ONNX-014',
    `node ${name} (Constant): it has no value of a supported type`,
    name,
    'the model is not valid ONNX: export it again',
  );
}

function constantOf(
  scope: Scope,
  attribute: OnnxAttribute | undefined,
  label: string,
): ValueId | undefined {
  switch (attribute?.kind) {
    case 'tensor':
      return addTensor(scope, attribute.value, label);
    case 'sparse':
      return scope.builder.constant(loadSparse(attribute.value, scope.state.model.external), label);
    case 'int':
      return scope.builder.constant(fromNumbers('i64', [], [attribute.value]), label);
    case 'float':
      return scope.builder.constant(fromNumbers('f32', [], [attribute.value]), label);
    case 'ints':
      return scope.builder.constant(
        fromNumbers('i64', [attribute.value.length], attribute.value),
        label,
      );
    case 'floats':
      return scope.builder.constant(
        fromNumbers('f32', [attribute.value.length], attribute.value),
        label,
      );
    case 'string':
      return scope.builder.constant(texts([], [attribute.value]), label);
    case 'strings':
      return scope.builder.constant(texts([attribute.value.length], attribute.value), label);
    default:
      return undefined;
  }
}

function texts(shape: readonly number[], data: readonly string[]): Tensor {
  return { dtype: 'string', shape, data };
}

/** Undefined: the node really drops values out. */
function importDropout(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (ValueId | null)[],
  attributes: readonly OnnxAttribute[],
): readonly ValueId[] | undefined {
  const [data, , training] = inputs;
  if (data == null) return undefined;
  const opset = scope.opsets.get('') ?? 1;
  if (training != null && opset >= 12) {
    const value = scope.builder.graph.value(training);
    if (value.constant === undefined) return undefined;
    if (constantTensor(value).data[0] !== 0) return undefined;
  }
  if (opset < 7 && intAttribute(attributes, 'is_test', 0) === 0) {
    scope.state.notes.push(
      `node ${name} (Dropout): imported for inference, so it passes values on`,
    );
  }
  const [, mask] = node.outputs;
  if (mask === undefined || mask === '') return [data];
  const { dtype, shape } = scope.builder.typeOf(data);
  const count = elementCount(shape);
  if (count > MAX_MASK_ELEMENTS) return undefined;
  // Before opset 10 the mask had the type of the data.
  const maskType = opset >= 10 || dtype === 'string' ? 'bool' : dtype;
  const ones = fromNumbers(maskType, shape, new Float64Array(count).fill(1));
  return [data, addConstant(scope, mask, ones)];
}
