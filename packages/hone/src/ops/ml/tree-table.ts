/**
 * Ensembles of decision trees as tables of nodes: one form for ai.onnx.ml's three operators.
 *
 * A leaf is a node whose both ways lead to itself, so that walking a fixed number of levels ends at the
 * leaf of every tree. Sets of values (BRANCH_MEMBER) become chains of comparisons.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import type { Attrs } from '../../graph/types.ts';
import { numbersOf, tensorNumbers, textsOf } from './attributes.ts';

/** How a node compares its feature with its threshold. */
export const MODES = ['LEQ', 'LT', 'GTE', 'GT', 'EQ', 'NEQ'] as const;
export type Mode = (typeof MODES)[number];
const MEMBER = 6;

export interface TreeTable {
  readonly feature: readonly number[];
  readonly threshold: readonly number[];
  /** Index into MODES. */
  readonly mode: readonly number[];
  readonly yes: readonly number[];
  readonly no: readonly number[];
  /** Does a missing value (NaN) take the way of "yes"? */
  readonly missingYes: readonly boolean[];
  /** Row of `leaves`; 0 for inner nodes, which no walk ends at. */
  readonly leaf: readonly number[];
  readonly leaves: readonly Leaf[];
  readonly targets: number;
  readonly roots: readonly number[];
}

/** What a leaf says: a weight for each target that it votes for. */
export interface Leaf {
  readonly targets: readonly number[];
  readonly weights: readonly number[];
}

/** Does a node say "yes" to a value? */
export function saysYes(mode: number, value: number, limit: number): boolean {
  switch (at(MODES, mode)) {
    case 'LEQ':
      return value <= limit;
    case 'LT':
      return value < limit;
    case 'GTE':
      return value >= limit;
    case 'GT':
      return value > limit;
    case 'EQ':
      return value === limit;
    default:
      return value !== limit;
  }
}

type Node = { readonly node: string; readonly op: string };

function bad(ctx: Node, problem: string): never {
  return fail(
    'HONE-OP-004',
    `node ${ctx.node} (${ctx.op}): ${problem}`,
    ctx.node,
    'the model is not valid ONNX: export it again',
  );
}

/** More are a mistake. */
const MAX_TARGETS = 2 ** 20;

/** Tables as they grow. */
interface Draft {
  readonly feature: number[];
  readonly threshold: number[];
  readonly mode: number[];
  readonly yes: number[];
  readonly no: number[];
  readonly missingYes: boolean[];
  readonly leaf: number[];
  readonly leaves: { readonly targets: number[]; readonly weights: number[] }[];
  /** Nodes that are leaves. */
  readonly ends: Set<number>;
}

function newDraft(): Draft {
  return {
    feature: [],
    threshold: [],
    mode: [],
    yes: [],
    no: [],
    missingYes: [],
    leaf: [],
    leaves: [],
    ends: new Set(),
  };
}

function addNode(
  draft: Draft,
  node: { feature: number; threshold: number; mode: number; missingYes: boolean; leaf: number },
): number {
  const index = draft.feature.length;
  draft.feature.push(node.feature);
  draft.threshold.push(node.threshold);
  draft.mode.push(node.mode);
  draft.yes.push(index);
  draft.no.push(index);
  draft.missingYes.push(node.missingYes);
  draft.leaf.push(node.leaf);
  return index;
}

function addLeaf(draft: Draft, targets: number[], weights: number[]): number {
  draft.leaves.push({ targets, weights });
  const leaf = draft.leaves.length - 1;
  const node = addNode(draft, { feature: 0, threshold: 0, mode: 0, missingYes: false, leaf });
  draft.ends.add(node);
  return node;
}

