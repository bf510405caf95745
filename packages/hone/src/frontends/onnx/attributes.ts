/** Attributes of ONNX nodes as attributes of Graph nodes, with their types checked. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { AttrType, OpDef } from '../../ops/define-op.ts';
import type { AttrValue } from '../../graph/types.ts';
import { loadTensor } from './tensor-elements.ts';
import type { ExternalFiles, OnnxAttribute, OnnxNode } from './types.ts';

/** Attributes of the caller of a function, for `reference` attributes inside it. */
export type CallerAttributes = ReadonlyMap<string, OnnxAttribute>;

/** The node's attributes with references to the caller's resolved; absent ones are left out. */
export function resolveAttributes(
  node: OnnxNode,
  caller: CallerAttributes | null,
  name: string,
): readonly OnnxAttribute[] {
  const out: OnnxAttribute[] = [];
  for (const attribute of node.attributes) {
    if (attribute.kind !== 'reference') {
      out.push(attribute);
      continue;
    }
    if (caller === null) {
      fail(
        'HONE-ONNX-015',
        `node ${name} (${node.op}): attribute ${attribute.name} refers to ${attribute.value}, but the node is not in a function`,
        name,
        'the model is not valid ONNX: export it again',
      );
    }
    const value = caller.get(attribute.value);
    if (value !== undefined) out.push({ ...value, name: attribute.name });
  }
  return out;
}

/** A plain value; graphs are handled where sub-graphs are imported. */
export function plainAttribute(
  attribute: OnnxAttribute,
  external: ExternalFiles,
  node: string,
): AttrValue | undefined {
  switch (attribute.kind) {
    case 'tensor':
      return loadTensor(attribute.value, external);
    case 'graph':
    case 'graphs':
      return undefined;
    case 'int':
    case 'float':
    case 'string':
    case 'ints':
    case 'floats':
    case 'strings':
      return attribute.value;
    default:
      return fail(
        'HONE-ONNX-014',
        `node ${node}: attribute ${attribute.name} has a type (${attribute.kind}) that is not supported`,
        node,
        'export the model without it',
      );
  }
}

/** Checks every attribute that the operator's record describes. */
export function checkAttributes(
  def: OpDef,
  attrs: Readonly<Record<string, AttrValue>>,
  node: string,
): void {
  for (const [name, value] of Object.entries(attrs)) {
    const spec = def.attrs[name];
    if (spec === undefined || fits(spec.type, value)) continue;
    fail(
      'HONE-ONNX-014',
      `node ${node} (${def.name}): attribute ${name} is not of type ${spec.type}`,
      node,
      'the model is not valid ONNX: export it again',
    );
  }
}

function fits(type: AttrType, value: AttrValue): boolean {
  const every = (test: (item: unknown) => boolean): boolean =>
    Array.isArray(value) && (value as readonly unknown[]).every(test);
  const isText = (item: unknown): boolean => typeof item === 'string';
  const isNumber = (item: unknown): boolean => typeof item === 'number';
  switch (type) {
    case 'int':
      return Number.isInteger(value);
    case 'float':
      return isNumber(value);
    case 'string':
      return isText(value);
    case 'ints':
      return every(Number.isInteger);
    case 'floats':
      return every(isNumber);
    case 'strings':
      return every(isText);
    case 'tensor':
      return typeof value === 'object' && 'dtype' in value;
    case 'graph':
      return typeof value === 'object' && 'nodes' in value;
    case 'graphs':
      return Array.isArray(value);
    default:
      throw type satisfies never;
  }
}
