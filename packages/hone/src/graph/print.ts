/**
 * Text of graphs; `parseGraph(printGraph(g))` equals `g` (large constants with `constants: 'full'`).
 *
 *     graph main(%x: f32[1,4,4,8]) {
 *       %b = const f32[8] splat 1
 *       %y: f32[1,2,4,8], %z: f32[1,2,4,8] = Split(%x) {axis=1, num_outputs=2} "node name"
 *       return %z
 *     }
 *
 * `return %z, %n where %z[1] = %n`: along axis 1, %z holds %n elements; the rest is room.
 * `graph main(%x: f32[8], %n: i64[]) where %x[0] = %n from 2 {`: so does the input %x, 2 or more of them.
 *
 * A node's name is left out when it is its first output's. `_` is an absent optional input. A
 * value's id is its position in the text; `%x@7` states another.
 */
import type { Tensor } from 'hone-runtime/base/tensor';
import { printName, printNumber } from '../expr/scanner.ts';
import { printTensor, printType, type TensorTextOptions } from './tensor-text.ts';
import type { Attrs, AttrValue, Graph, Node, Value, ValueId } from './types.ts';
import { valueById } from './walk.ts';

export type GraphTextOptions = TensorTextOptions;

const PLAIN_VALUE = /^[A-Za-z0-9_./]+$/;

export function printGraph(graph: Graph, options: GraphTextOptions = {}): string {
  return `${printBody(graph, options, '')}\n`;
}

/** `%name`, quoted where needed. */
export function printValueName(name: string): string {
  return `%${PLAIN_VALUE.test(name) ? name : JSON.stringify(name)}`;
}

function printBody(graph: Graph, options: GraphTextOptions, indent: string): string {
  let next = 0;
  const define = (id: ValueId, typed: boolean): string => {
    const { name, type } = valueById(graph, id);
    const position = id === next ? '' : `@${id}`;
    next = id + 1;
    const suffix = typed ? `: ${printType(type.dtype, type.shape)}` : '';
    return `${printValueName(name)}${position}${suffix}`;
  };
  const inputs = graph.inputs.map((id) => define(id, true)).join(', ');
  const inner = `${indent}  `;
  const lines: string[] = [];
  let pending = graph.values.filter((value) => value.constant !== undefined);
  const printConstants = (due: (id: ValueId) => boolean): void => {
    for (const value of pending) {
      if (!due(value.id)) continue;
      lines.push(`${inner}${define(value.id, false)} = const ${printConstant(value, options)}`);
    }
    pending = pending.filter((value) => !due(value.id));
  };
  for (const node of graph.nodes) {
    const first = node.outputs[0] ?? 0;
    printConstants((id) => id < first || node.inputs.includes(id));
    lines.push(inner + printNode(graph, node, options, inner, define));
  }
  printConstants(() => true);
  const outputs = graph.outputs.map((id) => printValueName(valueById(graph, id).name));
  const extents = (graph.extents ?? []).map(
    ({ output, axis, from }) => `${outputs[output]}[${axis}] = ${outputs[from]}`,
  );
  const list = outputs.length === 0 ? '' : ` ${outputs.join(', ')}`;
  const where = extents.length === 0 ? '' : ` where ${extents.join(', ')}`;
  lines.push(`${inner}return${list}${where}`);
  const names = graph.inputs.map((id) => printValueName(valueById(graph, id).name));
  const ranges = (graph.ranges ?? []).map(
    ({ input, axis, from, least }) => `${names[input]}[${axis}] = ${names[from]} from ${least}`,
  );
  const over = ranges.length === 0 ? '' : ` where ${ranges.join(', ')}`;
  return `graph ${printName(graph.name)}(${inputs})${over} {\n${lines.join('\n')}\n${indent}}`;
}

function printConstant(value: Value, options: GraphTextOptions): string {
  const { constant, type } = value;
  if (constant?.kind === 'inline') return printTensor(constant.tensor, options);
  const file = constant?.source.name ?? '';
  const place = `file ${constant?.offset} ${JSON.stringify(options.fileName?.(file) ?? file)}`;
  return `${printType(type.dtype, type.shape)} ${place}`;
}

function printNode(
  graph: Graph,
  node: Node,
  options: GraphTextOptions,
  indent: string,
  define: (id: ValueId, typed: boolean) => string,
): string {
  const outputs = node.outputs.map((id) => define(id, true)).join(', ');
  const inputs = node.inputs.map((id) =>
    id === null ? '_' : printValueName(valueById(graph, id).name),
  );
  const op = node.domain === '' ? node.op : `${printName(node.domain)}:${printName(node.op)}`;
  const attrs = printAttrs(node.attrs, options, indent);
  const name = node.name === defaultNodeName(graph, node) ? '' : ` ${JSON.stringify(node.name)}`;
  return `${outputs}${outputs === '' ? '' : ' = '}${op}(${inputs.join(', ')})${attrs}${name}`;
}

function defaultNodeName(graph: Graph, node: Node): string {
  const [first] = node.outputs;
  return first === undefined ? node.op : valueById(graph, first).name;
}

function printAttrs(attrs: Attrs, options: GraphTextOptions, indent: string): string {
  const entries = Object.entries(attrs).map(
    ([name, value]) => `${printName(name)}=${printAttr(value, options, indent)}`,
  );
  return entries.length === 0 ? '' : ` {${entries.join(', ')}}`;
}

function printAttr(value: AttrValue, options: GraphTextOptions, indent: string): string {
  if (typeof value === 'number') return printNumber(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (isList(value)) {
    return `[${value.map((item) => printAttr(item, options, indent)).join(', ')}]`;
  }
  if (isGraph(value)) return printBody(value, options, indent);
  return printTensor(value, options);
}

function isList(
  value: AttrValue,
): value is readonly number[] | readonly string[] | readonly Graph[] {
  return Array.isArray(value);
}

/** Is the attribute a sub-graph? */
export function isGraph(value: Tensor | Graph): value is Graph {
  return 'nodes' in value;
}