/** Checks what walks rely on: features that are there, and no circles among nodes. */
function finish(
  ctx: Node,
  draft: Draft,
  roots: readonly number[],
  features: number,
  targets: number,
): TreeTable {
  if (targets > MAX_TARGETS) bad(ctx, `${targets} targets are too many`);
  const wrong = draft.feature.find((f) => !(Number.isInteger(f) && f >= 0 && f < features));
  if (wrong !== undefined) bad(ctx, `a tree reads feature ${wrong} of ${features}`);
  if (roots.length === 0 || draft.leaves.length === 0) bad(ctx, 'it has no trees');
  let depth = 0;
  let level: readonly number[] = roots;
  const { ends, ...table } = draft;
  // By name: a node that leads to itself is a circle and no leaf.
  const isInner = (i: number): boolean => !ends.has(i);
  while (level.some(isInner)) {
    depth++;
    if (depth > draft.feature.length) bad(ctx, 'its nodes form a circle');
    level = [...new Set(level.filter(isInner).flatMap((i) => [at(draft.yes, i), at(draft.no, i)]))];
  }
  // With a single target every leaf says something of it, 0 where it has no weight.
  const silent: Leaf = { targets: [0], weights: [0] };
  const leaves =
    targets === 1
      ? draft.leaves.map((leaf) => (leaf.targets.length === 0 ? silent : leaf))
      : draft.leaves;
  return { ...table, leaves, targets, roots };
}

/** The attributes of TreeEnsemble (ai.onnx.ml 5). */
export function newTable(ctx: Node, attrs: Attrs, features: number): TreeTable {
  const draft = newDraft();
  const list = (name: string): readonly number[] => numbersOf(attrs, name) ?? [];
  const [featureIds, yes, no] = ['nodes_featureids', 'nodes_truenodeids', 'nodes_falsenodeids'].map(
    list,
  );
  const [yesLeafs, noLeafs] = ['nodes_trueleafs', 'nodes_falseleafs'].map(list);
  const modes = tensorNumbers(attrs, 'nodes_modes') ?? [];
  const splits = tensorNumbers(attrs, 'nodes_splits') ?? [];
  const missing = list('nodes_missing_value_tracks_true');
  const sets = membershipOf(tensorNumbers(attrs, 'membership_values') ?? []);
  const targets = attrs['n_targets'] as number;
  const targetIds = list('leaf_targetids');
  const weights = tensorNumbers(attrs, 'leaf_weights') ?? [];
  if (!(targets >= 1) || targetIds.some((t) => !(t >= 0 && t < targets))) {
    bad(ctx, 'its targets are not those of its leaves');
  }
  const lengths = [yes, no, yesLeafs, noLeafs, modes, splits].map((items) => items?.length);
  if (
    lengths.some((length) => length !== featureIds?.length) ||
    weights.length !== targetIds.length
  ) {
    bad(ctx, 'its lists of nodes or leaves have different lengths');
  }
  if (!(targets >= 1)) bad(ctx, `n_targets is ${targets}`);
  const leafNodes = targetIds.map((target, i) => addLeaf(draft, [target], [at(weights, i)]));
  let nextSet = 0;
  // First and last table node of each source node; a set has one for each of its values.
  const spans = (featureIds ?? []).map((feature, i): readonly [number, number] => {
    const mode = at(modes, i);
    const missingYes = missing[i] === 1;
    const isSet = mode === MEMBER;
    const values = isSet
      ? (sets[nextSet++] ?? bad(ctx, 'a set of values is missing'))
      : [at(splits, i)];
    const code = isSet ? MODES.indexOf('EQ') : mode;
    if (!(code >= 0 && code < MODES.length)) bad(ctx, `node mode ${mode} is not known`);
    const nodes = values.map((threshold) =>
      addNode(draft, { feature, threshold, mode: code, missingYes, leaf: 0 }),
    );
    return [at(nodes, 0), at(nodes, nodes.length - 1)];
  });
  const target = (id: number, isLeaf: boolean): number =>
    (isLeaf ? leafNodes[id] : spans[id]?.[0]) ?? bad(ctx, `it refers to node ${id}`);
  spans.forEach(([first, last], i) => {
    const onYes = target(at(yes ?? [], i), at(yesLeafs ?? [], i) !== 0);
    for (let k = first; k <= last; k++) {
      draft.yes[k] = onYes;
      draft.no[k] = k < last ? k + 1 : target(at(no ?? [], i), at(noLeafs ?? [], i) !== 0);
    }
  });
  // A tree that is one leaf is written as a node whose both ways are that leaf.
  const roots = list('tree_roots').map((id) => target(id, false));
  return finish(ctx, draft, roots, features, targets);
}

