/**
 * Which branches may be computed without being taken: a few element-wise nodes on small tensors, none of
 * which can fail on data. Both branches and a choice then fuse into their neighbours.
 */
import { isFloat } from 'hone-runtime/base/dtype';
import { elementCount } from 'hone-runtime/base/tensor';
import type { Graph, Node } from '../../graph/types.ts';
import { valueById } from '../../graph/walk.ts';

const MAX_NODES = 12;
const MAX_ELEMENTS = 16 * 1024;

/** Operators that cost a few instructions an element, and are defined for every element. */
const HARMLESS: ReadonlySet<string> = new Set([
  'Abs',
  'Add',
  'And',
  'Cast',
  'Ceil',
  'Clip',
  'Concat',
  'Equal',
  'Expand',
  'Flatten',
  'Floor',
  'Greater',
  'GreaterOrEqual',
  'Identity',
  'LeakyRelu',
  'Less',
  'LessOrEqual',
  'Max',
  'Min',
  'Mul',
  'Neg',
  'Not',
  'Or',
  'Relu',
  'Reshape',
  'Round',
  'Sign',
  'Sqrt',
  'Squeeze',
  'Sub',
  'Transpose',
  'Unsqueeze',
  'Where',
  'Xor',
]);

export function isCheap(graph: Graph): boolean {
  return (
    graph.nodes.length <= MAX_NODES &&
    graph.nodes.every((node) => isHarmless(graph, node)) &&
    graph.values.every(({ type, constant }) => {
      return constant !== undefined || elementCount(type.shape) <= MAX_ELEMENTS;
    })
  );
}

function isHarmless(graph: Graph, node: Node): boolean {
  if (node.domain !== '') return false;
  if (HARMLESS.has(node.op)) return true;
  // Integers may be divided by zero.
  return node.op === 'Div' && node.outputs.every((id) => isFloat(valueById(graph, id).type.dtype));
}
