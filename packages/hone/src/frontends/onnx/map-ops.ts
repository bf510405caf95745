/** Operators of ai.onnx.ml on maps; the importer carries them out. */
import type { MapKeys } from 'hone-runtime/artifact/program';
import { dtypeFromCode } from 'hone-runtime/base/dtype';
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxType } from './types.ts';

const ML = 'ai.onnx.ml';
const MAP_OPS: ReadonlySet<string> = new Set(['ZipMap', 'DictVectorizer', 'CastMap']);

export function isMapOp({ op, domain }: Pick<OnnxNode, 'op' | 'domain'>): boolean {
  return domain === ML && MAP_OPS.has(op);
}

/** The keys that a node on maps gives or reads; undefined where the file does not say them. */
export function keysOf(op: string, attributes: readonly OnnxAttribute[]): MapKeys | undefined {
  const named = (name: string): OnnxAttribute | undefined =>
    attributes.find((attribute) => attribute.name === name);
  if (op === 'CastMap') {
    const [form, most] = [named('map_form'), named('max_map')];
    const isSparse = form?.kind === 'string' && form.value === 'SPARSE';
    if (!isSparse || most?.kind !== 'int' || !(most.value > 0 && most.value <= MAX_KEYS)) return;
    return Array.from({ length: most.value }, (_, i) => i);
  }
  const word = op === 'ZipMap' ? 'classlabels' : 'vocabulary';
  const texts = [named(`${word}_strings`), named('string_vocabulary')];
  for (const list of texts)
    if (list?.kind === 'strings' && list.value.length > 0) return list.value;
  const numbers = [named(`${word}_int64s`), named('int64_vocabulary')];
  for (const list of numbers) if (list?.kind === 'ints' && list.value.length > 0) return list.value;
  return undefined;
}

/** A longer row of values is surely a mistake. */
const MAX_KEYS = 1 << 20;

/** The keys that the readers of an input ask for, all the same; undefined where they do not say. */
export function keysOfInput(graph: OnnxGraph, name: string): MapKeys | undefined {
  const readers = graph.nodes.filter((node) => node.inputs.includes(name));
  const all = readers.map((node) => (isMapOp(node) ? keysOf(node.op, node.attributes) : undefined));
  const [keys] = all;
  return all.every((other) => other !== undefined && sameKeys(other, keys)) ? keys : undefined;
}

export function sameKeys(a: MapKeys, b: MapKeys | undefined): boolean {
  return a.length === b?.length && a.every((key, i) => key === b[i]);
}

/** The type of a map's values, as a tensor with a column for each key. */
export function valuesType(type: OnnxType, keys: MapKeys): OnnxType | undefined {
  if (type.kind !== 'map' || type.value.kind !== 'tensor') return undefined;
  const { dataType } = type.value;
  if (dtypeFromCode(dataType) === undefined) return undefined;
  return { kind: 'tensor', dataType, shape: [1, keys.length] };
}
