/**
 * Fusion: Graph (core operators) → StageGraph. Lower every node, inline maps into their readers,
 * let contractions and reductions absorb the maps behind them, place concatenations, tidy up. The
 * sub-graphs of control flow are fused by themselves; nothing fuses across their borders.
 *
 * Guarantees: stages are in execution order; every buffer is plain; every pair of neighbours that
 * stayed apart has a note that says why.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { elementCount } from 'hone-runtime/base/tensor';
import { WITHIN } from '../graph/effects.ts';
import type { Graph, ValueId } from '../graph/types.ts';
import { valueById } from '../graph/walk.ts';
import { type Registry, standardRegistry } from '../ops/registry.ts';
import {
  bodiesOf,
  type BufferId,
  type Stage,
  type StageGraph,
  type View,
} from '../stages/types.ts';
import { absorbMap, whyNotAbsorbed, writesInOrder } from './absorb.ts';
import { placeConcats } from './concat.ts';
import { bufferOf, type Draft, type Work } from './draft.ts';
import { foldEpilogues } from './fold-epilogue.ts';
import { inlineMap, isWidening, whyNotInlined } from './inline.ts';
import { addCopy, lowerGraph } from './lower-graph.ts';
import { narrowContractions } from './narrow.ts';
import { Neighbours } from './neighbours.ts';

export { uncompiledNodes } from './lower-graph.ts';

export interface FusionOptions {
  readonly registry?: Registry;
  /** false: every node stays a stage of its own (for comparison and debugging). */
  readonly fuse?: boolean;
}

export function fuseGraph(graph: Graph, options: FusionOptions = {}): StageGraph {
  const registry = options.registry ?? standardRegistry;
  const { work, views } = lowerGraph(graph, registry, (body) => fuseGraph(body, options));
  const outputs = bindOutputs(work, graph, views);
  if (options.fuse !== false) {
    narrowContractions(work);
    dropDead(work);
    fuseMaps(work);
    foldEpilogues(work);
  }
  placeConcats(work);
  dropDead(work);
  return finish(work, graph, outputs, views);
}

/** Gives every model output a buffer of its own, copying where the value is shared or aliased. */
function bindOutputs(
  work: Work,
  graph: Graph,
  views: ReadonlyMap<ValueId, View>,
): readonly BufferId[] {
  return graph.outputs.map((id) => {
    const value = valueById(graph, id);
    const view = at(
      [views.get(id)].filter((item) => item !== undefined),
      0,
    );
    const buffer = bufferOf(work, view);
    const whole = elementCount(view.shape) === elementCount(buffer.shape);
    const own =
      buffer.role === 'temp' && view.offset === undefined && whole
        ? buffer
        : bufferOf(work, addCopy(work, view, `${value.name}/output`, value.name));
    work.buffers[own.id] = { ...own, role: 'output' };
    return own.id;
  });
}

function fuseMaps(work: Work): void {
  const reasons = new Map<string, string>();
  const note = (draft: Draft, reason: string): void => {
    reasons.set(at(draft.nodes, draft.nodes.length - 1), reason);
  };
  const near = new Neighbours(work);
  for (let position = 0; position < work.drafts.length; position++) {
    inlineProducers(work, near, position, note);
    absorbIntoProducer(work, near, position, note);
  }
  for (const [node, reason] of reasons) work.notes.push({ node, reason });
}

function inlineProducers(
  work: Work,
  near: Neighbours,
  position: number,
  note: (draft: Draft, reason: string) => void,
): void {
  for (let changed = true; changed; ) {
    changed = false;
    const reader = work.drafts[position];
    if (reader === null || reader === undefined) return;
    for (const view of reader.operands) {
      const found = near.producerOf(view, position);
      if (found === null || found.draft.body.kind !== 'map') continue;
      const output = at(found.draft.outputs, 0);
      const readers = near.countReaders(view.buffer);
      const reason =
        bufferOf(work, output).role === 'temp'
          ? whyNotInlined(found.draft, reader, output, readers)
          : 'the result is a model output';
      if (reason !== null) {
        note(found.draft, reason);
        continue;
      }
      const joined = inlineMap(found.draft, reader, output);
      if (joined === null) {
        note(found.draft, 'the joined expression would be too large');
        continue;
      }
      near.replace(position, joined);
      if (readers === 1) near.replace(found.position, null);
      changed = true;
      break;
    }
  }
}

