/**
 * Scan as a node, or as the loop it is where sizes depend on data. In that of opset 8 states and sequences have
 * a batch in front, and the body runs for each entry of it: it is imported as one Scan of opset 9 for each
 * entry, whose results are joined.
 */
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { type Entity, tensorOf } from './entities.ts';
import type { Scope } from './import-scope.ts';
import type { OnnxAttribute, OnnxNode } from './types.ts';

/** Imports one Scan of opset 9. */
export type ImportScan = (
  node: OnnxNode,
  name: string,
  inputs: readonly (ValueId | null)[],
  attributes: readonly OnnxAttribute[],
) => readonly (Entity | undefined)[];

export function isBatchedScan(scope: Scope, { op, domain }: OnnxNode): boolean {
  return op === 'Scan' && domain === '' && (scope.opsets.get('') ?? 1) < 9;
}

/** As a node; where its body gives what has no fixed size, as a loop. */
export function importScan(
  asNode: () => readonly (Entity | undefined)[],
  asLoop: () => readonly (Entity | undefined)[],
): readonly (Entity | undefined)[] {
  try {
    return asNode();
  } catch (error) {
    if (!(error instanceof HoneError && error.code.startsWith('HONE-SHAPE'))) throw error;
    try {
      return asLoop();
    } catch (other) {
      throw other instanceof HoneError ? error : other;
    }
  }
}

export function importBatchedScan(
  scope: Scope,
  node: OnnxNode,
  name: string,
  [lengths = null, ...inputs]: readonly (ValueId | null)[],
  attributes: readonly OnnxAttribute[],
  importScan: ImportScan,
): readonly ValueId[] {
  const { builder } = scope;
  const refuse = (problem: string, cure: string): never =>
    fail('HONE-ONNX-016', `node ${name} (Scan): ${problem}`, name, cure);
  const shapes = inputs.map((id) => (id === null ? [] : builder.typeOf(id).shape));
  const batch = shapes[0]?.[0];
  if (batch === undefined || shapes.some((shape) => shape[0] !== batch) || batch < 1) {
    return refuse('its inputs have no common batch', 'export the model again, of opset 9 or newer');
  }
  const longest = Math.max(...shapes.map((shape) => shape[1] ?? 0));
  if (lengths !== null && !isWhole(scope, lengths, longest)) {
    return refuse(
      'its sequences have lengths of their own (sequence_lens)',
      'export the model without them, or of opset 9 or newer',
    );
  }
  const renamed = attributes.map((attribute) =>
    attribute.name === 'directions' ? { ...attribute, name: 'scan_input_directions' } : attribute,
  );
  const entries = Array.from({ length: batch }, (_, entry) => {
    const own = inputs.map((id) =>
      id === null ? null : builder.op('Gather', [id, builder.scalar(entry, 'i64')], { axis: 0 }),
    );
    const outputs = node.outputs.map((output) => (output === '' ? '' : `${output}/${entry}`));
    return importScan({ ...node, outputs }, `${name}/${entry}`, own, renamed);
  });
  return node.outputs.map((_, k) => {
    const rows = entries.flatMap((results) => {
      const entity = results[k];
      if (entity === undefined) return [];
      const id = tensorOf(entity, `node ${name} (Scan)`);
      return builder.op('Unsqueeze', [id, builder.ints([0])]);
    });
    return builder.op('Concat', rows, { axis: 0 });
  });
}

/** Are all lengths known, and those of the sequences themselves? */
function isWhole({ builder }: Scope, lengths: ValueId, longest: number): boolean {
  const value = builder.graph.value(lengths);
  if (value.constant === undefined) return false;
  return toNumbers(constantTensor(value)).every((length) => length === longest);
}
