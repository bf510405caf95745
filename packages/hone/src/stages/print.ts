/**
 * Text of stage graphs; `parseStages(printStages(s))` equals `s` (large constants with
 * `constants: 'full'`).
 *
 *     stages main(b0) -> (b2) {
 *       b0 = input "x" f32[1,4,4,8]
 *       b1 = constant "w" f32[8] splat 1
 *       b2 = output "y" f32[1,4,4,8]
 *       stage 0 Conv "conv1", Relu "relu1" (b0, b1[1,8]) -> (b2)
 *         map [1, 4, 4, 8]
 *           out [i0, i1, i2, i3] = max(add(%0[i0, i1, i2, i3], %1[0, i3]), 0:f32)
 *       note "pool1" "it reads a window"
 *     }
 *
 * The graphs of control flow stand behind the line of their stage (`loop carried 1 from trips again …`).
 * `b1[1,8]` is a view of b1 under another shape; `b1[1,4] at [0, 4]` is a region of it.
 */
import type { Expr } from '../expr/types.ts';
import { printExpr } from '../expr/print.ts';
import { printName, printNumber } from '../expr/scanner.ts';
import { printElements, printType, type TensorTextOptions } from '../graph/tensor-text.ts';
import {
  bodiesOf,
  type Buffer,
  type ContractBody,
  type ControlBody,
  type ReduceStep,
  type Stage,
  type StageBody,
  type StageGraph,
  type View,
} from './types.ts';

export function printStages(graph: StageGraph, options: TensorTextOptions = {}): string {
  return `${graphLines(graph, options).join('\n')}\n`;
}

function graphLines(graph: StageGraph, options: TensorTextOptions): readonly string[] {
  const ids = (list: readonly number[]): string => list.map((id) => `b${id}`).join(', ');
  return [
    `stages ${printName(graph.name)}(${ids(graph.inputs)}) -> (${ids(graph.outputs)}) {`,
    ...graph.buffers.map((buffer) => `  ${printBuffer(buffer, options)}`),
    ...graph.stages.map((stage) => printStage(stage, graph.buffers, '  ', options)),
    ...graph.notes.map(
      ({ node, reason }) => `  note ${JSON.stringify(node)} ${JSON.stringify(reason)}`,
    ),
    '}',
  ];
}

/** One stage, for reports. */
export function printStage(
  stage: Stage,
  buffers: readonly Buffer[],
  indent = '',
  options: TensorTextOptions = {},
): string {
  const what = stage.ops
    .map((op, i) => `${printName(op)} ${JSON.stringify(stage.nodes[i] ?? '')}`)
    .join(', ');
  const views = (list: readonly View[]): string =>
    list.map((view) => printView(view, buffers)).join(', ');
  const head = `stage ${stage.id} ${what} (${views(stage.operands)}) -> (${views(stage.outputs)})`;
  return [head, ...printBody(stage.body, options).map((line) => `  ${line}`)]
    .flatMap((line) => line.split('\n'))
    .map((line) => indent + line)
    .join('\n');
}

/** A body as lines: the kind, then its parts. */
export function printBody(body: StageBody, options: TensorTextOptions = {}): readonly string[] {
  switch (body.kind) {
    case 'map':
      return [`map ${extents(body.axes)}`, outLine(body.outIndex, body.value)];
    case 'reduce':
      return [
        `reduce ${extents(body.axes)} over ${extents(body.reduceAxes)} spans ${body.spans}`,
        ...body.steps.map(printStep),
        outLine(body.outIndex, body.value),
      ];
    case 'contract':
      return [
        `contract ${extents(body.axes)} over ${extents(body.reduceAxes)} in ${body.accDtype}`,
        `  ${printSpec(body.spec)}`,
        `  a = ${printExpr(body.a)}`,
        `  b = ${printExpr(body.b)}`,
        outLine(body.outIndex, body.epilogue),
      ];
    case 'routine': {
      const scalars = body.scalars.map(printNumber).join(', ');
      const workspace =
        body.workspaceBytes === undefined ? '' : ` workspace ${body.workspaceBytes}`;
      const reads = body.bytesRead === undefined ? '' : ` reads ${body.bytesRead}`;
      return [
        `routine ${printName(body.routine)} dims ${extents(body.dims)} scalars [${scalars}]${workspace}${reads}`,
      ];
    }
    case 'control':
      return [
        printForm(body.form),
        ...bodiesOf(body)
          .flatMap(([, graph]) => graphLines(graph, options))
          .flatMap((lines) => lines.split('\n')),
      ];
    case 'concat':
      return [`concat axis ${body.axis} at ${extents(body.offsets)}`];
    case 'alias':
      return ['alias'];
    default:
      return body satisfies never;
  }
}

function printForm(form: ControlBody['form']): string {
  if (form.kind === 'if') return 'if';
  const { carried, from, again, counts, limit, limitIs, rule } = form;
  const words = [
    ...(from.length === 0 ? [] : [`from ${from.join(' ')}`]),
    ...(again ? ['again'] : []),
    ...(counts ? ['counts'] : []),
  ];
  const said = rule === undefined ? [] : ['rule', JSON.stringify(rule)];
  return ['loop carried', carried, ...words, limitIs, limit, ...said].join(' ');
}

function printBuffer(buffer: Buffer, options: TensorTextOptions): string {
  const { id, name, dtype, shape, layout, role, constant } = buffer;
  const head = `b${id} = ${role} ${JSON.stringify(name)} ${printType(dtype, shape)}`;
  const block = layout.block === 1 ? '' : ` block ${layout.block}`;
  const fill = (layout.fill ?? 0) === 0 ? '' : ` of ${layout.fill}`;
  const halo = layout.halo.every((n) => n === 0) ? '' : ` halo ${extents(layout.halo)}${fill}`;
  if (constant === undefined) return head + block + halo;
  const elements =
    constant.kind === 'inline'
      ? printElements(constant.tensor, options)
      : `file ${constant.offset} ${JSON.stringify(constant.source.name)}`;
  return `${head}${block}${halo} ${elements}`;
}

function printView({ buffer, shape, offset }: View, buffers: readonly Buffer[]): string {
  if (offset !== undefined) return `b${buffer}[${shape.join(',')}] at ${extents(offset)}`;
  const own = buffers[buffer]?.shape;
  const same = own?.length === shape.length && own.every((extent, i) => extent === shape[i]);
  return same ? `b${buffer}` : `b${buffer}[${shape.join(',')}]`;
}

function printStep(step: ReduceStep): string {
  const last = step.lastOfEquals === undefined ? '' : step.lastOfEquals ? ' last' : ' first';
  return `  ${step.op} ${step.dtype}${last} ${printExpr(step.value)}`;
}

function printSpec(spec: ContractBody['spec']): string {
  const fields = Object.entries(spec)
    .filter(([name]) => name !== 'kind')
    .map(([name, value]: [string, unknown]) => {
      if (Array.isArray(value)) return `${name}=${extents(value as readonly number[])}`;
      return `${name}=${String(value)}`;
    });
  return fields.length === 0 ? spec.kind : `${spec.kind} {${fields.join(', ')}}`;
}

function outLine(outIndex: readonly Expr[], value: Expr): string {
  return `  out [${outIndex.map(printExpr).join(', ')}] = ${printExpr(value)}`;
}

function extents(list: readonly number[]): string {
  return `[${list.join(', ')}]`;
}
