/** All operators by domain and name. Users' own operators join with `withOps`. */
import { fail } from 'hone-runtime/base/diagnostics';
import { GraphBuilder } from '../graph/build.ts';
import { OpBuilder } from './builder.ts';
import { CONTRIB_OPS } from './contrib/index.ts';
import { CONTROL_OPS } from './control/index.ts';
import type { OpDef } from './define-op.ts';
import { MATH_OPS } from './math/index.ts';
import { ML_OPS } from './ml/index.ts';
import { NN_OPS } from './nn/index.ts';
import { QUANT_OPS } from './quant/index.ts';
import { RNN_OPS } from './rnn/index.ts';
import { SIGNAL_OPS } from './signal/index.ts';
import { TENSOR_OPS } from './tensor/index.ts';
import { TEXT_OPS } from './text/index.ts';

export interface Registry {
  find(name: string, domain: string): OpDef | undefined;
  all(): readonly OpDef[];
}

function makeRegistry(ops: readonly OpDef[]): Registry {
  const table = new Map(ops.map((op) => [`${op.domain ?? ''}:${op.name}`, op]));
  if (table.size !== ops.length) fail('HONE-INTERNAL-002', 'two operators share a name');
  return {
    find: (name, domain) => table.get(`${domain}:${name}`),
    all: () => ops,
  };
}

/** Every operator Hone knows. */
export const standardRegistry: Registry = makeRegistry([
  ...MATH_OPS,
  ...TENSOR_OPS,
  ...NN_OPS,
  ...QUANT_OPS,
  ...CONTROL_OPS,
  ...RNN_OPS,
  ...SIGNAL_OPS,
  ...ML_OPS,
  ...TEXT_OPS,
  ...CONTRIB_OPS,
]);

/** A registry and more operators; a record replaces one of its name. */
export function withOps(extra: readonly OpDef[], base: Registry = standardRegistry): Registry {
  const key = (op: OpDef): string => `${op.domain ?? ''}:${op.name}`;
  const taken = new Set(extra.map(key));
  return makeRegistry([...base.all().filter((op) => !taken.has(key(op))), ...extra]);
}

/** A fresh builder over a registry. */
export function opBuilder(name = 'main', registry: Registry = standardRegistry): OpBuilder {
  return new OpBuilder(new GraphBuilder(name), registry.find);
}
