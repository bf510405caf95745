/**
 * Moves out of the body of a Loop what is the same in every iteration: nodes that read nothing but captured values
 * and constants are computed once, before the loop, and captured.
 *
 * Why: exporters write the transposes, masks and casts of what an encoder gave into the step of the decoder.
 *
 * Left alone: what may fail on data, for a loop may run no iteration (indices from data, integer division);
 * hand-written routines and control flow; random operators. What readers take in for nothing stays with them:
 * reshapes, the way back from narrow types, and what is larger than what it is made of. The results stay the same
 * bits: convolutions and sums over images stay, whose order depends on the layouts around them, and so does what is
 * moved for a sum, whose order depends on where it finds what it sums; a product stays where its reader may add to it in one rounding, and so does what would come to stand
 * behind a product outside. It must run behind `optimize-bodies`, on core operators.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type DType, dtypeBytes, isFloat } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import { visitExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import type { Graph, Node, Value, ValueId } from '../graph/types.ts';
import { consumers, producers, valueById } from '../graph/walk.ts';
import { inputOf } from '../ops/builder.ts';
import { graphAttr } from '../ops/control/subgraph.ts';
import { firstDraw } from '../ops/math/draws.ts';
import type { Registry } from '../ops/registry.ts';
import { isOpaque, type StageBody } from '../stages/types.ts';
import { compactGraph } from './compact.ts';
import { changeBodies, dropUnread } from './optimize-bodies.ts';
import type { Pass, PassContext } from './pass.ts';

export const hoistInvariants: Pass = {
  name: 'hoist-invariants',
  run: hoistAll,
};

function hoistAll(source: Graph, ctx: PassContext): Graph {
  const { registry } = ctx;
  const inner = source.nodes.map((node) => changeBodies(node, (body) => hoistAll(body, ctx)));
  const isSame = inner.every((node, i) => node === source.nodes[i]);
  const graph = isSame ? source : { ...source, nodes: inner };
  const values = [...graph.values];
  const names = new Set(values.map(({ name }) => name));
  const makers = producers(graph);
  let moved = 0;
  const nodes = graph.nodes.flatMap((node) => {
    if (node.op !== 'Loop' || node.domain !== '') return [node];
    const found = invariantsOf(graph, makers, node, registry);
    if (found === undefined) return [node];
    moved++;
    return hoist(node, found, values, names);
  });
  return moved === 0 ? graph : { ...graph, values, nodes };
}

interface Invariants {
  readonly body: Graph;
  /** Nodes that go before the loop, in order. */
  readonly nodes: readonly Node[];
  /** Nodes that leave the body; the others of `nodes` are in both. */
  readonly gone: ReadonlySet<Node>;
  /** Values of the body that are captured from now on. */
  readonly captured: readonly ValueId[];
}

