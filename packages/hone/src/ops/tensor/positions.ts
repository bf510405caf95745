/**
 * Where a mask holds: what sizes that depend on data are made of. The result has room for every
 * position; how many there are is an output of its own. Compiled, it is the routine `positions` of
 * native/routines.h. No model has this operator: the importer makes it.
 */
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { inputType, requireDType } from '../checks.ts';
import { defineOp } from '../define-op.ts';

/** The domain of operators that Hone adds. */
export const HONE_DOMAIN = 'hone';

export const Positions = defineOp({
  kind: 'core',
  name: 'Positions',
  domain: HONE_DOMAIN,
  doc: 'Row-major positions at which a mask holds, in order, zeros behind them; how many there are.',
  since: 1,
  attrs: {},
  infer: (ctx) => {
    const mask = inputType(ctx, 0);
    requireDType(ctx, mask, ['bool']);
    return [
      { dtype: 'i64', shape: [elementCount(mask.shape)] },
      { dtype: 'i64', shape: [] },
    ];
  },
  lower: (ctx) => {
    const dims = [elementCount(inputType(ctx, 0).shape)];
    return [{ kind: 'routine', routine: 'positions', dims, scalars: [] }];
  },
  reference: ([mask]) => {
    const flags = toNumbers(mask as Tensor);
    const positions = new Float64Array(flags.length);
    let count = 0;
    for (let i = 0; i < flags.length; i++) if (flags[i] !== 0) positions[count++] = i;
    return [fromNumbers('i64', [flags.length], positions), fromNumbers('i64', [], [count])];
  },
  cases: () => [
    { inputs: [fromNumbers('bool', [2, 3], [0, 1, 1, 0, 0, 1])], outputs: 2 },
    { note: 'none', inputs: [fromNumbers('bool', [3], [0, 0, 0])], outputs: 2 },
    { note: 'all', inputs: [fromNumbers('bool', [3], [1, 1, 1])], outputs: 2 },
    {
      note: 'many',
      inputs: [
        fromNumbers(
          'bool',
          [1000],
          Array.from({ length: 1000 }, (_, i) => Number(i % 3 === 1)),
        ),
      ],
      outputs: 2,
    },
  ],
});
