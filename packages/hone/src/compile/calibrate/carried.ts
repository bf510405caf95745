/**
 * State that a model carries from run to run: an output of the type of an input, which the next run
 * takes. Found by names (h and hn, state and stateN, past_x and present_x), or told. Samples may then
 * leave such inputs out: they follow one another, and the state is fed back.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { elementCount, fromNumbers, type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Graph, ValueType } from '../../graph/types.ts';
import { valueById } from '../../graph/walk.ts';

/** Name of the input → name of the output that the next run takes there. */
export type Carried = ReadonlyMap<string, string>;

/** What a user says of it; absent: found by names; empty: nothing is carried. */
export type CarriedRequest = Readonly<Record<string, string>>;

interface Port {
  readonly name: string;
  readonly type: ValueType;
}

/** The pairs of a graph; HONE-CALIBRATE-013 where what is asked for does not fit it. */
export function findCarried(graph: Graph, asked?: CarriedRequest): Carried {
  const port = (id: number): Port => valueById(graph, id);
  const [inputs, outputs] = [graph.inputs.map(port), graph.outputs.map(port)];
  if (asked !== undefined) return checkAsked(inputs, outputs, asked);
  const pairs = inputs.flatMap(({ name, type }): [string, string][] => {
    const found = outputs.filter(
      (output) => sameType(type, output.type) && isNext(name, output.name),
    );
    return found.length === 1 && type.dtype === 'f32' ? [[name, found[0]?.name ?? '']] : [];
  });
  // A model with nothing but state reads no samples: an image and its `image_out` are no state.
  const once = new Set(pairs.map(([, output]) => output)).size === pairs.length;
  return new Map(once && pairs.length < inputs.length ? pairs : []);
}

function checkAsked(
  inputs: readonly Port[],
  outputs: readonly Port[],
  asked: CarriedRequest,
): Carried {
  for (const [input, output] of Object.entries(asked)) {
    const [to, from] = [find(inputs, input), find(outputs, output)];
    const cure = `give INPUT=OUTPUT; inputs: ${listed(inputs)}; outputs: ${listed(outputs)}`;
    if (to === undefined || from === undefined) {
      const what = to === undefined ? `input ${input}` : `output ${output}`;
      fail('HONE-CALIBRATE-013', `the model has no ${what} to carry state with`, what, cure);
    }
    if (to.type.dtype !== 'f32' || !sameType(to.type, from.type)) {
      fail(
        'HONE-CALIBRATE-013',
        `${output} (${typeText(from.type)}) cannot be carried to ${input} (${typeText(to.type)}): both have to be f32 of one shape`,
        input,
        cure,
      );
    }
  }
  return new Map(Object.entries(asked));
}

const find = (ports: readonly Port[], name: string): Port | undefined =>
  ports.find((port) => port.name === name);
const listed = (ports: readonly Port[]): string => ports.map(({ name }) => name).join(', ');
const typeText = ({ dtype, shape }: ValueType): string => `${dtype} ${shape.join('x')}`;

function sameType(a: ValueType, b: ValueType): boolean {
  return a.dtype === b.dtype && a.shape.join() === b.shape.join();
}

/** Words that say which side of a run a state is on. */
const SIDES = /^(?:in|input|out|output|past|present|prev|previous|next|new|old|current|n)$/;

/** Whether an output's name is that of the input on the other side of a run. */
function isNext(input: string, output: string): boolean {
  if (input !== output && new RegExp(`^${escaped(input)}_?[nN]$`).test(output)) return true;
  const stem = (name: string): string =>
    name
      .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
      .toLowerCase()
      .split(/[^a-z0-9]+/)
      .filter((word) => !SIDES.test(word))
      .join('_');
  return stem(input) !== '' && stem(input) === stem(output);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

type Tensors = Readonly<Record<string, Tensor>>;

/** Inputs with what is carried, and whether the state is what the run before left. */
export function withCarried(
  carried: Carried,
  inputs: Tensors,
  types: ReadonlyMap<string, ValueType>,
  before: Tensors | undefined,
): { readonly inputs: Tensors; readonly continues: boolean } {
  const filled: Record<string, Tensor> = { ...inputs };
  let continues = before !== undefined;
  for (const [input, output] of carried) {
    const given = inputs[input];
    const left = before?.[output];
    if (given !== undefined) {
      continues &&= left !== undefined && isNear(given, left);
    } else if (left !== undefined) {
      filled[input] = left;
    } else {
      const { dtype, shape } = types.get(input) ?? { dtype: 'f32', shape: [] };
      filled[input] = fromNumbers(dtype, shape, new Float64Array(elementCount(shape)));
    }
  }
  return { inputs: filled, continues };
}

/** A recorded state is another runtime's: equal but for rounding. */
const NEAR = 1e-2;

function isNear(a: Tensor, b: Tensor): boolean {
  if (a.shape.join() !== b.shape.join()) return false;
  const [x, y] = [toNumbers(a), toNumbers(b)];
  let [size, distance] = [0, 0];
  x.forEach((value, i) => {
    size += value ** 2;
    distance += (value - (y[i] as number)) ** 2;
  });
  return distance <= size * NEAR ** 2;
}
