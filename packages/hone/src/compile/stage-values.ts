/**
 * The values that stages read and write, for the report: by their names in the model, with scales of
 * those kept in 8 bits, and with their places in working memory.
 */
import { at } from 'hone-runtime/base/diagnostics';
import { toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, Node, ValueId } from '../graph/types.ts';
import { constantTensor, consumers, producers, valueById } from '../graph/walk.ts';
import { bufferBytes } from '../kernels/index.ts';
import type { Buffer, Stage, StageGraph, View } from '../stages/types.ts';
import type { MemoryPlan } from './memory-plan.ts';
import type { StageOutput, StageReport } from './report.ts';

/** What a value kept narrow stands for. */
interface Wide {
  readonly name: string;
  readonly scale?: number;
  readonly zeroPoint?: number;
}

/** Of which graph the stages are: that of a body of control flow has its values under its own names. */
export interface DescribedGraph {
  /** Absent in bodies, which nothing keeps narrow. */
  readonly graph?: Graph;
  /** Where the graph's working memory begins. */
  readonly base: number;
  /** What names of values begin with. */
  readonly prefix: string;
}

export function stageDescriber(
  { buffers }: StageGraph,
  memory: MemoryPlan,
  { graph, base, prefix }: DescribedGraph,
): (stage: Stage) => Pick<StageReport, 'reads' | 'writes'> {
  const wide = graph === undefined ? new Map<string, Wide>() : wideValues(graph);
  const storedName = ({ name }: Buffer): string => prefix + name.replace(/\/reordered\.\d+$/, '');
  const nameOf = (buffer: Buffer): string =>
    wide.get(storedName(buffer))?.name ?? storedName(buffer);
  const write = (view: View): StageOutput => {
    const buffer = at(buffers, view.buffer);
    const { dtype, shape, layout } = buffer;
    const stored = storedName(buffer);
    const { scale, zeroPoint } = wide.get(stored) ?? {};
    const offset = memory.offsets.get(buffer.id);
    return {
      value: nameOf(buffer),
      ...(stored === nameOf(buffer) ? {} : { stored }),
      dtype,
      shape,
      ...(scale === undefined || zeroPoint === undefined ? {} : { scale, zeroPoint }),
      ...(view.offset === undefined ? {} : { part: { from: view.offset, shape: view.shape } }),
      ...(buffer.role !== 'temp' || offset === undefined
        ? {}
        : { memory: { offset: base + offset, bytes: bufferBytes(buffer), ...layout } }),
    };
  };
  return (stage) => {
    const read = stage.operands.map((view) => at(buffers, view.buffer));
    const names = read.filter(({ role }) => role !== 'constant').map(nameOf);
    return { reads: [...new Set(names)], writes: stage.outputs.map(write) };
  };
}

/** Narrow values by name, with what they stand for. */
function wideValues(graph: Graph): ReadonlyMap<string, Wide> {
  const found = new Map<string, Wide>();
  const readers = consumers(graph);
  const makers = producers(graph);
  for (const { id, name, type, constant } of graph.values) {
    const isNarrow = type.dtype === 'u8' || type.dtype === 'bf16' || type.dtype === 'f16';
    if (constant !== undefined || !isNarrow) continue;
    const reader = (readers.get(id) ?? []).find(
      ({ op }) => op === (type.dtype === 'u8' ? 'DequantizeLinear' : 'Cast'),
    );
    const plain =
      withoutSuffix(name, /\/(u8|bf16|f16)(\.\d+)?$/) ??
      withoutSuffix(outputName(graph, reader), /\/f32(\.\d+)?$/) ??
      outputName(graph, reader);
    if (plain === undefined) continue;
    found.set(name, {
      name: plain,
      ...(type.dtype === 'u8' ? stepOf(graph, id, makers, readers) : {}),
    });
  }
  return found;
}

function withoutSuffix(name: string | undefined, suffix: RegExp): string | undefined {
  return name !== undefined && suffix.test(name) ? name.replace(suffix, '') : undefined;
}

function outputName(graph: Graph, node: Node | undefined): string | undefined {
  const [output] = node?.outputs ?? [];
  return output === undefined ? undefined : valueById(graph, output).name;
}

/** Scale and zero point of a quantised value: of its reader, its maker, or what it is moved from. */
function stepOf(
  graph: Graph,
  id: ValueId,
  makers: ReadonlyMap<ValueId, Node>,
  readers: ReadonlyMap<ValueId, readonly Node[]>,
): Omit<Wide, 'name'> {
  let at: ValueId | undefined = id;
  while (at !== undefined) {
    const maker = makers.get(at);
    const reader = readers.get(at)?.find(({ op }) => op === 'DequantizeLinear');
    const own = constantStep(graph, reader) ?? constantStep(graph, maker);
    if (own !== undefined) return own;
    at = maker?.inputs[0] ?? undefined;
    if (at !== undefined && valueById(graph, at).type.dtype !== 'u8') return {};
  }
  return {};
}

function constantStep(graph: Graph, node: Node | undefined): Omit<Wide, 'name'> | undefined {
  if (node?.op !== 'DequantizeLinear' && node?.op !== 'QuantizeLinear') return undefined;
  const [scale, zeroPoint] = node.inputs.slice(1).map((id) => {
    const value = id === null ? undefined : valueById(graph, id);
    if (value?.constant === undefined) return undefined;
    const numbers = toNumbers(constantTensor(value));
    return numbers.length === 1 ? numbers[0] : undefined;
  });
  return scale === undefined ? undefined : { scale, zeroPoint: zeroPoint ?? 0 };
}