/** Undefined: there is nothing to be moved. */
function invariantsOf(
  graph: Graph,
  outside: ReadonlyMap<ValueId, Node>,
  loop: Node,
  registry: Registry,
): Invariants | undefined {
  const body = graphAttr({ node: loop.name, op: loop.op }, loop.attrs, 'body');
  const captures = Number(loop.attrs['captures'] ?? 0);
  const formal = body.inputs.length - captures;
  const makers = producers(body);
  /** Invariant values; true: products that a reader may add to, or copies of such. */
  const known = new Map<ValueId, boolean>();
  /** Those of them that come from captured values. What is left of constants was left on purpose. */
  const varying = new Set<ValueId>();
  body.inputs.slice(formal).forEach((id, i) => {
    const outer = loop.inputs[loop.inputs.length - captures + i];
    const isOpen = outer != null && endsInProduct(graph, outside, outer, registry);
    known.set(id, isOpen);
    varying.add(id);
  });
  for (const { id, constant } of body.values) if (constant !== undefined) known.set(id, false);
  const movable = new Set<Node>();
  for (const node of body.nodes) {
    const made = invariantBody(body, node, known, registry);
    if (made === undefined) continue;
    movable.add(node);
    for (const id of node.outputs) known.set(id, made.isOpen);
    if (read(node).some((id) => varying.has(id))) for (const id of node.outputs) varying.add(id);
  }
  const readers = consumers(body);
  const frontier = new Set<ValueId>();
  const stays = new Set(body.nodes.filter((node) => !movable.has(node)));
  const pending: ValueId[] = [...body.outputs];
  for (const node of stays) pending.push(...read(node));
  const seen = new Set<ValueId>();
  const sort = (): void => {
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      const node = makers.get(id);
      if (seen.has(id) || node === undefined || !movable.has(node)) continue;
      seen.add(id);
      const isInside =
        known.get(id) === true ||
        !varying.has(id) ||
        staysWithReaders(body, makers, node) ||
        meets(body, id, MOVES.has(node.op), readers, registry);
      if (!isInside) frontier.add(id);
      else if (!stays.has(node)) {
        stays.add(node);
        pending.push(...read(node));
      }
    }
  };
  sort();
  // A product that stays is in memory for several readers: were it left one, this would be computed with it.
  const kept = new Set<Node>();
  const isTorn = (node: Node): boolean =>
    movable.has(node) &&
    !stays.has(node) &&
    read(node).some((id) => {
      const maker = makers.get(id);
      return (
        maker !== undefined && (kept.has(maker) || (known.get(id) === true && stays.has(maker)))
      );
    });
  for (let torn = body.nodes.find(isTorn); torn !== undefined; torn = body.nodes.find(isTorn)) {
    kept.add(torn);
    stays.add(torn);
    for (const id of torn.outputs) frontier.delete(id);
    pending.push(...read(torn));
    sort();
  }
  if (frontier.size === 0) return undefined;
  const wanted = new Set<ValueId>(frontier);
  const nodes = body.nodes
    .toReversed()
    .filter((node) => {
      if (!movable.has(node) || !node.outputs.some((id) => wanted.has(id))) return false;
      for (const id of read(node)) wanted.add(id);
      return true;
    })
    .toReversed();
  const gone = new Set(body.nodes.filter((node) => !stays.has(node)));
  const captured = body.values.filter(({ id }) => frontier.has(id)).map(({ id }) => id);
  return { body, nodes, gone, captured };
}

function read(node: Node): readonly ValueId[] {
  return node.inputs.filter((id) => id !== null);
}

/**
 * A node that gives the same in every iteration and cannot fail; `isOpen`: what it gives is a product that a
 * reader may add to in one rounding.
 */
function invariantBody(
  graph: Graph,
  node: Node,
  known: ReadonlyMap<ValueId, boolean>,
  registry: Registry,
): { readonly isOpen: boolean } | undefined {
  if (!read(node).every((id) => known.has(id))) return undefined;
  const bodies = bodiesOf(graph, node, registry);
  if (bodies === undefined) return undefined;
  const ranks = read(node).map((id) => valueById(graph, id).type.shape.length);
  const isImage = ranks.includes(IMAGE_RANK);
  if (bodies.some((body) => mayFail(body) || (isImage && dependsOnLayout(body)))) return undefined;
  const open = node.inputs.map((id) => id !== null && known.get(id) === true);
  // What is computed of a product could come to be computed with it, outside.
  const isMove = bodies.every((body) => copiedOperand(body) !== undefined);
  const readsCapturedProduct = open.some(Boolean);
  if (readsCapturedProduct && !isMove) {
    const ownProducts = node.inputs.every(
      (id, i) => open[i] !== true || id === null || isOwnProduct(graph, id),
    );
    if (!ownProducts) return undefined;
  }
  return { isOpen: bodies.some((body) => isProduct(body, (k) => open[k] === true)) };
}

/** Is the value computed in the body, moved at most, and read once? Then it goes where its reader goes. */
function isOwnProduct(graph: Graph, id: ValueId): boolean {
  const makers = producers(graph);
  const readers = consumers(graph);
  for (let at = id; ; ) {
    const node = makers.get(at);
    const uses = readers.get(at) ?? [];
    if (node === undefined || uses.length !== 1 || graph.outputs.includes(at)) return false;
    const [source] = node.inputs;
    if (node.inputs.length > 2 || source == null || !MOVES.has(node.op)) return true;
    at = source;
  }
}

