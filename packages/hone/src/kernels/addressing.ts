/**
 * Turns a stage's logical loads and writes into flat ones over named loop buffers, with the
 * output's channel axis split into (block, lane) where its buffer is blocked.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { axis, binary, iadd, imul, index, load } from '../expr/build.ts';
import { rewriteExpr, substituteAxes, visitExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import type { Stmt } from '../loop/types.ts';
import type { Buffer, Stage, View } from '../stages/types.ts';
import { addressOf, hasHalo } from './access.ts';
import { forLoop, type LoopAxis } from './nest.ts';
import type { KernelBuffer } from './types.ts';

/** Loop-buffer name of operand k. */
export function operandName(k: number): string {
  return `x${k}`;
}

export const OUTPUT = 'y';

export function bufferAt(buffers: readonly Buffer[], view: View): Buffer {
  return at(buffers, view.buffer);
}

/** Replaces loads of operands by flat loads of loop buffers. */
export function flattenLoads(expr: Expr, stage: Stage, buffers: readonly Buffer[]): Expr {
  return rewriteExpr(expr, (node) => {
    if (node.kind !== 'load') return node;
    const k = Number(node.source);
    const view = at(stage.operands, k);
    return load(operandName(k), node.dtype, [addressOf(bufferAt(buffers, view), view, node.index)]);
  });
}

/** Operands an expression list loads, as kernel buffers; the output last. */
export function kernelBuffers(stage: Stage, exprs: readonly Expr[]): KernelBuffer[] {
  const used = new Set<number>();
  for (const expr of exprs) {
    visitExpr(expr, (node) => {
      if (node.kind === 'load' && node.source.startsWith('x'))
        used.add(Number(node.source.slice(1)));
    });
  }
  const operands = stage.operands.flatMap((_, k): KernelBuffer[] =>
    used.has(k) ? [{ kind: 'operand', operand: k }] : [],
  );
  return [...operands, { kind: 'output', output: 0 }];
}

/** Loop-buffer parameters of kernel buffers. */
export function bufferParams(
  stage: Stage,
  buffers: readonly Buffer[],
  list: readonly KernelBuffer[],
): { name: string; dtype: Buffer['dtype']; access: 'read' | 'write' }[] {
  return list.map((item) => {
    if (item.kind === 'output') {
      const { dtype } = bufferAt(buffers, at(stage.outputs, item.output));
      return { name: OUTPUT, dtype, access: 'write' };
    }
    if (item.kind === 'workspace') {
      return { name: item.name, dtype: item.dtype, access: 'write' };
    }
    const { dtype: own } = bufferAt(buffers, at(stage.operands, item.operand));
    const dtype = item.kind === 'packed' ? (item.dtype ?? own) : own;
    return { name: operandName(item.operand), dtype, access: 'read' };
  });
}

export interface OutputAxes {
  /** Loop axes in memory order of the output. */
  readonly axes: readonly LoopAxis[];
  /** How each stage axis is written in loop axes. */
  readonly by: ReadonlyMap<string, Expr>;
}

/**
 * The stage's output axes as loops in the output's memory order. A blocked channel axis i1 becomes
 * blocks `ib` and lanes `il`, if the region written begins at a block (`firstChannel`).
 * `fullLanes`: run over padded lanes too (every operand has them).
 */
export function outputAxes(
  axes: readonly number[],
  outIndex: readonly Expr[],
  output: Buffer,
  fullLanes: boolean,
  firstChannel = 0,
): OutputAxes {
  const plain = axes.map((extent, i): LoopAxis => ({ name: `i${i}`, extent }));
  const { block } = output.layout;
  const channel = outIndex[1];
  const isBlocked = block > 1 && firstChannel % block === 0;
  if (!isBlocked || channel?.kind !== 'axis') return { axes: plain, by: new Map() };
  const position = plain.findIndex((a) => a.name === channel.name);
  if (position < 0) return { axes: plain, by: new Map() };
  const extent = at(plain, position).extent;
  const blocks: LoopAxis = { name: 'ib', extent: Math.ceil(extent / block) };
  const ragged = extent % block !== 0 && !fullLanes;
  const lanes: LoopAxis = ragged
    ? {
        name: 'il',
        extent: block,
        // A single block is no loop: its axis has no name where limits stand.
        limit:
          blocks.extent === 1
            ? index(extent)
            : binary('min', index(block), binary('sub', index(extent), imul(axis('ib'), block))),
      }
    : { name: 'il', extent: block };
  const rest = plain.filter((_, i) => i !== position);
  const ordered = [...rest.slice(0, position), blocks, ...rest.slice(position), lanes];
  return {
    axes: ordered,
    by: new Map([[channel.name, iadd(imul(axis('ib'), block), axis('il'))]]),
  };
}

