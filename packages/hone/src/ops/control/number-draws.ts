/**
 * Random numbers in loops: every iteration draws others, so what draws is told the numbers of the iterations
 * it runs in, which its record takes as inputs (`ops/math/draws.ts`). A `Scan` has no such number: it is given
 * one more input to scan, 0, 1, 2 …
 *
 * Nodes in sub-graphs are also told under which name they draw, so that a body gives the same numbers where it
 * is kept and where it is written out. Graphs that are numbered stay as they are.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import type { Attrs, Graph, Node, Value, ValueId, ValueType } from '../../graph/types.ts';
import { subgraphs } from '../../graph/verify.ts';
import { firstDraw } from '../math/draws.ts';

const NUMBER: ValueType = { dtype: 'i64', shape: [] };

/** The graph whose random operators know what they need; the same one where nothing is missing. */
export function numberDraws(graph: Graph): Graph {
  return isNumbered(graph, 0, false) ? graph : numbered(graph, [], null);
}

/** Does everything that draws know its loops and its name? `loops`: how many are around the graph. */
function isNumbered(graph: Graph, loops: number, isInner: boolean): boolean {
  return graph.nodes.every((node) => {
    if (drawsFrom(node) !== undefined) {
      return loopsOf(node) >= loops && (!isInner || isNamed(node));
    }
    const inner = loops + (repeats(node) ? 1 : 0);
    return bodiesOf(node).every(([, body]) => isNumbered(body, inner, true));
  });
}

/** Where a node that draws has the numbers of iterations; in inference Dropout draws nothing. */
function drawsFrom({ op, domain, inputs }: Node): number | undefined {
  return op === 'Dropout' && inputs[2] == null ? undefined : firstDraw(op, domain);
}

function loopsOf({ attrs }: Node): number {
  return Number(attrs['loops'] ?? 0);
}

function isNamed({ attrs }: Node): boolean {
  return attrs['seed'] !== undefined || attrs['stream'] !== undefined;
}

function repeats({ op, domain }: Node): boolean {
  return domain === '' && (op === 'Loop' || op === 'Scan');
}

/** The sub-graphs of control flow, with the names of their attributes. */
function bodiesOf(node: Node): readonly (readonly [string, Graph])[] {
  if (!repeats(node) && (node.op !== 'If' || node.domain !== '')) return [];
  return Object.entries(node.attrs).flatMap(([name, value]) => {
    const [body] = subgraphs(value);
    return body === undefined ? [] : [[name, body] as const];
  });
}

/** `numbers`: of the iterations around, the outermost first. `path`: null for the whole graph. */
function numbered(graph: Graph, numbers: readonly ValueId[], path: string | null): Graph {
  const values = [...graph.values];
  const nodes = graph.nodes.map((node): Node => {
    const first = drawsFrom(node);
    const label = path === null ? node.name : `${path}/${node.name}`;
    if (first !== undefined) return drawing(node, first, numbers, path === null ? null : label);
    const loops = numbers.length + (repeats(node) ? 1 : 0);
    if (bodiesOf(node).every(([, body]) => isNumbered(body, loops, true))) return node;
    return withNumbers(node, numbers, values, label);
  });
  return { ...graph, values, nodes };
}

function drawing(
  node: Node,
  first: number,
  numbers: readonly ValueId[],
  stream: string | null,
): Node {
  const known = loopsOf(node);
  const missing = numbers.slice(0, Math.max(0, numbers.length - known));
  const name = stream === null || isNamed(node) ? {} : { stream };
  const own = Array.from({ length: first }, (_, i) => node.inputs[i] ?? null);
  const inputs =
    missing.length === 0 ? node.inputs : [...own, ...missing, ...node.inputs.slice(first)];
  return { ...node, inputs, attrs: { ...node.attrs, ...name, loops: known + missing.length } };
}

/** Passes the numbers into the bodies of a node; `values` are those around it. */
function withNumbers(
  node: Node,
  numbers: readonly ValueId[],
  values: Value[],
  label: string,
): Node {
  const scanned = node.op === 'Scan' ? scannedNumber(node, values) : undefined;
  const captures = Number(node.attrs['captures'] ?? 0);
  const formal = node.inputs.length - captures;
  const inputs = [
    ...node.inputs.slice(0, formal),
    ...(scanned === undefined ? [] : [scanned.id]),
    ...node.inputs.slice(formal),
    ...numbers,
  ];
  const bodies = bodiesOf(node).map(([name, body]) => {
    const added: Value[] = [...body.values];
    const passed = numbers.map(() => addValue(added, 'iteration', NUMBER));
    const own = body.inputs.length - captures;
    const slice = scanned === undefined ? [] : [addValue(added, 'iteration', NUMBER)];
    const number = node.op === 'Loop' ? [at(body.inputs, 0)] : slice;
    const ready: Graph = {
      ...body,
      values: added,
      inputs: [...body.inputs.slice(0, own), ...slice, ...body.inputs.slice(own), ...passed],
    };
    return [name, numbered(ready, [...passed, ...number], `${label}/${name}`)] as const;
  });
  const attrs: Attrs = {
    ...node.attrs,
    ...scanned?.attrs,
    ...Object.fromEntries(bodies),
    captures: captures + numbers.length,
  };
  return { ...node, inputs, attrs };
}

/** A constant of the numbers of all slices, and the attributes of a Scan that takes it behind what it has. */
function scannedNumber(
  node: Node,
  values: Value[],
): { readonly id: ValueId; readonly attrs: Attrs } {
  const { attrs } = node;
  const scans = Number(attrs['num_scan_inputs']);
  const captures = Number(attrs['captures'] ?? 0);
  const first = node.inputs[node.inputs.length - captures - scans];
  invariant(first !== null && first !== undefined, `${node.name} scans nothing`);
  const { shape } = at(values, first).type;
  const axes = attrs['scan_input_axes'];
  const axis = Array.isArray(axes) ? Number(axes[0] ?? 0) : 0;
  const trips = at(shape, axis < 0 ? axis + shape.length : axis);
  const tensor = fromNumbers(
    'i64',
    [trips],
    Array.from({ length: trips }, (_, i) => i),
  );
  const type: ValueType = { dtype: 'i64', shape: [trips] };
  const id = addValue(values, 'iterations', type, { kind: 'inline', tensor });
  const lists = ['scan_input_axes', 'scan_input_directions'].flatMap((name) => {
    const list = attrs[name];
    return Array.isArray(list) && list.length > 0 ? [[name, [...list, 0]] as const] : [];
  });
  return { id, attrs: { num_scan_inputs: scans + 1, ...Object.fromEntries(lists) } };
}

function addValue(
  values: Value[],
  wanted: string,
  type: ValueType,
  constant?: Value['constant'],
): ValueId {
  const names = new Set(values.map(({ name }) => name));
  let name = wanted;
  for (let n = 1; names.has(name); n++) name = `${wanted}.${n}`;
  const id: ValueId = values.length;
  values.push({ id, name, type, ...(constant === undefined ? {} : { constant }) });
  return id;
}