/** Sets are separated by NaN. */
function membershipOf(values: readonly number[]): readonly (readonly number[])[] {
  const sets: number[][] = [[]];
  for (const value of values) {
    if (Number.isNaN(value)) sets.push([]);
    else sets.at(-1)?.push(value);
  }
  return sets.filter((set) => set.length > 0);
}

export interface OldLeaves {
  readonly trees: string;
  readonly nodes: string;
  readonly ids: string;
  readonly weights: string;
}

/** The attributes of TreeEnsembleRegressor and TreeEnsembleClassifier, `targets` values a leaf. */
export function oldTable(
  ctx: Node,
  attrs: Attrs,
  features: number,
  targets: number,
  leafNames: OldLeaves,
): TreeTable {
  const list = (name: string): readonly number[] => numbersOf(attrs, name) ?? [];
  const numbers = (name: string): readonly number[] =>
    tensorNumbers(attrs, `${name}_as_tensor`) ?? list(name);
  const trees = list('nodes_treeids');
  const ids = list('nodes_nodeids');
  const names = textsOf(attrs, 'nodes_modes') ?? [];
  const values = numbers('nodes_values');
  const missing = list('nodes_missing_value_tracks_true');
  const [yes, no] = [list('nodes_truenodeids'), list('nodes_falsenodeids')];
  const columns = [ids, names, values, list('nodes_featureids'), yes, no];
  const lengths = columns.map((items) => items.length);
  if (lengths.some((length) => length !== trees.length)) {
    bad(ctx, 'its lists of nodes have different lengths');
  }
  const featureIds = list('nodes_featureids');
  const draft = newDraft();
  const index = new Map<string, number>();
  const key = (tree: number, id: number): string => `${tree}/${id}`;
  names.forEach((name, i) => {
    const own = key(at(trees, i), at(ids, i));
    if (index.has(own)) bad(ctx, `node ${own} is there twice`);
    if (name === 'LEAF') {
      index.set(own, addLeaf(draft, [], []));
      return;
    }
    const mode = MODES.indexOf(name.replace('BRANCH_', '') as Mode);
    if (mode < 0) bad(ctx, `node mode ${name} is not known`);
    const feature = at(featureIds, i);
    const missingYes = missing[i] === 1;
    index.set(
      own,
      addNode(draft, { feature, threshold: at(values, i), mode, missingYes, leaf: 0 }),
    );
  });
  const find = (tree: number, id: number): number =>
    index.get(key(tree, id)) ?? bad(ctx, `it refers to node ${id} of tree ${tree}`);
  const isChild = new Set<number>();
  names.forEach((name, i) => {
    if (name === 'LEAF') return;
    const tree = at(trees, i);
    const own = find(tree, at(ids, i));
    const ways = [find(tree, at(yes, i)), find(tree, at(no, i))] as const;
    [draft.yes[own], draft.no[own]] = ways;
    for (const way of ways) isChild.add(way);
  });
  const weights = numbers(leafNames.weights);
  const leafIds = list(leafNames.ids);
  const leafNodes = list(leafNames.nodes);
  if ([leafNodes, leafIds, weights].some(({ length }) => length !== list(leafNames.trees).length)) {
    bad(ctx, 'its lists of leaves have different lengths');
  }
  list(leafNames.trees).forEach((tree, i) => {
    const node = find(tree, at(leafNodes, i));
    const leaf = draft.leaves[at(draft.leaf, node)];
    const target = at(leafIds, i);
    if (leaf === undefined || at(draft.yes, node) !== node || !(target >= 0 && target < targets)) {
      bad(ctx, `weight ${i} belongs to no leaf or target`);
    }
    const place = leaf.targets.indexOf(target);
    if (place >= 0) leaf.weights[place] = at(leaf.weights, place) + at(weights, i);
    else {
      leaf.targets.push(target);
      leaf.weights.push(at(weights, i));
    }
  });
  const roots = [...index.values()].filter((node) => !isChild.has(node));
  return finish(ctx, draft, roots, features, targets);
}
