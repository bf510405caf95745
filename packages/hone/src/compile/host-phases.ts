/**
 * A compiled part that steps on texts interrupt: phases in one graph. Each is an `If` on the number of the phase,
 * an input of its own, and gives zeros in the others. The Node runtime runs the part once for each phase; what
 * one phase makes for another is an output, and an input when that one runs.
 *
 * So there is one library, one arena and one file of weights, however often texts and numbers take turns.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { NativePhase } from 'hone-runtime/host/program';
import { GraphBuilder } from '../graph/build.ts';
import { withOutputs } from '../graph/extents.ts';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { OpBuilder } from '../ops/builder.ts';
import type { Registry } from '../ops/registry.ts';
import { compactGraph } from '../passes/compact.ts';
import { runPasses } from '../passes/index.ts';

export interface Phased {
  readonly graph: Graph;
  /** One for each run of the part. */
  readonly phases: readonly NativePhase[];
}

/** `phases`: the nodes of each; `wanted`: what steps and users read of what they make, and constants. */
export function phasedGraph(
  graph: Graph,
  phases: readonly (readonly Node[])[],
  wanted: readonly ValueId[],
  registry: Registry,
): Phased {
  const madeIn = new Map<ValueId, number>(
    phases.flatMap((nodes, p) =>
      nodes.flatMap(({ outputs }) => outputs.map((id) => [id, p] as const)),
    ),
  );
  const isConstant = (id: ValueId): boolean => valueById(graph, id).constant !== undefined;
  const readBy = phases.map((nodes) =>
    unique(nodes.flatMap(({ inputs }) => inputs.flatMap((id) => id ?? []))).filter(
      (id) => !isConstant(id),
    ),
  );
  const reads = readBy.map((ids, p) => ids.filter((id) => madeIn.get(id) !== p));
  const kept = unique(reads.flat().filter((id) => madeIn.has(id)));
  const given = unique(reads.flat().filter((id) => !madeIn.has(id)));
  const part = withOutputs(graph, unique([...wanted, ...kept]));
  const builder = new OpBuilder(new GraphBuilder(graph.name), registry.find);
  const names = new Set(graph.values.map(({ name }) => name));
  const phase = freeName(names, 'phase');
  const number = builder.graph.input(phase, { dtype: 'i64', shape: [] });
  const outside = new Map<ValueId, ValueId>();
  const input = (id: ValueId, name: string): void => {
    outside.set(id, builder.graph.input(name, valueById(graph, id).type));
  };
  for (const id of given) input(id, valueById(graph, id).name);
  const keeps = new Map(
    kept.map((id) => [id, freeName(names, `${valueById(graph, id).name}.kept`)] as const),
  );
  for (const [id, name] of keeps) input(id, name);
  const made = new Map<ValueId, ValueId>();
  phases.forEach((nodes, p) => {
    const own = unique(part.outputs).filter((id) => madeIn.get(id) === p);
    // A phase that only checks something gives what it checks.
    const outputs = own.length > 0 ? own : [...(nodes.at(-1)?.outputs ?? [])];
    const body: Graph = { ...bare(graph), inputs: at(reads, p), nodes, outputs };
    const results = phaseNode(builder, number, p, compactGraph(body, new Map()), {
      captures: at(reads, p).map((id) => outside.get(id) ?? -1),
      names: outputs.map((id) => valueById(graph, id).name),
    });
    outputs.forEach((id, i) => {
      made.set(id, at(results, i));
    });
  });
  const outputIds = part.outputs.map((id) => {
    const have = made.get(id);
    if (have !== undefined) return have;
    const { constant, type, name } = valueById(graph, id);
    return constant === undefined
      ? at([...outside.values()], 0)
      : builder.graph.storedConstant(constant, type, name);
  });
  const visible = unique([...wanted, ...kept]);
  return {
    graph: runPasses(builder.graph.finish(outputIds, part.extents), { registry }),
    phases: phases.map((_, p) => ({
      input: phase,
      number: p,
      gives: visible
        .filter((id) => (madeIn.get(id) ?? phases.length - 1) === p)
        .map((id) => valueById(graph, id).name),
      keeps: Object.fromEntries([...keeps].map(([id, name]) => [name, valueById(graph, id).name])),
    })),
  };
}

function phaseNode(
  builder: OpBuilder,
  number: ValueId,
  phase: number,
  body: Graph,
  { captures, names }: { readonly captures: readonly ValueId[]; readonly names: readonly string[] },
): readonly ValueId[] {
  const other = builder.nested(`${body.name} in other phases`);
  for (const id of body.inputs)
    other.graph.input(valueById(body, id).name, valueById(body, id).type);
  const zeros = body.outputs.map((id) => {
    const { dtype, shape } = valueById(body, id).type;
    return other.filled(dtype, shape);
  });
  const attrs = {
    then_branch: body,
    else_branch: other.graph.finish(zeros),
    captures: captures.length,
  };
  const isNow = builder.op('Equal', [number, builder.scalar(phase, 'i64')]);
  const options = { name: `phase ${phase}`, outputs: names.length, outputNames: names };
  return builder.ops('If', [isNow, ...captures], attrs, options);
}

/** Without what is said of its outputs. */
function bare({ extents: _, ranges: __, ...rest }: Graph): Graph {
  return rest;
}

const unique = <T>(list: readonly T[]): readonly T[] => [...new Set(list)];

function freeName(taken: Set<string>, wanted: string): string {
  let name = wanted;
  for (let n = 1; taken.has(name); n++) name = `${wanted}.${n}`;
  taken.add(name);
  return name;
}
