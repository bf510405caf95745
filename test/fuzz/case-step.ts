/** A step for every operator there is: one of its own test cases, on values at hand where they fit. */
import { standardRegistry } from 'hone/ops/registry';
import type { Tensor } from 'hone-runtime/base/tensor';
import type { Growth, Step } from './growth.ts';

const CASES = standardRegistry
  .all()
  .flatMap((def) =>
    def.kind === 'host'
      ? []
      : (def.cases?.() ?? []).flatMap((testCase) =>
          testCase.inputs.some((tensor) => tensor?.dtype === 'string') ? [] : [{ def, testCase }],
        ),
  );

export const operatorCase: Step = (g) => {
  // By operator first: some have dozens of cases.
  const { def } = g.among(CASES);
  const { testCase } = g.among(CASES.filter((item) => item.def === def));
  const { inputs, attrs = {}, outputs = 1 } = testCase;
  const add = (place: (tensor: Tensor) => number): boolean =>
    g.ops(
      def.name,
      inputs.map((tensor) => (tensor === null ? null : place(tensor))),
      attrs,
      outputs,
      def.domain ?? '',
    ) !== undefined;
  if (g.chance(0.3) && add((tensor) => g.hold(tensor))) return;
  if (!add((tensor) => valueLike(g, tensor))) add((tensor) => g.hold(tensor));
};

/** A float of the same type, an input of these elements, or a constant. */
function valueLike(g: Growth, tensor: Tensor): number {
  const { dtype, shape } = tensor;
  const like = g.values.filter(
    ({ type }) => dtype === 'f32' && type.dtype === dtype && type.shape.join() === shape.join(),
  );
  if (like.length > 0 && g.chance(0.5)) return g.among(like).id;
  return g.chance(0.8) ? g.inputOf(tensor).id : g.hold(tensor);
}