/** First channel of the region a view writes. */
export function firstChannelOf(view: View): number {
  return view.offset?.[1] ?? 0;
}

/** Are the lanes past a view's last channel nobody else's? */
export function ownsPadding(view: View, buffer: Buffer): boolean {
  return firstChannelOf(view) + (view.shape[1] ?? 0) === buffer.shape[1];
}

/** Can padded lanes be computed too, because every load that depends on the channel has them? */
export function hasPaddedLanes(
  exprs: readonly Expr[],
  channel: string,
  stage: Stage,
  buffers: readonly Buffer[],
  block: number,
): boolean {
  let all = true;
  for (const expr of exprs) {
    visitExpr(expr, (node) => {
      if (node.kind !== 'load') return;
      let uses = false;
      visitExpr(node, (inner) => {
        if (inner.kind === 'axis' && inner.name === channel) uses = true;
      });
      if (!uses) return;
      const view = at(stage.operands, Number(node.source));
      const buffer = bufferAt(buffers, view);
      const direct = node.index[1];
      const padded =
        buffer.layout.block === block && direct?.kind === 'axis' && direct.name === channel;
      if (!padded) all = false;
    });
  }
  return all;
}

/** Statements that fill the halo of an output's region; they may run beside the stage itself. */
export function clearHalo(output: View, buffer: Buffer, lanes: number): Stmt[] {
  if (!hasHalo(buffer)) return [];
  const { block, halo } = buffer.layout;
  const [n, c, h, w] = output.offset === undefined ? buffer.shape : output.shape;
  const rows = at(buffer.shape, 2);
  const columns = at(buffer.shape, 3);
  if (n === undefined || c === undefined || h === undefined || w === undefined) return [];
  const whole: View = { buffer: output.buffer, shape: buffer.shape };
  const offset = output.offset ?? [0, 0, 0, 0];
  const fill = buffer.layout.fill ?? 0;
  const zero: Expr = {
    kind: 'const',
    dtype: buffer.dtype,
    value: buffer.dtype === 'i64' ? BigInt(fill) : fill,
  };
  const channel = block === 1 ? axis('hc') : iadd(imul(axis('hc'), block), axis('hl'));
  const firstChannel = at(offset, 1);
  // Whole blocks: what a neighbour's channels have there is zero too.
  const firstBlock = Math.floor(firstChannel / block);
  const put = (row: Expr, column: Expr): Stmt => {
    const address = addressOf(buffer, whole, [
      iadd(axis('hn'), at(offset, 0)),
      iadd(channel, firstBlock * block),
      row,
      column,
    ]);
    const store: Stmt = { kind: 'assign', buffer: OUTPUT, index: address, value: zero };
    return block === 1
      ? store
      : forLoop('hl', 0, block, block === lanes ? 'vector' : 'serial', [store]);
  };
  const band = (lo: number, hi: number): Stmt[] =>
    lo === hi
      ? []
      : [
          forLoop('hr', lo, hi, 'serial', [
            forLoop('hk', -halo[1], columns + halo[3], 'serial', [put(axis('hr'), axis('hk'))]),
          ]),
        ];
  const sides = [
    ...(halo[1] > 0 ? [forLoop('hk', -halo[1], 0, 'serial', [put(axis('hr'), axis('hk'))])] : []),
    ...(halo[3] > 0
      ? [forLoop('hk', columns, columns + halo[3], 'serial', [put(axis('hr'), axis('hk'))])]
      : []),
  ];
  const body: Stmt[] = [
    ...band(-halo[0], 0),
    ...(sides.length > 0 ? [forLoop('hr', 0, rows, 'serial', sides)] : []),
    ...band(rows, rows + halo[2]),
  ];
  const blocks = Math.ceil((firstChannel + c) / block) - firstBlock;
  return [
    {
      kind: 'block',
      comment: fill === 0 ? 'zero border' : `border of ${fill}`,
      body: [forLoop('hn', 0, n, 'serial', [forLoop('hc', 0, blocks, 'parallel', body)])],
    },
  ];
}

/** Substitutes stage axes by loop axes. */
export function intoLoops(expr: Expr, by: ReadonlyMap<string, Expr>): Expr {
  return by.size === 0 ? expr : substituteAxes(expr, by);
}
