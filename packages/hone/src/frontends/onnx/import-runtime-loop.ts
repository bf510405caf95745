/** `Loop` that runs as often as data says: as a node, written out, or with room for what it carries. */
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { ValueId } from '../../graph/types.ts';
import { constantTensor } from '../../graph/walk.ts';
import { graphsOf } from './analyze.ts';
import { type Entity, isTensor } from './entities.ts';
import { withEvenCarried } from './import-carried.ts';
import type { ImportGraph } from './import-control.ts';
import { importGrowingLoop } from './import-growing-loop.ts';
import { hasKnownTrips, unrollLoop } from './import-loop.ts';
import type { Scope } from './import-scope.ts';
import type { OnnxNode } from './types.ts';

/** A loop as a node; one whose shapes change from iteration to iteration is written out. */
export function importLoop(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (ValueId | null)[],
  asNode: (inputs: readonly (ValueId | null)[]) => readonly (Entity | undefined)[],
  importGraph: ImportGraph,
): readonly (Entity | undefined)[] {
  let reason: HoneError | undefined;
  let given = inputs;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const names = new Set(scope.state.nodeNames);
    try {
      return asNode(given);
    } catch (error) {
      if (!isShapeError(error)) throw error;
      reason = error;
    }
    forgetNames(scope, names);
    const even = evenCarried(scope, node, name, given, importGraph);
    forgetNames(scope, names);
    if (even === undefined) break;
    given = even;
  }
  return importGrowing(scope, node, name, given, importGraph, reason);
}

/** A rank that changes may change another one: so often the inputs are made even. */
const MOST_ROUNDS = 4;

/** Of nodes that were imported to find something out the names are free again. */
function forgetNames({ state: { nodeNames } }: Scope, known: ReadonlySet<string>): void {
  for (const name of nodeNames) if (!known.has(name)) nodeNames.delete(name);
}

function evenCarried(
  ...args: Parameters<typeof withEvenCarried>
): ReturnType<typeof withEvenCarried> {
  try {
    return withEvenCarried(...args);
  } catch (error) {
    if (isShapeError(error)) return undefined;
    throw error;
  }
}

const isShapeError = (error: unknown): error is HoneError =>
  error instanceof HoneError && error.code.startsWith('HONE-SHAPE');

/**
 * A loop whose carried values change their sizes: written out where it is known how often it runs, else
 * with room for the largest. `cause`: why it is no loop of fixed sizes.
 */
export function importGrowing(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  importGraph: ImportGraph,
  cause?: HoneError,
): readonly (Entity | undefined)[] {
  const written = (): readonly Entity[] => unrollLoop(scope, node, name, inputs, importGraph);
  const planned = (mayAssume: boolean) => (): readonly Entity[] =>
    importGrowingLoop(scope, node, name, inputs, importGraph, mayAssume);
  let reason = cause;
  const isLong = writtenNodes(scope, node, inputs) > MAX_WRITTEN;
  const ways = hasKnownTrips(scope, inputs)
    ? [...(isLong ? [planned(false)] : []), written, planned(true)]
    : [planned(true)];
  for (const way of ways) {
    try {
      return way();
    } catch (error) {
      if (!isShapeError(error)) throw error;
      reason ??= error;
    }
  }
  throw reason ?? new TypeError(`${name} was not tried`);
}

/** A loop with more nodes than this, written out, is rather kept as a loop. */
const MAX_WRITTEN = 4096;

/** How many nodes a loop has when it is written out, where it is known how often it runs. */
function writtenNodes(scope: Scope, node: OnnxNode, inputs: readonly (Entity | null)[]): number {
  const [trips] = inputs;
  const [body] = graphsOf(node);
  if (trips == null || !isTensor(trips) || body === undefined) return 0;
  const value = scope.builder.graph.value(trips);
  if (value.constant === undefined) return 0;
  return body.nodes.length * Number(constantTensor(value).data[0] ?? 0);
}
