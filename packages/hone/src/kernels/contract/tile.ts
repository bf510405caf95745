/**
 * Register tiles of contraction kernels: how many pixels (or rows) times how many output vectors
 * one pass over the reduction keeps in registers.
 *
 * The cost model counts cycles of one core: fused multiply-adds are the floor; loads, the pass over
 * the weights and the epilogue add to it where a tile is too small. Constants are chosen for Zen 4
 * (one 512-bit multiply-add and two loads a cycle); they order tiles, they do not predict times.
 */
import { at } from 'hone-runtime/base/diagnostics';
import type { Target } from 'hone-runtime/target/types';

export interface Tile {
  /** Output rows and columns of a tile; their product is the pixels it holds. */
  readonly th: number;
  readonly tw: number;
  /** Output vectors. */
  readonly q: number;
}

export interface TileProblem {
  readonly rows: number;
  readonly columns: number;
  /** Output vectors in all. */
  readonly vectors: number;
  /** Reduction length. */
  readonly k: number;
  /** Most vectors a tile may take; it must divide `divisor` unless `ragged`. */
  readonly maxQ: number;
  /** Default: `vectors`. */
  readonly divisor?: number;
  /** A last, smaller group of vectors is allowed. */
  readonly ragged: boolean;
  readonly maxPixels?: number;
  /** Instructions of a step and registers it needs beside accumulators and weights. Default 1. */
  readonly ops?: number;
  readonly registers?: number;
  /** Bytes of a lane. Default 4. */
  readonly laneBytes?: number;
}

/** Does a tile fit the registers: accumulators, one weight vector each, one broadcast? */
export function fitsRegisters(tile: Tile, target: Target, others = 1): boolean {
  return tile.th * tile.tw * tile.q + tile.q + others <= target.vectorRegisters;
}

/** Estimated cycles of one core for the whole problem. */
export function tileCost(tile: Tile, p: TileProblem, target: Target): number {
  const pixelTiles = splits(p.rows, tile.th).flatMap(([h, countH]) =>
    splits(p.columns, tile.tw).map(([w, countW]) => [h * w, countH * countW] as const),
  );
  let cycles = 0;
  for (const [q, groups] of splits(p.vectors, tile.q)) {
    for (const [pixels, count] of pixelTiles) {
      cycles += groups * count * passCost(pixels, q, p, target);
    }
  }
  return cycles;
}

function passCost(pixels: number, q: number, p: TileProblem, target: Target): number {
  const { k, ops = 1, laneBytes = 4 } = p;
  const vectorBytes = target.lanes * laneBytes;
  const fmasPerCycle = vectorBytes === 64 ? 1 : 2;
  // Four chains hide a multiply-add's latency at one a cycle.
  const fma = Math.max(ops * pixels * q, 4 * fmasPerCycle) / fmasPerCycle;
  const loads = (pixels + q) / 2;
  const panelBytes = k * q * vectorBytes;
  // Weights beyond L1 arrive at half a vector a cycle, mostly behind the arithmetic.
  const stream = panelBytes > target.l1Bytes / 2 ? 0.3 * q : 0.05 * q;
  return k * (Math.max(fma, loads) + stream) + 4 * pixels * q + 20;
}

/** [size, count] of the parts of an extent cut into tiles: whole ones, then the rest. */
function splits(extent: number, tile: number): (readonly [number, number])[] {
  const whole = Math.floor(extent / tile);
  const rest = extent % tile;
  return [
    ...(whole > 0 ? [[tile, whole] as const] : []),
    ...(rest > 0 ? [[rest, 1] as const] : []),
  ];
}

/** The cheapest tile by the model, and its runners-up in order. */
export function rankTiles(p: TileProblem, target: Target): readonly Tile[] {
  const found: { tile: Tile; cost: number }[] = [];
  for (let q = 1; q <= Math.min(p.maxQ, p.vectors); q++) {
    if (!p.ragged && (p.divisor ?? p.vectors) % q !== 0) continue;
    for (let th = 1; th <= Math.min(p.rows, 7); th++) {
      for (let tw = 1; tw <= Math.min(p.columns, 28); tw++) {
        const tile: Tile = { th, tw, q };
        if (th > 1 && tw < p.columns) continue;
        if (th * tw > (p.maxPixels ?? Number.POSITIVE_INFINITY)) continue;
        if (!fitsRegisters(tile, target, p.registers)) continue;
        found.push({ tile, cost: tileCost(tile, p, target) });
      }
    }
  }
  found.sort((a, b) => a.cost - b.cost);
  return found.map((entry) => entry.tile);
}

export function bestTile(p: TileProblem, target: Target): Tile {
  return at(rankTiles(p, target), 0);
}
