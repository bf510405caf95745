/**
 * The graphs an artifact is compared with: the model as it is, in fp32, and the model with the
 * artifact's precisions written out but nothing fused or narrowed (its emulation). Both give inner
 * values as outputs.
 */
import { load, type Session } from 'hone-runtime';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import path from 'node:path';
import type { Graph, ValueId } from '../../graph/types.ts';
import { withOutputs } from '../../graph/extents.ts';
import { producers } from '../../graph/walk.ts';
import { writeArtifact } from '../build-artifact.ts';
import { compileBuiltGraph } from '../compile-graph.ts';
import type { CompileOptions } from '../options.ts';

/** Values by name for given inputs. */
export type Evaluate = (
  inputs: Readonly<Record<string, Tensor>>,
) => ReadonlyMap<string, Float64Array>;

export interface Compiled {
  readonly evaluate: Evaluate;
  /** Names that it gives. */
  readonly names: ReadonlySet<string>;
  close(): void;
}

/** Compiles a graph whose outputs are the named values that it has and that something computes. */
export async function compileValues(
  graph: Graph,
  wanted: Iterable<string>,
  folder: string,
  options: Pick<CompileOptions, 'fuse' | 'timeoutMs' | 'registry'>,
): Promise<Compiled> {
  const made = producers(graph);
  const ids = new Map<string, ValueId>();
  const byName = new Map(graph.values.map((value) => [value.name, value]));
  for (const name of wanted) {
    const value = byName.get(name);
    const real = ['f32', 'f16', 'bf16', 'f64', 'u8'].includes(value?.type.dtype ?? '');
    if (value !== undefined && real && made.has(value.id)) ids.set(name, value.id);
  }
  if (ids.size === 0) return { evaluate: () => new Map(), names: new Set(), close: () => {} };
  const widened = withOutputs(graph, [...ids.values()]);
  const model = await compileBuiltGraph(widened, options);
  const artifact = path.join(
    folder,
    `${graph.name.length}-${options.fuse ?? true}-${ids.size}.hone`,
  );
  await writeArtifact(model, artifact);
  const session: Session = load(artifact);
  const needed = session.signature.inputs.map(({ name }) => name);
  return {
    names: new Set(ids.keys()),
    evaluate(inputs) {
      const given = Object.fromEntries(needed.map((name) => [name, inputs[name] as Tensor]));
      const outputs = session.runSync(given);
      return new Map([...ids.keys()].map((name) => [name, toNumbers(outputs[name] as Tensor)]));
    },
    close: () => session.close(),
  };
}