/**
 * Does the map only widen a narrow value, for one reader that will take it in? Behind the producer
 * it would put the wide value into memory.
 */
function widensForReader(work: Work, near: Neighbours, map: Draft, position: number): boolean {
  const output = at(map.outputs, 0);
  if (bufferOf(work, output).role !== 'temp' || !isWidening(map)) return false;
  const [reader, ...others] = near.readersOf(output.buffer);
  if (reader === undefined || others.length > 0 || reader.position <= position) return false;
  return whyNotInlined(map, reader.draft, output, 1) === null;
}

function absorbIntoProducer(
  work: Work,
  near: Neighbours,
  position: number,
  note: (draft: Draft, reason: string) => void,
): void {
  const map = work.drafts[position];
  if (map === null || map === undefined || map.body.kind !== 'map') return;
  if (widensForReader(work, near, map, position)) {
    note(map, 'the narrow value is what lies in memory');
    return;
  }
  // Of several producers the last one absorbs: its result need not be kept until then.
  const candidates = map.operands
    .map((view) => near.producerOf(view, position))
    .filter((found) => found !== null)
    .sort((a, b) => b.position - a.position);
  for (const found of candidates) {
    const output = at(found.draft.outputs, 0);
    const readers = near.countReaders(output.buffer);
    const reason = !writesInOrder(found.draft)
      ? 'the producer writes in another order'
      : bufferOf(work, output).role === 'temp'
        ? whyNotAbsorbed(found.draft, map, output, readers, work.buffers)
        : 'the result is a model output';
    if (reason === null) {
      near.replace(position, absorbMap(found.draft, map, output));
      near.replace(found.position, null);
      return;
    }
    note(found.draft, reason);
  }
}

/** Removes drafts whose results nothing reads; checks stay. */
function dropDead(work: Work): void {
  const live = new Set<BufferId>(
    work.buffers.filter((buffer) => buffer.role === 'output').map((buffer) => buffer.id),
  );
  for (let position = work.drafts.length - 1; position >= 0; position--) {
    const draft = work.drafts[position];
    if (draft === null || draft === undefined) continue;
    const isLive = draft.outputs.some((view) => live.has(view.buffer)) || isCheck(draft);
    if (!isLive) work.drafts[position] = null;
    else for (const view of draft.operands) live.add(view.buffer);
  }
}

/** Does it check a bound, or a stage inside it? */
function isCheck({ ops, body }: Pick<Stage, 'ops'> & { readonly body: Draft['body'] }): boolean {
  if (body.kind === 'routine') return ops.includes(WITHIN);
  return body.kind === 'control' && bodiesOf(body).some(([, { stages }]) => stages.some(isCheck));
}

/** Numbers stages and buffers anew, leaving out what is no longer used. */
function finish(
  work: Work,
  graph: Graph,
  outputs: readonly BufferId[],
  views: ReadonlyMap<ValueId, View>,
): StageGraph {
  const drafts = work.drafts.filter((draft) => draft !== null);
  const inputs = graph.inputs.map((id) => views.get(id)?.buffer ?? -1);
  const used = new Set<BufferId>([...inputs, ...outputs]);
  for (const draft of drafts) {
    for (const view of [...draft.operands, ...draft.outputs]) used.add(view.buffer);
  }
  const renamed = new Map<BufferId, BufferId>();
  const buffers = work.buffers
    .filter((buffer) => used.has(buffer.id))
    .map((buffer, id) => {
      renamed.set(buffer.id, id);
      return Object.freeze({ ...buffer, id });
    });
  const rename = (id: BufferId): BufferId => renamed.get(id) ?? -1;
  const move = (view: View): View => ({ ...view, buffer: rename(view.buffer) });
  const stages = drafts.map((draft, id): Stage => {
    const { body } = draft;
    if (body.kind === 'concat') throw new TypeError('concatenations are placed by now');
    return Object.freeze({
      id,
      nodes: draft.nodes,
      ops: draft.ops,
      operands: draft.operands.map(move),
      outputs: draft.outputs.map(move),
      body,
    });
  });
  return Object.freeze({
    name: graph.name,
    inputs: inputs.map(rename),
    outputs: outputs.map(rename),
    buffers,
    stages,
    notes: work.notes,
  });
}
