/**
 * How a model fails: the first of import, compilation without a C compiler, compilation with one, and
 * a run whose outputs are compared with the interpreter's, that goes wrong.
 */
import { load } from 'hone-runtime';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { withScratch } from '../../backends/c/toolchain-run.ts';
import { compareOutputs, worstOutput } from '../../bench/compare-outputs.ts';
import { buildModel } from '../../compile/build-artifact.ts';
import { type CompileOptions, writeArtifact } from '../../compile/index.ts';
import { compileForTargets } from '../../compile/pipeline.ts';
import { importOnnx, type OnnxModel } from '../../frontends/onnx/index.ts';
import type { Graph } from '../../graph/types.ts';
import { visibleOutputs } from '../../graph/extents.ts';
import { givenInputs } from '../../graph/ranges.ts';
import { valueById } from '../../graph/walk.ts';
import { interpret } from '../../ops/interpret.ts';
import { standardRegistry } from '../../ops/registry.ts';
import { asHoneError } from '../errors.ts';
import { randomSamples } from '../input/samples.ts';

export const STAGES = ['import', 'compile', 'build', 'outputs'] as const;
export type Stage = (typeof STAGES)[number];

export interface Failure {
  readonly stage: Stage;
  /** Null: no error, but outputs that differ. */
  readonly code: string | null;
  readonly message: string;
  readonly subject: string | null;
  readonly cure: string | null;
}

/** Follows the model up to `last`; null where nothing goes wrong. */
export async function findFailure(
  model: OnnxModel,
  options: CompileOptions,
  last: Stage,
  seed = 0,
): Promise<Failure | null> {
  const isAsked = (stage: Stage): boolean => STAGES.indexOf(stage) <= STAGES.indexOf(last);
  let stage: Stage = 'import';
  try {
    const { graph } = importOnnx(model, options);
    if (!isAsked('compile')) return null;
    stage = 'compile';
    const compiled = compileForTargets(graph, options);
    if (!isAsked('build')) return null;
    stage = 'build';
    const source = { name: 'part.onnx', bytes: 0, sha256: '0'.repeat(64) };
    const built = await buildModel(compiled, source, [], options, () => 'part.onnx');
    if (!isAsked('outputs')) return null;
    stage = 'outputs';
    return await withScratch(async (folder) => {
      const artifact = `${folder}/part.hone`;
      await writeArtifact(built, artifact);
      return await compareRun(graph, artifact, options, seed);
    });
  } catch (thrown) {
    const { code, message, subject, cure } = asHoneError(thrown);
    return { stage, code, message, subject: subject ?? null, cure: cure ?? null };
  }
}

async function compareRun(
  graph: Graph,
  artifact: string,
  options: CompileOptions,
  seed: number,
): Promise<Failure | null> {
  const specs = givenInputs(graph).map((id) => {
    const { name, type } = valueById(graph, id);
    return { name, dtype: type.dtype, shape: type.shape };
  });
  const [sample] = [...randomSamples(specs, 1, seed)];
  const inputs: Readonly<Record<string, Tensor>> = sample?.inputs ?? {};
  const session = load(artifact, { threads: 1 });
  try {
    const actual = await session.run(inputs);
    const given = specs.flatMap(({ name }) => inputs[name] ?? []);
    const results = interpret(graph, given, options.registry ?? standardRegistry);
    const expected = Object.fromEntries(
      visibleOutputs(graph).flatMap((id, i) => {
        const tensor = results[i];
        return tensor === undefined || tensor.dtype === 'string'
          ? []
          : [[valueById(graph, id).name, tensor] as const];
      }),
    );
    const worst = worstOutput(compareOutputs(actual, expected));
    if (worst === undefined || worst.within) return null;
    return {
      stage: 'outputs',
      code: null,
      message: `output ${worst.name} differs from the interpreter's: ${worst.problem ?? ''}, by ${worst.maxError.toPrecision(3)} at most where its scale is ${worst.scale.toPrecision(3)}`,
      subject: worst.name,
      cure: null,
    };
  } finally {
    session.close();
  }
}

/**
 * Do two failures look like one? The same stage and code; of errors that are about a node of the model,
 * the same node; of faults that have no code of their own, the same words.
 */
export function isSameFailure(
  first: Failure,
  other: Failure | null,
  nodes: ReadonlySet<string>,
): boolean {
  if (other === null || other.stage !== first.stage || other.code !== first.code) return false;
  if (first.code === null) return true;
  if (first.subject !== null && nodes.has(first.subject)) return other.subject === first.subject;
  const words = (text: string): string => text.replace(/[\d"'`]+/g, '');
  return !first.code.startsWith('HONE-INTERNAL') || words(first.message) === words(other.message);
}

/** For messages. */
export function failureText({ stage, code, message }: Failure): string {
  return code === null ? message : `${code} (${stage}): ${message}`;
}

/** An error again, for failures that are no model's. */
export function failureError({ code, message, subject, cure }: Failure, more: string): HoneError {
  return new HoneError({
    code: (code ?? 'HONE-CLI-010') as HoneError['code'],
    message: `${message} (${more})`,
    ...(subject === null ? {} : { subject }),
    ...(cure === null ? {} : { cure }),
  });
}
