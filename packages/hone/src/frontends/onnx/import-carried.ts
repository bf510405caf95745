/**
 * What a loop carries and begins with in another shape than an iteration gives it, as exporters write it:
 * a flag of one element that is a scalar before the loop and a list of one in it, and a name that stands for
 * nothing before the loop, which no iteration reads.
 */
import { toNumbers } from 'hone-runtime/base/tensor';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { freeNames, type ImportGraph, importSubgraphs, type Part } from './import-control.ts';
import { bodyOf } from './import-loop.ts';
import { note, rankOfOne, withRank } from './import-ranks.ts';
import type { Scope } from './import-scope.ts';
import type { OnnxNode } from './types.ts';

/** Inputs of a Loop: the number of iterations, the condition, what it carries. */
const FIRST_CARRIED = 2;

/** The inputs of a loop with such values as an iteration gives them; undefined where there are none. */
export function withEvenCarried(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (ValueId | null)[],
  importGraph: ImportGraph,
): readonly (ValueId | null)[] | undefined {
  const { builder } = scope;
  const source = bodyOf(node, name);
  // Without inputs of its own, the body reads those it uses from outside.
  const read = freeNames({ ...source, inputs: [] });
  const runs = runsOnce(scope, inputs);
  const parts: Part[] = [];
  importSubgraphs(scope, node, name, inputs, importGraph, { onPart: (part) => parts.push(part) });
  const [body] = parts;
  if (body === undefined) return undefined;
  const even = inputs.map((id, i) => {
    const k = i - FIRST_CARRIED;
    const after = body.outputs[k + 1];
    if (k < 0 || id === null || typeof after !== 'number') return id;
    const [own, next] = [builder.typeOf(id), body.builder.typeOf(after)];
    if (own.dtype !== next.dtype || own.shape.join() === next.shape.join()) return id;
    const rank = rankOfOne(body, after);
    if (rankOfOne({ builder }, id) !== undefined && rank !== undefined) {
      note(
        scope,
        `node ${name} (Loop): carried value ${k} begins with ${own.shape.length} axes and one element, and an iteration gives it ${rank}; it has ${rank} here`,
      );
      return withRank(builder, id, rank);
    }
    // No iteration sees how it begins, and one iteration at least replaces it.
    const isPlaceholder = runs && !read.has(source.inputs[i]?.name ?? '');
    return isPlaceholder ? builder.filled(next.dtype, next.shape) : id;
  });
  return even.some((id, i) => id !== inputs[i]) ? even : undefined;
}

/** Does a loop run one iteration at least, whatever the data? */
function runsOnce({ builder }: Scope, inputs: readonly (ValueId | null)[]): boolean {
  return inputs.slice(0, FIRST_CARRIED).every((id) => {
    if (id === null) return true;
    const value = builder.graph.value(id);
    return value.constant !== undefined && (toNumbers(constantTensor(value))[0] ?? 0) > 0;
  });
}
