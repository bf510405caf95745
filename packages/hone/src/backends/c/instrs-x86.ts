/**
 * x86 dot-product instructions, and short sequences that stand for one. Each takes, per lane, a group
 * of neighbouring elements: those of the broadcast operand `a` against each lane's own of `b`.
 */
import { axis, binary, cast, constant, iadd, imul, index, load } from '../../expr/build.ts';
import type { Expr } from '../../expr/types.ts';
import type { Instr, Stmt } from '../../loop/types.ts';

interface DotShape {
  readonly lanes: number;
  readonly acc: 'f32' | 'i32';
  readonly a: 'bf16' | 'u8';
  readonly b: 'bf16' | 'i8';
  /** Elements of each lane. */
  readonly group: number;
  /** Neighbouring products are added in 16 bits first, saturating. */
  readonly pairs?: boolean;
  /** Each lane has data of its own, too: element k of lane l at k · lanes + l. */
  readonly ownData?: boolean;
}

const forAxis = (name: string, extent: number, body: Stmt): Stmt => ({
  kind: 'for',
  axis: name,
  lo: index(0),
  hi: index(extent),
  step: 1,
  mode: 'serial',
  body: [body],
});

/** acc[lane] += Σ_k a[k] · b[lane·group + k], computed in the accumulator's type. */
export function dotMeaning(shape: DotShape): readonly Stmt[] {
  const { lanes, acc, group } = shape;
  const lane = axis('lane');
  const k = axis('k');
  const product = (at: Expr): Expr => {
    const place = shape.ownData === true ? iadd(imul(at, lanes), lane) : at;
    const a: Expr = cast(acc, load('a', shape.a, [place]));
    const b: Expr = cast(acc, load('b', shape.b, [iadd(imul(lane, group), at)]));
    return binary('mul', a, b);
  };
  const first = imul(k, 2);
  const limit = (value: number): Expr => constant(acc, value);
  const sum = binary('add', product(first), product(iadd(first, 1)));
  const value =
    shape.pairs === true
      ? binary('min', binary('max', sum, limit(-32768)), limit(32767))
      : product(k);
  const add: Stmt = { kind: 'accumulate', op: 'sum', buffer: 'acc', index: lane, value };
  const steps = shape.pairs === true ? group / 2 : group;
  return [forAxis('lane', lanes, forAxis('k', steps, add))];
}

/** A row of the table: `code` as C, with what it means. */
export function dotInstr(name: string, feature: string, shape: DotShape): Instr {
  return {
    name,
    feature,
    params: [
      { name: 'acc', dtype: shape.acc, access: 'write' },
      { name: 'a', dtype: shape.a, access: 'read' },
      { name: 'b', dtype: shape.b, access: 'read' },
    ],
    code: `{acc} = hone_${name}({acc}, {a}, {b});`,
    meaning: dotMeaning(shape),
  };
}

const INTEGERS = { acc: 'i32', a: 'u8', b: 'i8' } as const;

export const X86_INSTRS: readonly Instr[] = [
  dotInstr('vdpbf16ps', 'avx512bf16', { lanes: 16, acc: 'f32', a: 'bf16', b: 'bf16', group: 2 }),
  dotInstr('vpdpbusd', 'avx512vnni', { lanes: 16, ...INTEGERS, group: 4 }),
  dotInstr('vpermb_dot', 'avx512vbmi', { lanes: 16, ...INTEGERS, group: 4, ownData: true }),
  dotInstr('vpdpbusd256', 'avxvnni', { lanes: 8, ...INTEGERS, group: 4 }),
  // Exact for weights of -64…64: two products then fit 16 bits.
  dotInstr('vpmaddubsw', 'avx2', { lanes: 8, ...INTEGERS, group: 4, pairs: true }),
  dotInstr('vpmaddwd', 'avx2', { lanes: 8, ...INTEGERS, group: 2 }),
];
