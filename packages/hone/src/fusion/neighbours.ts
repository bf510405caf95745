/**
 * Who writes and who reads each buffer while maps are fused. Looking through all drafts for every question
 * would make the time of a long model grow with the square of its length.
 */
import type { BufferId, View } from '../stages/types.ts';
import type { Draft, Work } from './draft.ts';

/** A draft and where it stands. */
export interface Placed {
  readonly draft: Draft;
  readonly position: number;
}

/** The drafts of a working set by the buffers they touch; all changes of drafts go through `replace`. */
export class Neighbours {
  readonly #work: Work;
  readonly #writers = new Map<BufferId, Set<number>>();
  readonly #readers = new Map<BufferId, Set<number>>();

  constructor(work: Work) {
    this.#work = work;
    for (const [position, draft] of work.drafts.entries()) this.#note(draft, position, 'add');
  }

  /** Puts a draft, or a hole, at a position. */
  replace(position: number, draft: Draft | null): void {
    this.#note(this.#work.drafts[position] ?? null, position, 'delete');
    this.#work.drafts[position] = draft;
    this.#note(draft, position, 'add');
  }

  /** The last draft before a position that writes what the view is of. */
  producerOf(view: View, before: number): Placed | null {
    const found = [...(this.#writers.get(view.buffer) ?? [])].filter((p) => p < before);
    return found.length === 0 ? null : this.#at(Math.max(...found));
  }

  /** How many drafts read a buffer. */
  countReaders(buffer: BufferId): number {
    return this.#readers.get(buffer)?.size ?? 0;
  }

  /** The drafts that read a buffer, in order. */
  readersOf(buffer: BufferId): readonly Placed[] {
    const found = [...(this.#readers.get(buffer) ?? [])].sort((a, b) => a - b);
    return found.flatMap((position) => this.#at(position) ?? []);
  }

  #at(position: number): Placed | null {
    const draft = this.#work.drafts[position];
    return draft === null || draft === undefined ? null : { draft, position };
  }

  #note(draft: Draft | null, position: number, change: 'add' | 'delete'): void {
    if (draft === null) return;
    for (const { buffer } of draft.outputs) positionsOf(this.#writers, buffer)[change](position);
    for (const { buffer } of draft.operands) positionsOf(this.#readers, buffer)[change](position);
  }
}

function positionsOf(table: Map<BufferId, Set<number>>, buffer: BufferId): Set<number> {
  const have = table.get(buffer);
  if (have !== undefined) return have;
  const made = new Set<number>();
  table.set(buffer, made);
  return made;
}
