/**
 * Places temporary buffers in one arena: offsets from lifetimes, each in the smallest gap that is free
 * for its whole lifetime, in the best of a few orders. Deterministic: ties by buffer number.
 */
import { bufferBytes } from '../kernels/index.ts';
import type { Buffer, BufferId, StageGraph } from '../stages/types.ts';

/** Cache line: every buffer begins on one, and has one behind it that may be read. */
export const ALIGN_BYTES = 64;

export interface MemoryPlan {
  readonly offsets: ReadonlyMap<BufferId, number>;
  /** Offset of workspace `index` of the stage at `position`: key "position:index". */
  readonly workspaces: ReadonlyMap<string, number>;
  readonly arenaBytes: number;
  /** Most bytes alive at once: no plan can do with less. */
  readonly liveBytes: number;
}

interface Life {
  /** Buffers are numbered; workspaces come after them. */
  readonly id: number;
  readonly workspace?: string;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Bytes a buffer takes, rounded up, with the room behind it. */
export function slotBytes(buffer: Buffer): number {
  return Math.ceil(bufferBytes(buffer) / ALIGN_BYTES) * ALIGN_BYTES + ALIGN_BYTES;
}

/** Memory a step needs while it runs: `bytes` each, by stage position. */
export type Workspaces = ReadonlyMap<number, readonly number[]>;

export function planMemory(graph: StageGraph, workspaces: Workspaces = new Map()): MemoryPlan {
  const lives = [...lifetimes(graph), ...workspaceLives(graph, workspaces)];
  const liveBytes = peakLive(graph, lives);
  let best: Placement | undefined;
  for (const order of ORDERS) {
    const sorted = [...lives].sort((a, b) => order(a, b) || a.id - b.id);
    const found = climb(sorted, liveBytes);
    if (best === undefined || found.arenaBytes < best.arenaBytes) best = found;
    if (best.arenaBytes === liveBytes) break;
  }
  const offsets = new Map<BufferId, number>();
  const spaces = new Map<string, number>();
  for (const [life, offset] of best?.offsets ?? []) {
    if (life.workspace === undefined) offsets.set(life.id, offset);
    else spaces.set(life.workspace, offset);
  }
  return { offsets, workspaces: spaces, arenaBytes: best?.arenaBytes ?? 0, liveBytes };
}

/** Something that takes memory. */
export interface Need {
  readonly name: string;
  readonly bytes: number;
}

/** The stage at which most is alive, and what that is. */
export function fullestMoment(
  graph: StageGraph,
  workspaces: Workspaces = new Map(),
): { readonly position: number; readonly needs: readonly Need[] } {
  const lives = [...lifetimes(graph), ...workspaceLives(graph, workspaces)];
  let position = 0;
  let most = -1;
  for (let time = 0; time < graph.stages.length; time++) {
    const bytes = sumBytes(aliveAt(lives, time));
    if (bytes <= most) continue;
    most = bytes;
    position = time;
  }
  const needs = aliveAt(lives, position).map(({ id, workspace, bytes }) => ({
    name: workspace === undefined ? (graph.buffers[id]?.name ?? `buffer ${id}`) : 'its workspace',
    bytes,
  }));
  return { position, needs };
}

function aliveAt(lives: readonly Life[], time: number): readonly Life[] {
  return lives.filter((life) => life.first <= time && time <= life.last);
}

function sumBytes(lives: readonly Life[]): number {
  return lives.reduce((sum, life) => sum + life.bytes, 0);
}

/** No single order of placing is best for every network; all are tried, the smallest arena wins. */
const ORDERS: readonly ((a: Life, b: Life) => number)[] = [
  (a, b) => b.bytes - a.bytes,
  (a, b) => b.last - b.first - (a.last - a.first) || b.bytes - a.bytes,
  (a, b) => b.bytes * (b.last - b.first + 1) - a.bytes * (a.last - a.first + 1),
  (a, b) => a.first - b.first || b.bytes - a.bytes,
  (a, b) => b.last - a.last || b.bytes - a.bytes,
];

interface Placement {
  readonly offsets: ReadonlyMap<Life, number>;
  readonly arenaBytes: number;
}

/** Comparisons of lives that one climb may cost. */
const CLIMB_WORK = 4_000_000;
const MOST_ROUNDS = 100;

/** Lives in their order, then again with what ended on top placed first, while that may help. */
function climb(order: readonly Life[], liveBytes: number): Placement {
  const rounds = Math.min(MOST_ROUNDS, Math.floor(CLIMB_WORK / (order.length ** 2 + 1)));
  let lives = order;
  let best = placeAll(lives);
  let current = best;
  for (let round = 0; round < rounds && best.arenaBytes > liveBytes; round++) {
    const { offsets, arenaBytes } = current;
    const isTop = (life: Life): boolean => (offsets.get(life) ?? 0) + life.bytes === arenaBytes;
    lives = [...lives.filter(isTop), ...lives.filter((life) => !isTop(life))];
    current = placeAll(lives);
    if (current.arenaBytes < best.arenaBytes) best = current;
  }
  return best;
}

/** Places lives in the given order, each in the smallest gap that is free while it lives. */
function placeAll(lives: readonly Life[]): Placement {
  const offsets = new Map<Life, number>();
  const placed: { life: Life; offset: number }[] = [];
  let arenaBytes = 0;
  for (const life of lives) {
    const rivals = placed
      .filter(({ life: other }) => life.first <= other.last && other.first <= life.last)
      .sort((a, b) => a.offset - b.offset);
    let end = 0;
    let chosen: number | undefined;
    let smallest = Number.POSITIVE_INFINITY;
    for (const rival of rivals) {
      const gap = rival.offset - end;
      if (gap >= life.bytes && gap < smallest) {
        chosen = end;
        smallest = gap;
      }
      end = Math.max(end, rival.offset + rival.life.bytes);
    }
    const offset = chosen ?? end;
    placed.push({ life, offset });
    offsets.set(life, offset);
    arenaBytes = Math.max(arenaBytes, offset + life.bytes);
  }
  return { offsets, arenaBytes };
}

function lifetimes(graph: StageGraph): Life[] {
  const first = new Map<BufferId, number>();
  const last = new Map<BufferId, number>();
  graph.stages.forEach((stage, time) => {
    for (const view of [...stage.operands, ...stage.outputs]) {
      if (!first.has(view.buffer)) first.set(view.buffer, time);
      last.set(view.buffer, time);
    }
  });
  return graph.buffers
    .filter((buffer) => buffer.role === 'temp' && first.has(buffer.id))
    .map((buffer) => ({
      id: buffer.id,
      bytes: slotBytes(buffer),
      first: first.get(buffer.id) ?? 0,
      last: last.get(buffer.id) ?? 0,
    }));
}

function workspaceLives(graph: StageGraph, workspaces: Workspaces): Life[] {
  const lives: Life[] = [];
  for (const [position, sizes] of workspaces) {
    sizes.forEach((size, index) => {
      const bytes = Math.ceil(size / ALIGN_BYTES) * ALIGN_BYTES + ALIGN_BYTES;
      const id = graph.buffers.length + lives.length;
      lives.push({ id, workspace: `${position}:${index}`, bytes, first: position, last: position });
    });
  }
  return lives;
}

function peakLive(graph: StageGraph, lives: readonly Life[]): number {
  let peak = 0;
  for (let time = 0; time < graph.stages.length; time++) {
    peak = Math.max(peak, sumBytes(aliveAt(lives, time)));
  }
  return peak;
}
