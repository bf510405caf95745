/** Random models on sequences whose length and elements depend on data. */
import { type Random, seededRandom } from 'hone-runtime/base/random';
import { fromNumbers, type Tensor } from 'hone-runtime/base/tensor';
import type { RawGraph, RawNode, RawValue } from '../onnx/raw-model.ts';
import { type BoundedCase, flags, i64, node, noise, scalar, truth } from './cases.ts';

const ROWS = 5;
const WIDTH = 3;
const STEPS = 5;

const sequence = (name: string): RawValue => ({
  name,
  shape: [null, null],
  container: 'sequence',
});
const tensor = (name: string): RawValue => ({ name, shape: [null, null] });
const number = (name: string): RawValue => ({ name, dtype: 'i64', shape: [] });
const axis = (value: number): RawNode['attrs'] => ({ axis: { int: value } });

/** Makes nodes on sequences of tensors [≤rows, WIDTH] step by step. */
class Maker {
  readonly nodes: RawNode[] = [];
  readonly sequences: string[] = [];
  readonly tensors: string[] = ['x', 'r'];
  readonly #random: Random;
  #count = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.nodes.push(node('Compress', ['x', 'c'], ['r'], axis(0)));
  }

  int(below: number): number {
    return Math.floor(this.#random.next() * below);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)] as T;
  }

  name(): string {
    return `v${this.#count++}`;
  }

  add(op: string, inputs: readonly string[], attrs: RawNode['attrs'] = {}): string {
    const name = this.name();
    this.nodes.push(node(op, inputs, [name], attrs));
    return name;
  }

  /** A position: none, a constant, a number from outside, or one that is inside for sure. */
  position(list: string): readonly string[] {
    const kind = this.int(4);
    if (kind === 0) return [];
    if (kind === 1) return [this.pick(['zero', 'minus'])];
    if (kind === 2) return [this.pick(['p', 'q'])];
    const length = this.add('SequenceLength', [list]);
    const most = this.add('Max', [length, 'one']);
    return [this.add('Mod', ['p', most])];
  }

  source(): void {
    const x = this.pick(this.tensors);
    const kind = this.int(4);
    if (kind === 0)
      this.sequences.push(this.add('SequenceConstruct', [x, this.pick(this.tensors)]));
    else if (kind === 1) this.sequences.push(this.add('SplitToSequence', [x], axis(0)));
    else {
      const size = this.pick(['one', 'two', 'k']);
      this.sequences.push(this.add('SplitToSequence', [x, size], axis(0)));
    }
  }

  step(): void {
    const list = this.sequences.length === 0 ? undefined : this.pick(this.sequences);
    const kind = list === undefined ? 0 : this.int(9);
    if (list === undefined || kind === 0) this.source();
    else if (kind <= 2) {
      const inputs = [list, this.pick(this.tensors), ...this.position(list)];
      this.sequences.push(this.add('SequenceInsert', inputs));
    } else if (kind === 3) {
      this.sequences.push(this.add('SequenceErase', [list, ...this.position(list)]));
    } else if (kind === 4) {
      const [place = 'zero'] = this.position(list);
      this.tensors.push(this.add('SequenceAt', [list, place]));
    } else if (kind === 5) this.tensors.push(this.add('ConcatFromSequence', [list], axis(0)));
    else if (kind === 6) this.map(list);
    else if (kind === 7) this.branch(list);
    else this.loop(list);
  }

  map(list: string): void {
    const [own, made] = [this.name(), this.name()];
    const body: RawGraph = {
      inputs: [tensor(own)],
      nodes: [
        this.int(2) === 0
          ? node('Neg', [own], [made])
          : node('Concat', [own, this.pick(this.tensors)], [made], axis(0)),
      ],
      outputs: [tensor(made)],
    };
    this.sequences.push(this.add('SequenceMap', [list], { body: { graph: body } }));
  }

  branch(list: string): void {
    const other = this.pick(this.sequences);
    const [yes, no] = [this.name(), this.name()];
    const then: RawGraph = {
      nodes: [node('SequenceInsert', [list, this.pick(this.tensors)], [yes])],
      outputs: [sequence(yes)],
    };
    const otherwise: RawGraph = {
      nodes: [node('Identity', [other], [no])],
      outputs: [sequence(no)],
    };
    this.sequences.push(
      this.add('If', ['which'], {
        then_branch: { graph: then },
        else_branch: { graph: otherwise },
      }),
    );
  }

  loop(list: string): void {
    const [i, go, before, after, on] = [0, 1, 2, 3, 4].map(() => this.name()) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const nodes: RawNode[] = [node('Identity', [go], [on])];
    const kind = this.int(3);
    if (kind === 0) {
      nodes.push(node('SequenceInsert', [before, this.pick(this.tensors)], [after]));
    } else if (kind === 1) {
      const [first, rest, turned] = [this.name(), this.name(), this.name()];
      nodes.push(
        node('SequenceAt', [before, 'minus'], [first]),
        node('SequenceErase', [before], [rest]),
        node('Neg', [first], [turned]),
        node('SequenceInsert', [rest, turned, 'zero'], [after]),
      );
    } else {
      const [first, longer] = [this.name(), this.name()];
      nodes.push(
        node('SequenceAt', [before, 'zero'], [first]),
        node('Concat', [first, this.pick(this.tensors)], [longer], axis(0)),
        node('SequenceInsert', [before, longer], [after]),
      );
    }
    const body: RawGraph = {
      inputs: [number(i), truth(go), sequence(before)],
      nodes,
      outputs: [truth(on), sequence(after)],
    };
    this.sequences.push(this.add('Loop', ['trips', 'yes', list], { body: { graph: body } }));
  }
}

