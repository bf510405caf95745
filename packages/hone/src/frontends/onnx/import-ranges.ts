/**
 * Inputs whose sizes vary from run to run: tensors with room for the most. How much of them is meant
 * hidden inputs say, i64 scalars behind all the others; runtimes set them from the shapes they are given.
 */
import { fail, invariant } from 'hone-runtime/base/diagnostics';
import type { InputRange, ValueId } from '../../graph/types.ts';
import type { OpBuilder } from '../../ops/builder.ts';
import type { InputPlan } from './bind-containers.ts';
import type { BoundInputs } from './bind-shapes.ts';
import { type Int, unknown, numbersOf } from './bounded/ints.ts';
import type { Entity } from './entities.ts';

export interface RangedInputs {
  readonly ranges: readonly InputRange[];
  /** All inputs of the graph by name; none where no size varies: then they are made as they are met. */
  readonly entities: ReadonlyMap<string, Entity>;
}

/** Makes the inputs of a graph where some vary. `isFixed`: is the input a constant? */
export function addRanges(
  builder: OpBuilder,
  { ranges, plans, types }: BoundInputs,
  isFixed: (name: string) => boolean,
): RangedInputs {
  if (ranges.length === 0) return { ranges: [], entities: new Map() };
  const names = [...plans.values()].flatMap(tensorsOf).filter((name) => !isFixed(name));
  const ids = new Map<string, ValueId>();
  for (const name of names) {
    const type = types.get(name);
    invariant(type !== undefined, `input ${name} has a type`);
    ids.set(name, builder.graph.input(name, type));
  }
  const found: InputRange[] = [];
  const sizes = new Map<string, Int[]>();
  let from = names.length;
  for (const { min, max, axes } of ranges) {
    const there = axes.filter(({ input }) => names.includes(input));
    const [first] = there;
    if (first === undefined) continue;
    const id = builder.graph.input(`${first.input}.size${first.axis}`, { dtype: 'i64', shape: [] });
    const size = unknown(id, min, max);
    numbersOf(builder).note(id, [size]);
    for (const { input, axis } of there) {
      const own = sizes.get(input) ?? [...(types.get(input)?.shape ?? [])];
      own[axis] = size;
      sizes.set(input, own);
      found.push({ input: names.indexOf(input), axis, from, least: min });
    }
    from++;
  }
  const entities = new Map(
    names.map((name): [string, Entity] => {
      const id = ids.get(name) ?? 0;
      const own = sizes.get(name);
      return [name, own === undefined ? id : { kind: 'bounded', id, sizes: own }];
    }),
  );
  return { ranges: found, entities };
}

function tensorsOf(plan: InputPlan): readonly string[] {
  switch (plan.kind) {
    case 'sequence':
      return plan.items.flatMap(tensorsOf);
    case 'optional':
      return plan.item === null ? [] : tensorsOf(plan.item);
    default:
      return [plan.name];
  }
}

/** Maps have a column for each key, and as many rows as are bound. */
export function failVaryingMap(name: string): never {
  return fail(
    'HONE-SHAPE-019',
    `input ${name} is a map, whose sizes cannot vary from run to run`,
    name,
    'give it one size',
  );
}