const MOVES: ReadonlySet<string> = new Set([
  'Expand',
  'Flatten',
  'Identity',
  'Reshape',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/** Undefined: no core operator, or one that draws. */
function bodiesOf(graph: Graph, node: Node, registry: Registry): readonly StageBody[] | undefined {
  const def = registry.find(node.op, node.domain);
  if (def?.kind !== 'core' || firstDraw(node.op, node.domain) !== undefined) return undefined;
  const outputs = node.outputs.map((id) => valueById(graph, id).type);
  const inputs = node.inputs.map((id) => (id === null ? null : inputOf(valueById(graph, id))));
  if (outputs.some(({ dtype }) => dtype === 'string')) return undefined;
  const { name, op, attrs } = node;
  const context = { node: name, op, attrs, inputs, outputs, outputCount: outputs.length };
  const bodies = def.lower(context);
  return typeof bodies === 'string' ? undefined : bodies;
}

/** Everything that a body computes; an alias and a concatenation compute nothing. */
function exprsOf(body: StageBody): readonly Expr[] {
  switch (body.kind) {
    case 'map':
      return [...body.outIndex, body.value];
    case 'reduce':
      return [...body.outIndex, body.value, ...body.steps.map(({ value }) => value)];
    case 'contract':
      return [...body.outIndex, body.a, body.b, body.epilogue];
    default:
      return [];
  }
}

/** Routines check what they read; so do indices from data, and integer divisors. */
function mayFail(body: StageBody): boolean {
  if (isOpaque(body)) return true;
  let found = false;
  for (const expr of exprsOf(body)) {
    visitExpr(expr, (part) => {
      if (part.kind === 'bound') found = true;
      if (part.kind !== 'binary' || isFloat(part.dtype) || !DIVISIONS.has(part.op)) return;
      if (part.b.kind !== 'const' || Number(part.b.value) === 0) found = true;
    });
  }
  return found;
}

/** Values of this rank may have blocked layouts. */
const IMAGE_RANK = 4;

/** Does the order of a sum depend on how images lie in memory? */
function dependsOnLayout(body: StageBody): boolean {
  if (body.kind === 'contract') return body.spec.kind !== 'matmul';
  if (body.kind !== 'reduce') return false;
  return body.steps.some(({ op, dtype }) => isFloat(dtype) && (op === 'sum' || op === 'prod'));
}

/**
 * Is the value read by a product, which would be fused otherwise where its operand lies in memory, or, when it is
 * `moved`, by a sum that may be computed with what moves it?
 */
function meets(
  graph: Graph,
  id: ValueId,
  moved: boolean,
  readers: ReadonlyMap<ValueId, readonly Node[]>,
  registry: Registry,
): boolean {
  return (readers.get(id) ?? []).some((node) => {
    const bodies = bodiesOf(graph, node, registry);
    // What else reads it finds it in memory.
    if (bodies === undefined || bodies.some(({ kind }) => kind === 'contract')) return false;
    if (bodies.some((body) => isProduct(body, () => false))) return true;
    const copies = bodies.every((body) => copiedOperand(body) !== undefined);
    if (!moved && !copies) return false;
    if (moved && bodies.some(dependsOnLayout)) return true;
    return (
      !bodies.some(isOpaque) &&
      node.outputs.some((to) => meets(graph, to, moved, readers, registry))
    );
  });
}

const DIVISIONS: ReadonlySet<string> = new Set(['div', 'floordiv', 'mod', 'fmod']);

/** The operand that a body gives the elements of, unchanged. */
function copiedOperand(body: StageBody): number | undefined {
  if (body.kind === 'alias') return 0;
  if (body.kind === 'concat') return 0;
  return body.kind === 'map' && body.value.kind === 'load' ? Number(body.value.source) : undefined;
}

/** Is what the body writes a product, which the C compiler may contract with an addition behind it? */
function isProduct(body: StageBody, isOpen: (operand: number) => boolean): boolean {
  if (body.kind === 'alias') return isOpen(0);
  if (body.kind === 'concat') return true;
  if (isOpaque(body)) return false;
  const root = body.kind === 'contract' ? body.epilogue : body.value;
  const check = (expr: Expr): boolean => {
    if (!isFloat(expr.dtype)) return false;
    switch (expr.kind) {
      case 'binary':
        // A division by a power of two becomes a product.
        return expr.op === 'mul' || (expr.op === 'div' && expr.b.kind === 'const');
      case 'unary':
        return expr.op === 'neg' && check(expr.x);
      case 'select':
        return check(expr.a) || check(expr.b);
      case 'cast':
        return check(expr.x);
      case 'load':
        return isOpen(Number(expr.source));
      default:
        return false;
    }
  };
  return check(root);
}

/** The same of a value around the loop. */
function endsInProduct(
  graph: Graph,
  makers: ReadonlyMap<ValueId, Node>,
  id: ValueId,
  registry: Registry,
): boolean {
  const node = makers.get(id);
  if (node === undefined) return false;
  const bodies = bodiesOf(graph, node, registry);
  if (bodies === undefined) return false;
  const operand = (k: number): boolean => {
    const source = node.inputs[k];
    return source != null && endsInProduct(graph, makers, source, registry);
  };
  return bodies.some((body) => isProduct(body, operand));
}

/** Is the node nothing that its readers would gain by finding done? */
function staysWithReaders(graph: Graph, makers: ReadonlyMap<ValueId, Node>, node: Node): boolean {
  if (VIEWS.has(node.op) || node.op === 'DequantizeLinear') return true;
  const source = node.inputs[0] == null ? undefined : makers.get(node.inputs[0]);
  // The way back from a narrow type, moved.
  if (MOVES.has(node.op) && source !== undefined && !VIEWS.has(source.op)) {
    if (source.op === 'DequantizeLinear' || isWidening(graph, source)) return true;
  }
  if (isWidening(graph, node)) return true;
  if (HEAVY.has(node.op)) return false;
  const elements = (id: ValueId): number => elementCount(valueById(graph, id).type.shape);
  const largest = Math.max(0, ...read(node).map(elements));
  return node.outputs.reduce((sum, id) => sum + elements(id), 0) > largest;
}

function isWidening(graph: Graph, { op, inputs, outputs }: Node): boolean {
  const [input] = inputs;
  if (op !== 'Cast' || input == null) return false;
  const [from, to] = [dtypeOf(graph, input), dtypeOf(graph, at(outputs, 0))];
  return isFloat(from) && isFloat(to) && dtypeBytes(to) > dtypeBytes(from);
}

function dtypeOf(graph: Graph, id: ValueId): DType {
  return valueById(graph, id).type.dtype;
}

const VIEWS: ReadonlySet<string> = new Set([
  'Flatten',
  'Identity',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
]);
/** Worth to be computed once, however large the result. */
const HEAVY: ReadonlySet<string> = new Set(['Gemm', 'MatMul']);

/** The nodes before the loop, and the loop. */
function hoist(
  loop: Node,
  { body, nodes, gone, captured }: Invariants,
  values: Value[],
  names: Set<string>,
): readonly Node[] {
  const captures = Number(loop.attrs['captures'] ?? 0);
  const known = new Map<ValueId, ValueId | null>();
  const formal = body.inputs.length - captures;
  body.inputs.slice(formal).forEach((id, i) => {
    known.set(id, at(loop.inputs, loop.inputs.length - captures + i));
  });
  const add = (id: ValueId): ValueId => {
    const { name, type, constant } = valueById(body, id);
    const made: ValueId = values.length;
    const own = `${loop.name}/${name}`;
    let unique = own;
    for (let n = 1; names.has(unique); n++) unique = `${own}.${n}`;
    names.add(unique);
    values.push({ id: made, name: unique, type, ...(constant === undefined ? {} : { constant }) });
    known.set(id, made);
    return made;
  };
  const outer = (id: ValueId | null): ValueId | null =>
    id === null ? null : (known.get(id) ?? add(id));
  const before = nodes.map(
    (node): Node => ({ ...node, inputs: node.inputs.map(outer), outputs: node.outputs.map(add) }),
  );
  const rest: Graph = {
    ...body,
    nodes: body.nodes.filter((node) => !gone.has(node)),
    inputs: [...body.inputs, ...captured],
  };
  const attrs = {
    ...loop.attrs,
    body: compactGraph(rest, new Map(body.values.map(({ id, name }) => [id, name]))),
    captures: captures + captured.length,
  };
  return [
    ...before,
    dropUnread({ ...loop, inputs: [...loop.inputs, ...captured.map(outer)], attrs }),
  ];
}
