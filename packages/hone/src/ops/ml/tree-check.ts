/**
 * What walks through TreeLeaves' tables rely on: nodes and features that are there, ways to compare that are
 * known, and leaves at the end of every way. The routine looks at none of it.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import { typeError } from '../checks.ts';
import { MODES } from './tree-table.ts';

/** Numbers of a node: feature, way of "yes", way of "no", code. */
export const NODE_WIDTH = 4;
/** Of a code: how to compare; behind it, whether a missing value takes the way of "yes". */
export const MODE_BITS = 3;
/** Nodes compare in different ways, each by its own code; what missing values do is in the code anyway. */
export const MIXED = -1;

export interface WalkTables {
  /** i32 [nodes, 4] */
  readonly nodes: Tensor;
  /** i32 [trees] */
  readonly roots: Tensor;
  readonly features: number;
  readonly mode: number;
}

/** What was found sound, by its elements: tables of millions of nodes are asked for in every pass. */
const sound = new WeakMap<object, string>();

/** Throws HONE-OP-004 on tables that a walk would leave or never end in. */
export function checkTables(ctx: { node: string; op: string }, tables: WalkTables): void {
  const { nodes, roots, features, mode } = tables;
  const modes = MODES.length;
  const asked = [features, mode, ...toNumbers(roots)].join();
  if (sound.get(nodes.data) === asked) return;
  if (!(mode >= MIXED && mode < modes)) typeError(ctx, `mode ${mode}`);
  const table = Int32Array.from(toNumbers(nodes));
  const count = table.length / NODE_WIDTH;
  const field = (node: number, k: number): number => table[node * NODE_WIDTH + k] as number;
  const isThere = (node: number): boolean => node >= 0 && node < count;
  for (let node = 0; node < count; node++) {
    const [feature, yes, no, code] = [0, 1, 2, 3].map((k) => field(node, k)) as [
      number,
      number,
      number,
      number,
    ];
    if (!(feature >= 0 && feature < features)) {
      typeError(ctx, `node ${node} of its trees reads feature ${feature} of ${features}`);
    }
    if (!isThere(yes) || !isThere(no)) {
      typeError(ctx, `node ${node} of its trees leads to ${yes} and ${no} of ${count}`);
    }
    const isLeaf = yes === node && no === node;
    if (
      !isLeaf &&
      (code < 0 || code >> MODE_BITS > 1 || (code & ((1 << MODE_BITS) - 1)) >= modes)
    ) {
      typeError(ctx, `node ${node} of its trees has the code ${code}`);
    }
  }
  const starts = [...toNumbers(roots)];
  const lost = starts.find((root) => !isThere(root));
  if (lost !== undefined) typeError(ctx, `a tree begins at node ${lost} of ${count}`);
  const circle = circleIn(starts, (node) => [field(node, 1), field(node, 2)], count);
  if (circle !== undefined) typeError(ctx, `node ${circle} of its trees leads back to itself`);
  sound.set(nodes.data, asked);
}

/** A node on a circle that can be reached; a node whose both ways are itself is a leaf. */
function circleIn(
  starts: readonly number[],
  waysOf: (node: number) => readonly [number, number],
  count: number,
): number | undefined {
  const [OPEN, DONE] = [1, 2];
  const states = new Uint8Array(count);
  const stack: number[] = [];
  for (const start of starts) {
    stack.push(start);
    while (stack.length > 0) {
      const node = at(stack, stack.length - 1);
      const ways = waysOf(node);
      const isLeaf = ways.every((way) => way === node);
      if (states[node] !== 0 || isLeaf) {
        states[node] = DONE;
        stack.pop();
        continue;
      }
      states[node] = OPEN;
      for (const way of ways) {
        if (states[way] === OPEN) return way;
        if (states[way] === 0) stack.push(way);
      }
    }
  }
  return undefined;
}
