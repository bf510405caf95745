/** The error that lists every operator of a model that Hone lacks, at once. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { OnnxAnalysis, OperatorUse } from './analyze.ts';

const NAMES_SHOWN = 5;

export function failUnsupported(analysis: Pick<OnnxAnalysis, 'unsupported'>): never {
  const { unsupported } = analysis;
  return fail(
    'HONE-ONNX-020',
    `operators not supported: ${unsupported.map(describeUse).join('; ')}`,
    unsupported[0]?.nodes[0],
    'export the model without them, or say what they are with --ops (docs/custom-operators.md); docs/operators.md lists what is supported',
  );
}

function describeUse({ op, domain, nodes }: OperatorUse): string {
  const shown = nodes.slice(0, NAMES_SHOWN).join(', ');
  const more = nodes.length > NAMES_SHOWN ? ', …' : '';
  const count = nodes.length === 1 ? '1 node' : `${nodes.length} nodes`;
  return `${domain === '' ? '' : `${domain}:`}${op} (${count}: ${shown}${more})`;
}
