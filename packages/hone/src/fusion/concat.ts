/**
 * Concatenation without copies: a producer writes its part of the result in place. Where it
 * cannot (a part that is read under another shape, is a model input, or is used twice), the part
 * is copied by a map.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { isOpaque, type View } from '../stages/types.ts';
import { bufferOf, type Draft, sameList, type Work } from './draft.ts';
import { copyBody } from './lower-graph.ts';

/** Replaces every concat draft. */
export function placeConcats(work: Work): void {
  // Later concatenations first: a chain (as in DenseNet) then ends in one buffer.
  for (let position = work.drafts.length - 1; position >= 0; position--) {
    const draft = work.drafts[position];
    if (draft?.body.kind === 'concat') placeOne(work, draft, position);
  }
}

function placeOne(work: Work, draft: Draft, position: number): void {
  if (draft.body.kind !== 'concat') return;
  const { axis, offsets } = draft.body;
  const output = at(draft.outputs, 0);
  /** Where the parts that are written in place now lie. */
  const placed = new Map<number, View>();
  const copies: Draft[] = [];
  draft.operands.forEach((part, k) => {
    const start = output.shape.map((_, i) => (i === axis ? at(offsets, k) : 0));
    const offset = start.map((item, i) => item + (output.offset?.[i] ?? 0));
    const region: View = { buffer: output.buffer, shape: part.shape, offset };
    const before = placed.get(part.buffer);
    const reason =
      before !== undefined ? 'the part is used twice' : whyNotInPlace(work, part, position);
    if (reason === null) {
      placed.set(part.buffer, region);
      redirect(work, part.buffer, region);
    } else {
      work.notes.push({ node: at(draft.nodes, 0), reason: `part ${k} is copied: ${reason}` });
      const { dtype } = bufferOf(work, part);
      copies.push({
        nodes: draft.nodes,
        ops: draft.ops,
        operands: [before === undefined ? part : { ...before, shape: part.shape }],
        outputs: [region],
        body: copyBody(part.shape, dtype),
      });
    }
  });
  work.drafts.splice(position, 1, ...copies);
}

/** Why a part cannot be written straight into the result, or null when it can. */
function whyNotInPlace(work: Work, part: View, position: number): string | null {
  const buffer = bufferOf(work, part);
  if (buffer.role !== 'temp') return `it is a model ${buffer.role}`;
  if (part.offset !== undefined) return 'it is itself a part of something';
  if (!sameList(part.shape, buffer.shape)) return 'it is read under another shape';
  for (const [i, draft] of work.drafts.entries()) {
    if (draft === null) continue;
    for (const view of [...draft.operands, ...draft.outputs]) {
      if (view.buffer !== buffer.id) continue;
      if (view.offset === undefined && !sameList(view.shape, buffer.shape)) {
        return 'it is read under another shape';
      }
    }
    if (isOpaque(draft.body) && draft.outputs.some((v) => v.buffer === buffer.id)) {
      return `a ${draft.body.kind} stage writes it`;
    }
    if (isOpaque(draft.body) && draft.operands.some((v) => v.buffer === buffer.id)) {
      return `a ${draft.body.kind} stage reads it`;
    }
    if (
      i > position &&
      draft.body.kind === 'concat' &&
      draft.operands.some((v) => v.buffer === buffer.id)
    ) {
      return 'another concatenation holds it';
    }
  }
  return null;
}

/** Makes every view of a buffer a view of a region. */
function redirect(work: Work, buffer: number, region: View): void {
  const move = (view: View): View =>
    view.buffer === buffer
      ? {
          buffer: region.buffer,
          shape: view.shape,
          offset: (region.offset ?? []).map((item, i) => item + (view.offset?.[i] ?? 0)),
        }
      : view;
  work.drafts.forEach((draft, i) => {
    if (draft === null) return;
    work.drafts[i] = {
      ...draft,
      operands: draft.operands.map(move),
      outputs: draft.outputs.map(move),
    };
  });
}
