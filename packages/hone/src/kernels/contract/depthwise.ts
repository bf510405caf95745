/**
 * Depthwise convolution (one input and one output channel per group) in blocked layouts: every
 * lane is its own channel, so input and weights are both vectors. Padding is the input's halo.
 *
 * Narrow data is widened to f32 as it is loaded, and its weights when they are packed, unless the
 * target has a step that takes several columns of 8-bit data (dot.ts).
 */
import { at } from 'hone-runtime/base/diagnostics';
import { axis, iadd, imul } from '../../expr/build.ts';
import { substituteAxes } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import type { LoopFn, Stmt } from '../../loop/types.ts';
import type { ContractBody, ConvSpec } from '../../stages/types.ts';
import { addressOf } from '../access.ts';
import {
  bufferAt,
  bufferParams,
  clearHalo,
  flattenLoads,
  kernelBuffers,
  operandName,
} from '../addressing.ts';
import { forLoop } from '../nest.ts';
import { simplifyAll } from '../simplify-stmts.ts';
import type { Kernel, KernelContext } from '../types.ts';
import { constantOf } from './constant.ts';
import { depthwiseDot, type OperandForm } from './dot.ts';
import {
  accumulateStep,
  clearTile,
  COLUMN,
  LANE,
  mainOrRest,
  type MicroTile,
  parallelTasks,
  ROW,
  storeTile,
} from './micro.ts';
import { packDepthwise } from './pack.ts';

/** Pixels of a tile: the last must leave registers for the inputs that taps share. */
function tileColumns(columns: number, registers: number): number {
  const most = Math.min(columns, registers >= 32 ? 14 : 6);
  let best = most;
  for (let tw = most; tw >= Math.ceil(most / 2); tw--) {
    const waste = (n: number): number => Math.ceil(columns / n) * n - columns;
    if (waste(tw) < waste(best)) best = tw;
  }
  return best;
}

export function lowerDepthwise(
  ctx: KernelContext,
  body: ContractBody,
  spec: ConvSpec,
  form: OperandForm,
): Kernel {
  const { stage, buffers, target } = ctx;
  const { lanes } = target;
  const input = at(stage.operands, 0);
  const inputBuffer = bufferAt(buffers, input);
  const output = at(stage.outputs, 0);
  const outputBuffer = bufferAt(buffers, output);
  const weights = bufferAt(buffers, at(stage.operands, 1));
  const [kh, kw] = [at(spec.kernel, 0), at(spec.kernel, 1)];
  const [oh, ow] = [at(spec.output, 0), at(spec.output, 1)];
  const dot = depthwiseDot(form, at(spec.dilation, 1), target);
  const { group } = dot;
  const columns = Math.ceil(kw / group);
  const tw = tileColumns(ow, target.vectorRegisters);
  const epilogue = flattenLoads(body.epilogue, stage, buffers);
  const address = addressOf(outputBuffer, output, body.outIndex);
  const place = (axisIndex: 0 | 1, position: Expr, tap: Expr): Expr =>
    iadd(
      iadd(imul(position, at(spec.stride, axisIndex)), -at(spec.padBegin, axisIndex)),
      imul(tap, at(spec.dilation, axisIndex)),
    );
  const micro = (pixels: number): Stmt[] => {
    const shape: MicroTile = { th: 1, tw: pixels, q: 1, lanes, lastLanes: lanes, dot };
    const row = iadd(axis('rt'), axis(ROW));
    const column = iadd(imul(axis('ct'), tw), axis(COLUMN));
    const channel = iadd(imul(axis('og'), lanes), axis(LANE));
    const here = new Map<string, Expr>([
      ['i0', axis('n')],
      ['i1', channel],
      ['i2', row],
      ['i3', column],
    ]);
    const step = iadd(imul(axis('kh'), columns), axis('kw'));
    const width = lanes * group;
    const lane = imul(axis(LANE), group);
    const weight = iadd(imul(axis('og'), kh * columns * width), iadd(imul(step, width), lane));
    const x = addressOf(inputBuffer, input, [
      axis('n'),
      channel,
      place(0, row, axis('kh')),
      place(1, column, imul(axis('kw'), group)),
    ]);
    const sum = accumulateStep(
      shape,
      { buffer: operandName(1), index: weight },
      { buffer: operandName(0), index: x },
    );
    return [
      ...clearTile(shape),
      forLoop('kh', 0, kh, 'serial', [
        forLoop('kw', 0, columns, columns <= 7 ? 'unroll' : 'serial', sum),
      ]),
      ...storeTile(shape, substituteAxes(address, here), substituteAxes(epilogue, here)),
    ];
  };
  const stmts = [
    ...clearHalo(output, outputBuffer, lanes),
    parallelTasks(
      [
        { name: 'n', extent: spec.batch },
        { name: 'og', extent: Math.ceil(spec.oc / lanes) },
        { name: 'rt', extent: oh },
        { name: 'ct', extent: Math.ceil(ow / tw) },
      ],
      mainOrRest('ct', Math.floor(ow / tw), ow % tw, (size) =>
        micro(size === 'whole' ? tw : ow % tw),
      ),
    ),
  ];
  const others = kernelBuffers(stage, [epilogue]);
  const list = [
    { kind: 'operand', operand: 0 } as const,
    {
      kind: 'packed',
      operand: 1,
      packing: `depthwise_l${lanes}_${dot.weights}_g${group}`,
      dtype: dot.weights,
      pack: () => packDepthwise(constantOf(weights), spec, lanes, dot.weights, group),
    } as const,
    ...others.filter((item) => item.kind !== 'operand' || item.operand > 1),
  ];
  const fn: LoopFn = {
    name: 'depthwise',
    lanes,
    buffers: bufferParams(stage, buffers, list),
    dims: [],
    body: simplifyAll(stmts),
  };
  return {
    row: `depthwise_${dot.name}_${tw}`,
    why: 'one channel per group: lanes are channels',
    fn,
    buffers: list,
  };
}
