/**
 * The smallest part of a model that still fails. What failing means is the caller's to say: `fails` is
 * asked about models in memory, each a part of the first.
 */
import {
  constantsOf,
  type KnownModel,
  learnValues,
  type OnnxModel,
  outputsOf,
  type Slice,
  sliceModel,
  writeSlice,
} from '../../frontends/onnx/index.ts';
import { nodeName } from '../../frontends/onnx/analyze.ts';
import type { Registry } from '../../ops/registry.ts';
import { shrinkList } from './shrink.ts';

export interface ReduceOptions {
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  readonly dims?: Readonly<Record<string, number>>;
  readonly least?: Readonly<Record<string, number>>;
  readonly batch?: number;
  readonly registry?: Registry;
  /** Name of the node that the failure is about, where it says. */
  readonly suspect?: string;
  /** What is given when it returns true is the smallest part found so far. */
  readonly isOver?: () => boolean;
  readonly onProgress?: (message: string) => void;
}

export interface Reduction {
  readonly nodes: readonly {
    readonly op: string;
    readonly domain: string;
    readonly name: string;
  }[];
  /** Constants whose elements the failure does not need: they became inputs. */
  readonly freed: readonly string[];
  /** Parts that were tried. */
  readonly tests: number;
  /** False where the time was over before every node had been tried alone. */
  readonly minimal: boolean;
  /** The model as it is written. */
  readonly bytes: Uint8Array;
}

/** Constants of fewer elements stay: they say more than they weigh. */
const SMALL_CONSTANT = 64;

/**
 * Undefined: with its inputs at static sizes, the whole model does not fail. Throws HONE-SHAPE-… where
 * the inputs cannot be bound.
 */
export async function reduceModel(
  model: OnnxModel,
  fails: (part: OnnxModel) => Promise<boolean>,
  options: ReduceOptions = {},
): Promise<Reduction | undefined> {
  const { suspect, isOver = () => false, onProgress } = options;
  const known: KnownModel = { model, values: learnValues(model, options) };
  let tests = 0;
  const doesFail = async (slice: Slice): Promise<boolean> => {
    const part = sliceModel(known, slice);
    if (part === undefined) return false;
    tests++;
    onProgress?.(`part ${tests}: ${slice.nodes.length} of ${model.graph.nodes.length} nodes`);
    return fails(part);
  };
  const ofNodes = (nodes: readonly number[]): Slice => ({
    nodes,
    outputs: outputsOf(model, nodes),
    freed: new Set(),
  });
  const all = model.graph.nodes.map((_node, index) => index);
  if (!(await doesFail(ofNodes(all)))) return undefined;
  // Nodes that make constants are constants in any part without them: they go first, at one stroke.
  const computed = all.filter((index) =>
    model.graph.nodes[index]?.outputs.some(
      (name) => known.values.get(name)?.constant === undefined,
    ),
  );
  const areFewer = computed.length > 0 && computed.length < all.length;
  const start = areFewer && (await doesFail(ofNodes(computed))) ? computed : all;
  const alone = all.filter((index) => {
    const node = model.graph.nodes[index];
    return node !== undefined && nodeName(node, index) === suspect;
  });
  const isAlone = alone.length === 1 && all.length > 1 && (await doesFail(ofNodes(alone)));
  const nodes = isAlone
    ? alone
    : await shrinkList(start, (some) => doesFail(ofNodes(some)), isOver);
  const first = ofNodes(nodes);
  const outputs = await shrinkList(
    first.outputs,
    (some) => doesFail({ ...first, outputs: some }),
    isOver,
  );
  const slice = await freeConstants(known, { ...first, outputs }, doesFail, isOver);
  const bytes = writeSlice(known, slice);
  if (bytes === undefined) return undefined;
  return {
    nodes: nodes.flatMap((index) => {
      const node = model.graph.nodes[index];
      if (node === undefined) return [];
      return [{ op: node.op, domain: node.domain, name: nodeName(node, index) }];
    }),
    freed: [...slice.freed],
    tests,
    minimal: !isOver(),
    bytes,
  };
}

/** Large constants become inputs where the failure stays the same without their elements. */
async function freeConstants(
  known: KnownModel,
  slice: Slice,
  doesFail: (slice: Slice) => Promise<boolean>,
  isOver: () => boolean,
): Promise<Slice> {
  const large = [...constantsOf(known, slice)].flatMap(([name, size]) =>
    size >= SMALL_CONSTANT ? [name] : [],
  );
  if (large.length === 0) return slice;
  const whole = { ...slice, freed: new Set(large) };
  if (await doesFail(whole)) return whole;
  let best = slice;
  for (const name of large) {
    if (isOver()) break;
    const next = { ...best, freed: new Set([...best.freed, name]) };
    if (await doesFail(next)) best = next;
  }
  return best;
}