/** A model, and inputs for several sizes. */
export function randomSequences(seed: number): BoundedCase {
  const maker = new Maker(seed);
  maker.source();
  for (let step = 0; step < STEPS; step++) maker.step();
  const list = maker.sequences.at(-1) ?? '';
  const all = maker.add('ConcatFromSequence', [list], axis(0));
  const count = maker.add('SequenceLength', [list]);
  const last = maker.tensors.at(-1) ?? 'r';
  const kept = maker.add('Identity', [last]);
  const inputs = [
    tensor('x'),
    { name: 'c', dtype: 'bool', shape: [ROWS] } as const,
    ...['p', 'q', 'n', 'm'].map(number),
    truth('which'),
  ];
  return {
    name: `sequences ${seed}`,
    model: {
      opset: 18,
      inputs: inputs.map((input) =>
        input.name === 'x' ? { name: 'x', shape: [ROWS, WIDTH] } : input,
      ),
      outputs: [tensor(all), number(count), tensor(kept)],
      initializers: {
        zero: scalar(0),
        one: scalar(1),
        two: scalar(2),
        three: scalar(3),
        minus: scalar(-1),
        unused: i64(0),
        yes: fromNumbers('bool', [], [1]),
      },
      nodes: [
        node('Clip', ['n', 'zero', 'three'], ['trips']),
        node('Clip', ['m', 'one', 'three'], ['k']),
        ...maker.nodes,
      ],
    },
    runs: [0, 1, 2, 3].map((run) => runOf(seed, run)),
  };
}

function runOf(seed: number, run: number): readonly Tensor[] {
  const random = seededRandom(seed * 17 + run);
  const below = (most: number): number => Math.floor(random.next() * most);
  return [
    noise([ROWS, WIDTH], seed + run),
    flags([ROWS], run === 0 ? 1 : 0.6, seed + run),
    scalar(below(3)),
    scalar(below(4) - 2),
    scalar(below(4)),
    scalar(1 + below(3)),
    fromNumbers('bool', [], [below(2)]),
  ];
}
