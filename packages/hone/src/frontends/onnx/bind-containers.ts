/**
 * Inputs that are sequences or optionals, taken apart into the tensors they hold. How many there are
 * follows from the shapes that are given: `--shape x.0=2x3 --shape x.1=2x3` makes a sequence x of two,
 * `--shape x=2` one of two tensors as the model declares them. An optional without a shape is absent.
 */
import type { MapKeys } from 'hone-runtime/artifact/program';
import { fail } from 'hone-runtime/base/diagnostics';
import { valuesType } from './map-ops.ts';
import type { OnnxType, OnnxValueInfo } from './types.ts';

/** How the tensors make up an input. */
export type InputPlan =
  | { readonly kind: 'tensor'; readonly name: string }
  | { readonly kind: 'sequence'; readonly items: readonly InputPlan[] }
  | { readonly kind: 'optional'; readonly item: InputPlan | null }
  /** Its values are the tensor of its name. */
  | { readonly kind: 'map'; readonly name: string; readonly keys: MapKeys };

export interface TakenApart {
  /** The tensors of all inputs. */
  readonly infos: readonly OnnxValueInfo[];
  readonly plans: ReadonlyMap<string, InputPlan>;
  /** Shapes that count tensors of a sequence, which no tensor has. */
  readonly counts: ReadonlySet<string>;
  readonly notes: readonly string[];
}

type Shapes = Readonly<Record<string, readonly number[]>>;

/** A sequence longer than this is surely a mistake. */
const MAX_ITEMS = 4096;

/** `keysOf`: the keys of an input that is a map, where the model says them. */
export function takeApart(
  inputs: readonly OnnxValueInfo[],
  shapes: Shapes,
  keysOf: (name: string) => MapKeys | undefined,
): TakenApart {
  const infos: OnnxValueInfo[] = [];
  const counts = new Set<string>();
  const notes: string[] = [];
  const isGiven = (name: string): boolean =>
    Object.keys(shapes).some((key) => key === name || key.startsWith(`${name}.`));
  const plan = (name: string, type: OnnxType): InputPlan => {
    switch (type.kind) {
      case 'sequence': {
        const length = lengthOf(name, type.element, shapes, isGiven);
        if (length.isCount) counts.add(name);
        const items = Array.from({ length: length.items }, (_, i) =>
          plan(`${name}.${i}`, withoutSymbols(type.element)),
        );
        return { kind: 'sequence', items };
      }
      case 'optional':
        if (isGiven(name)) return { kind: 'optional', item: plan(name, type.element) };
        notes.push(
          `input ${name} is optional and was taken as absent: give it a --shape to have it`,
        );
        return { kind: 'optional', item: null };
      case 'tensor':
        infos.push({ name, type });
        return { kind: 'tensor', name };
      case 'map': {
        const keys = keysOf(name);
        const values = keys === undefined ? undefined : valuesType(type, keys);
        if (keys !== undefined && values !== undefined) {
          infos.push({ name, type: values });
          notes.push(`input ${name} is a map: it takes its values, one column for each key`);
          return { kind: 'map', name, keys };
        }
        return fail(
          'HONE-ONNX-019',
          `input ${name} is a map, and what reads it does not say which keys it has`,
          name,
          'export the model with tensor inputs, or with a DictVectorizer behind the map',
        );
      }
      default:
        return fail(
          'HONE-ONNX-019',
          `input ${name} is not a tensor (${type.kind})`,
          name,
          'export the model with tensor inputs',
        );
    }
  };
  const plans = new Map(inputs.map(({ name, type }) => [name, plan(name, type)]));
  return { infos, plans, counts, notes };
}

/** Tensors of a sequence may differ where the model names one dimension of all. */
function withoutSymbols(type: OnnxType): OnnxType {
  if (type.kind !== 'tensor' || type.shape === null) return type;
  return { ...type, shape: type.shape.map((dim) => (typeof dim === 'string' ? null : dim)) };
}

function lengthOf(
  name: string,
  element: OnnxType,
  shapes: Shapes,
  isGiven: (name: string) => boolean,
): { readonly items: number; readonly isCount: boolean } {
  let items = 0;
  while (items < MAX_ITEMS && isGiven(`${name}.${items}`)) items++;
  if (items > 0) return { items, isCount: false };
  const [count, ...more] = shapes[name] ?? [];
  const isClosed =
    element.kind === 'tensor' &&
    element.shape !== null &&
    element.shape.every((dim) => typeof dim === 'number');
  if (count !== undefined && more.length === 0 && count <= MAX_ITEMS && (isClosed || count === 0)) {
    return { items: count, isCount: true };
  }
  return fail(
    'HONE-ONNX-019',
    `input ${name} is a sequence: how many tensors it holds, and of which shapes, has to be known`,
    name,
    `give the shape of each, e.g. --shape ${name}.0=2x3 --shape ${name}.1=2x3, or --shape ${name}=0 for none`,
  );
}
