/**
 * Operators on maps. A map whose keys the file knows is the tensor of its values: ZipMap and DictVectorizer
 * then compute nothing, and CastMap is a cast. The keys go into the signature (ADR 9).
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeCode } from 'hone-runtime/base/dtype';
import type { ValueId } from '../../graph/types.ts';
import { type Entity, isTensor, tensorOf } from './entities.ts';
import type { Scope } from './import-scope.ts';
import { keysOf, sameKeys } from './map-ops.ts';
import type { OnnxAttribute, OnnxNode } from './types.ts';

const EXPORT_AGAIN = 'the model is not valid ONNX: export it again';

const CASTS: Readonly<Record<string, DType>> = {
  TO_FLOAT: 'f32',
  TO_INT64: 'i64',
  TO_STRING: 'string',
};

/** The output of a node of MAP_OPS. */
export function importMapOp(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  attributes: readonly OnnxAttribute[],
): readonly Entity[] {
  const [input] = inputs;
  const bad = (problem: string): never =>
    fail('HONE-ONNX-016', `node ${name} (${node.op}): ${problem}`, name, EXPORT_AGAIN);
  if (input == null) return bad('input 0 is missing');
  const keys = keysOf(node.op, attributes);
  const { builder } = scope;
  if (node.op === 'ZipMap') {
    const values = tensorOf(input, `node ${name} (ZipMap)`);
    const { shape } = builder.typeOf(values);
    if (keys === undefined || shape.at(-1) !== keys.length) {
      return bad(`${keys?.length ?? 0} keys do not fit values of shape [${shape.join(',')}]`);
    }
    const wide = shape.length === 1 ? builder.op('Unsqueeze', [values, builder.ints([0])]) : values;
    return [{ kind: 'map', values: wide, keys }];
  }
  if (isTensor(input) || input.kind !== 'map') return bad('input 0 is not a map');
  if (keys === undefined || !sameKeys(keys, input.keys)) {
    return bad('its keys are not those of the map that it reads');
  }
  return [node.op === 'CastMap' ? castValues(scope, input.values, attributes, bad) : input.values];
}

function castValues(
  { builder }: Scope,
  values: ValueId,
  attributes: readonly OnnxAttribute[],
  bad: (problem: string) => never,
): ValueId {
  const found = attributes.find(({ name }) => name === 'cast_to');
  const asked = found?.kind === 'string' ? found.value : 'TO_FLOAT';
  const dtype = CASTS[asked];
  if (dtype === undefined) return bad(`cast_to ${asked} is not known`);
  if (builder.typeOf(values).dtype === dtype) return values;
  return builder.op('Cast', [values], { to: dtypeCode(dtype) });
}
