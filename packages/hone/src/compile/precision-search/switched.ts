/**
 * What int8 does to a model's answers where state is carried: one compiled graph computes each
 * contraction wide and through its quantised operands, and a switch per layer group says which result
 * goes on. So every mix can be run over a sequence of samples, its state fed back, without a build.
 */
import { load, type Session } from 'hone-runtime';
import { at } from 'hone-runtime/base/diagnostics';
import { fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import path from 'node:path';
import type { Graph, ValueId, ValueType } from '../../graph/types.ts';
import { valueById } from '../../graph/walk.ts';
import type { Registry } from '../../ops/registry.ts';
import type { PrecisionPlan } from '../../passes/precision-plan.ts';
import { writeArtifact } from '../build-artifact.ts';
import type { Carried } from '../calibrate/carried.ts';
import type { CompleteSample } from '../calibrate/run.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { LayerGroup } from './groups.ts';
import { appendTo, int8Twin } from './int8-twin.ts';
import type { Outputs } from './metric.ts';

/** The outputs for every sample; what one leaves goes to the next where that continues it. */
export function runInSequence(
  session: Pick<Session, 'runSync'>,
  samples: readonly CompleteSample[],
  carried: Carried,
  others: Readonly<Record<string, Tensor>> = {},
): readonly Outputs[] {
  let before: Outputs = {};
  return samples.map(({ inputs, continues }) => {
    const left = continues
      ? [...carried].map(([input, output]) => [input, before[output] as Tensor] as const)
      : [];
    before = session.runSync({ ...inputs, ...Object.fromEntries(left), ...others });
    return before;
  });
}

/** Noise over signal (power) of the worst of the outputs that are not carried; of all if all are. */
export function sequenceNoise(
  reference: readonly Outputs[],
  outputs: readonly Outputs[],
  carried: Carried,
): number {
  const states = new Set(carried.values());
  const names = Object.keys(at(reference, 0));
  const answers = names.filter((name) => !states.has(name));
  const shares = (answers.length > 0 ? answers : names).map((name) => {
    let [signal, noise] = [0, 0];
    reference.forEach((wanted, run) => {
      const got = toNumbers(at(outputs, run)[name] as Tensor);
      toNumbers(wanted[name] as Tensor).forEach((value, i) => {
        signal += value ** 2;
        noise += (value - (got[i] as number)) ** 2;
      });
    });
    return noise / Math.max(signal, Number.MIN_VALUE);
  });
  return Math.max(...shares);
}

export interface Switched {
  /** Outputs with the groups at these positions in int8, the others wide. */
  run(narrow: ReadonlySet<number>): readonly Outputs[];
  close(): void;
}

export async function switchedModel(
  graph: Graph,
  registry: Registry,
  plan: PrecisionPlan,
  groups: readonly LayerGroup[],
  sequence: { readonly samples: readonly CompleteSample[]; readonly carried: Carried },
  folder: string,
): Promise<Switched> {
  const model = await compileBuiltGraph(withSwitches(graph, registry, plan, groups), { registry });
  const artifact = path.join(folder, 'switched.hone');
  await writeArtifact(model, artifact);
  const session = load(artifact);
  const [off, on] = [fromNumbers('f32', [], [0]), fromNumbers('f32', [], [1])];
  return {
    run: (narrow) => {
      const switches = groups.map((_, i) => [switchName(i), narrow.has(i) ? on : off] as const);
      const { samples, carried } = sequence;
      return runInSequence(session, samples, carried, Object.fromEntries(switches));
    },
    close: () => session.close(),
  };
}

const switchName = (group: number): string => `int8 switch ${group}`;

function withSwitches(
  graph: Graph,
  registry: Registry,
  plan: PrecisionPlan,
  groups: readonly LayerGroup[],
): Graph {
  const groupOf = new Map(
    groups.flatMap(({ nodes }, i) => nodes.map((name) => [name, i] as const)),
  );
  const to = appendTo(graph, [], registry);
  const { values, nodes } = to;
  const scalar: ValueType = { dtype: 'f32', shape: [] };
  const switches = groups.map((_, i) => to.add({ name: switchName(i), type: scalar }));
  const replaced = new Map<ValueId, ValueId>();
  const read = (id: ValueId | null): ValueId | null =>
    id === null ? null : (replaced.get(id) ?? id);
  graph.nodes.forEach((node, i) => {
    const inputs = node.inputs.map(read);
    nodes.push({ ...node, inputs });
    const group = groupOf.get(node.name);
    const [result] = node.outputs;
    if (group === undefined || result === undefined) return;
    const label = `int8 of ${i}`;
    const twin = int8Twin(to, graph, plan, node, inputs, label);
    if (twin === undefined) return;
    const { type } = valueById(graph, result);
    const apart = to.op('Sub', [twin, result], {}, type, `${label}: difference`);
    const share = to.op('Mul', [apart, at(switches, group)], {}, type, `${label}: share`);
    replaced.set(result, to.op('Add', [result, share], {}, type, `${label}: chosen`));
  });
  const outputs = graph.outputs.map((id) => {
    const chosen = replaced.get(id);
    if (chosen === undefined) return id;
    // An output keeps its name.
    const [wide, mixed] = [valueById({ ...graph, values }, id), at(values, chosen)];
    values[id] = { ...wide, name: `${wide.name}, wide` };
    values[chosen] = { ...mixed, name: wide.name };
    return chosen;
  });
  return { ...graph, values, nodes, inputs: [...graph.inputs, ...switches], outputs };
}
