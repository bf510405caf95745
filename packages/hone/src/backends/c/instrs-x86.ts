/**
 * x86 dot-product instructions on 16 lanes. Each takes, per lane, a group of neighbouring
 * elements: 32 bits of the broadcast operand `a` against 64 bytes of weights `b`.
 */
import { axis, binary, cast, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Instr, Stmt } from '../../loop/types.ts';

const LANES = 16;

/** acc[lane] += Σ_k a[k] · b[lane·group + k], computed in the accumulator's type. */
function dotMeaning(
  accDtype: 'f32' | 'i32',
  aDtype: 'bf16' | 'u8',
  bDtype: 'bf16' | 'i8',
  group: number,
): readonly Stmt[] {
  const lane = axis('lane');
  const k = axis('k');
  const a: Expr = cast(accDtype, load('a', aDtype, [k]));
  const b: Expr = cast(accDtype, load('b', bDtype, [iadd(imul(lane, group), k)]));
  const add: Stmt = {
    kind: 'accumulate',
    op: 'sum',
    buffer: 'acc',
    index: lane,
    value: binary('mul', a, b),
  };
  const loop = (name: string, extent: number, body: Stmt): Stmt => ({
    kind: 'for',
    axis: name,
    lo: index(0),
    hi: index(extent),
    step: 1,
    mode: 'serial',
    body: [body],
  });
  return [loop('lane', LANES, loop('k', group, add))];
}

export const X86_INSTRS: readonly Instr[] = [
  {
    name: 'vdpbf16ps',
    feature: 'avx512bf16',
    params: [
      { name: 'acc', dtype: 'f32', access: 'write' },
      { name: 'a', dtype: 'bf16', access: 'read' },
      { name: 'b', dtype: 'bf16', access: 'read' },
    ],
    code: '{acc} = hone_vdpbf16ps({acc}, {a}, {b});',
    meaning: dotMeaning('f32', 'bf16', 'bf16', 2),
  },
  {
    name: 'vpdpbusd',
    feature: 'avx512vnni',
    params: [
      { name: 'acc', dtype: 'i32', access: 'write' },
      { name: 'a', dtype: 'u8', access: 'read' },
      { name: 'b', dtype: 'i8', access: 'read' },
    ],
    code: '{acc} = hone_vpdpbusd({acc}, {a}, {b});',
    meaning: dotMeaning('i32', 'u8', 'i8', 4),
  },
];
