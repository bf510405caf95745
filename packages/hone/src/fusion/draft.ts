/**
 * Drafts: stages while they are being fused. A draft is replaced, never changed in place; the
 * working set keeps them in execution order and knows who produces and who reads each buffer.
 */
import { at, invariant } from 'hone-runtime/base/diagnostics';
import { load } from '../expr/build.ts';
import { rewriteExpr, visitExpr } from '../expr/rewrite.ts';
import type { Expr } from '../expr/types.ts';
import {
  type Buffer,
  type BufferId,
  type FusionNote,
  isOpaque,
  type StageBody,
  type View,
} from '../stages/types.ts';

export type DraftBody = Exclude<StageBody, { kind: 'alias' }>;

export interface Draft {
  readonly nodes: readonly string[];
  readonly ops: readonly string[];
  readonly operands: readonly View[];
  readonly outputs: readonly View[];
  readonly body: DraftBody;
}

/** The working set of fusion. `drafts` has holes where a draft was merged into a later one. */
export interface Work {
  readonly buffers: Buffer[];
  readonly drafts: (Draft | null)[];
  readonly notes: FusionNote[];
}

export function sameView(a: View, b: View): boolean {
  return (
    a.buffer === b.buffer && sameList(a.shape, b.shape) && sameList(a.offset ?? [], b.offset ?? [])
  );
}

export function sameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

/** Applies a function to every expression of a body that yields values (not to `outIndex`). */
export function mapBodyValues(body: DraftBody, rewrite: (expr: Expr) => Expr): DraftBody {
  switch (body.kind) {
    case 'map':
      return { ...body, value: rewrite(body.value) };
    case 'reduce':
      return {
        ...body,
        steps: body.steps.map((step) => ({ ...step, value: rewrite(step.value) })),
        value: rewrite(body.value),
      };
    case 'contract':
      return {
        ...body,
        a: rewrite(body.a),
        b: rewrite(body.b),
        epilogue: rewrite(body.epilogue),
      };
    case 'routine':
    case 'control':
    case 'concat':
      return body;
    default:
      return body satisfies never;
  }
}

/** All value expressions of a body. */
export function bodyValues(body: DraftBody): readonly Expr[] {
  const out: Expr[] = [];
  mapBodyValues(body, (expr) => {
    out.push(expr);
    return expr;
  });
  return out;
}

/** Rewrites loads: operand number and index in, any expression out. */
export function rewriteLoads(
  expr: Expr,
  rewrite: (operand: number, node: Extract<Expr, { kind: 'load' }>) => Expr,
): Expr {
  return rewriteExpr(expr, (node) =>
    node.kind === 'load' ? rewrite(Number(node.source), node) : node,
  );
}

/** The loads of one operand (of all when undefined) in an expression. */
export function loadsOf(expr: Expr, operand?: number): Extract<Expr, { kind: 'load' }>[] {
  const found: Extract<Expr, { kind: 'load' }>[] = [];
  visitExpr(expr, (node) => {
    if (node.kind !== 'load') return;
    if (operand === undefined || Number(node.source) === operand) found.push(node);
  });
  return found;
}

/** Renumbers the loads of an expression through a table of operand numbers. */
export function renumber(expr: Expr, table: readonly number[]): Expr {
  return rewriteLoads(expr, (operand, node) =>
    load(`${at(table, operand)}`, node.dtype, node.index),
  );
}

/** Adds views to a list of operands, sharing equal ones; gives the number of each. */
export function mergeOperands(
  base: readonly View[],
  extra: readonly View[],
): { operands: View[]; table: number[] } {
  const operands = [...base];
  const table = extra.map((view) => {
    const found = operands.findIndex((have) => sameView(have, view));
    if (found >= 0) return found;
    operands.push(view);
    return operands.length - 1;
  });
  return { operands, table };
}

/** Drops operands that no expression loads any more; a contraction keeps its first two. */
export function dropUnusedOperands(draft: Draft): Draft {
  if (isOpaque(draft.body) || draft.body.kind === 'concat') return draft;
  const used = new Set<number>(draft.body.kind === 'contract' ? [0, 1] : []);
  for (const expr of bodyValues(draft.body)) {
    for (const node of loadsOf(expr)) used.add(Number(node.source));
  }
  if (used.size === draft.operands.length) return draft;
  const kept = draft.operands.map((_, k) => k).filter((k) => used.has(k));
  const table = draft.operands.map((_, k) => kept.indexOf(k));
  return {
    ...draft,
    operands: kept.map((k) => at(draft.operands, k)),
    body: mapBodyValues(draft.body, (expr) => renumber(expr, table)),
  };
}

/** Index of the draft that writes each buffer whole (regions have several; the last wins). */
export function producerIndex(work: Work): Map<BufferId, number> {
  const map = new Map<BufferId, number>();
  work.drafts.forEach((draft, i) => {
    for (const view of draft?.outputs ?? []) map.set(view.buffer, i);
  });
  return map;
}

/** Indices of the drafts that read each buffer. */
export function readerIndices(work: Work): Map<BufferId, number[]> {
  const map = new Map<BufferId, number[]>();
  work.drafts.forEach((draft, i) => {
    for (const buffer of new Set((draft?.operands ?? []).map((view) => view.buffer))) {
      const list = map.get(buffer);
      if (list === undefined) map.set(buffer, [i]);
      else list.push(i);
    }
  });
  return map;
}

/** Adds a temporary buffer in the plain layout. */
export function addBuffer(work: Work, buffer: Omit<Buffer, 'id'>): Buffer {
  const made: Buffer = { ...buffer, id: work.buffers.length };
  work.buffers.push(made);
  return made;
}

export function bufferOf(work: Work, view: View): Buffer {
  const buffer = work.buffers[view.buffer];
  invariant(buffer !== undefined, `no buffer ${view.buffer}`);
  return buffer;
}
