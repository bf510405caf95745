/**
 * Policies that keep a graph in 16-bit floats. `matmul`: what contractions with constant weights
 * multiply is rounded to 16 bits, everything else stays f32. `all`: so are the values that lie in
 * memory between kernels, except around numerically delicate stages: those that walk their input
 * several times (softmax, normalisations) and those that take exponentials or logarithms.
 * Contractions always sum in f32, and an epilogue rounds once, at its store.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { visitExpr } from '../expr/rewrite.ts';
import type { Graph } from '../graph/types.ts';
import { isOpaque, type Stage, type StageGraph } from '../stages/types.ts';
import {
  type ContractionPrecision,
  CONTRACTIONS,
  type PrecisionPlan,
  type ValuePrecision,
} from './precision-plan.ts';

export const AUTOCAST_POLICIES = ['none', 'matmul', 'all'] as const;
export type AutocastPolicy = (typeof AUTOCAST_POLICIES)[number];

/** `fused`: the graph's stages in f32; its buffers are the values that lie in memory. */
export function autocastPlan(
  graph: Graph,
  fused: StageGraph,
  dtype: 'bf16' | 'f16',
  policy: AutocastPolicy,
): PrecisionPlan {
  const values = new Map<string, ValuePrecision>();
  const contractions = new Map<string, ContractionPrecision>();
  if (policy !== 'none') {
    for (const node of graph.nodes) {
      if (CONTRACTIONS.has(node.op)) contractions.set(node.name, dtype);
    }
  }
  if (policy === 'all') {
    const kept = keptWide(fused);
    for (const { name, role, dtype: own } of fused.buffers) {
      if (role === 'temp' && own === 'f32' && !kept.has(name)) {
        values.set(name, { kind: 'half', dtype });
      }
    }
  }
  return { values, contractions, weightBits: 8 };
}

/** Names of buffers that delicate stages read or write. */
function keptWide(fused: StageGraph): ReadonlySet<string> {
  const kept = new Set<string>();
  for (const stage of fused.stages) {
    if (!isDelicate(stage)) continue;
    for (const { buffer } of [...stage.operands, ...stage.outputs]) {
      kept.add(at(fused.buffers, buffer).name);
    }
  }
  return kept;
}

function isDelicate({ body }: Stage): boolean {
  if (isOpaque(body)) return true;
  if (body.kind === 'contract') return false;
  if (body.kind === 'reduce' && body.spans === 'all') return true;
  const exprs =
    body.kind === 'map' ? [body.value] : [body.value, ...body.steps.map((step) => step.value)];
  let found = false;
  for (const expr of exprs) {
    visitExpr(expr, (node) => {
      if (node.kind === 'unary' && (node.op === 'exp' || node.op === 'log')) found = true;
      if (node.kind === 'binary' && node.op === 'pow') found = true;
    });
  }
  return found;
}
