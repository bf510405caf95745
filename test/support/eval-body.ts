/**
 * Runs a stage body directly on host tensors: axes are walked in row-major order and expressions
 * evaluated by `expr/evaluate`. Slow and plain on purpose: it
 * is the definition that lowerings are compared with. Reading outside an operand throws.
 */
import assert from 'node:assert/strict';
import {
  compileExpr,
  compileIndex,
  type CompiledExpr,
  type EvaluationEnv,
  type Scalar,
} from 'hone/expr/evaluate';
import { binaryScalar, castScalar } from 'hone/expr/scalar';
import type { Expr } from 'hone/expr/types';
import type { ValueType } from 'hone/graph/types';
import type { ContractBody, ReduceBody, ReduceStep, StageBody } from 'hone/stages/types';
import { type DType, dtypeKind, isBig } from 'hone-runtime/base/dtype';
import {
  elementCount,
  fromNumbers,
  stridesOf,
  type Tensor,
  toNumbers,
} from 'hone-runtime/base/tensor';

/** Elements of an operand, decoded once. */
interface Operand {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly values: ArrayLike<Scalar>;
}

interface Env extends EvaluationEnv {
  readonly axes: Map<string, number>;
  readonly accs: Scalar[];
}

function environment(inputs: readonly (Tensor | null)[]): Env {
  const operands = inputs.map((input) => (input === null ? null : decode(input)));
  const axes = new Map<string, number>();
  const accs: Scalar[] = [];
  return {
    axes,
    accs,
    axis(name) {
      const value = axes.get(name);
      assert.ok(value !== undefined, `axis ${name} is not bound`);
      return value;
    },
    load(source, index, dtype) {
      const operand = operands[Number(source)];
      assert.ok(operand, `operand ${source} is absent`);
      assert.equal(dtype, operand.dtype, `dtype of operand ${source}`);
      const flat = flatIndex(index, operand.shape, operand.strides, `operand ${source}`);
      return operand.values[flat] as Scalar;
    },
    acc(step) {
      const value = accs[step];
      assert.ok(value !== undefined, `step ${step} has no result yet`);
      return value;
    },
    fault: () => assert.fail('a checked index is outside its extent'),
  };
}

/** The output of a body; undefined for routines, which are C. */
export function evaluateBody(
  body: StageBody,
  inputs: readonly (Tensor | null)[],
  out: ValueType,
): Tensor | undefined {
  if (body.kind === 'routine') return undefined;
  if (body.kind === 'control') throw new TypeError('bodies of control flow are graphs');
  if (body.kind === 'alias') return { ...inputAt(inputs, 0), shape: out.shape };
  const values = new Array<Scalar>(elementCount(out.shape)).fill(isBig(out.dtype) ? 0n : 0);
  const written = new Uint8Array(values.length);
  const strides = stridesOf(out.shape);
  const put = (position: readonly number[], value: Scalar): void => {
    const flat = flatIndex(position, out.shape, strides, 'output');
    values[flat] = value;
    written[flat] = 1;
  };
  if (body.kind === 'concat') {
    inputs.forEach((input, k) => {
      if (input === null) return;
      const elements = decode(input).values;
      eachIndex(input.shape, (position, flat) => {
        const moved = [...position];
        moved[body.axis] = (moved[body.axis] as number) + (body.offsets[k] as number);
        put(moved, elements[flat] as Scalar);
      });
    });
  } else {
    const env = environment(inputs);
    const outIndex = body.outIndex.map(compileIndex);
    const write = (run: CompiledExpr): void => {
      put(
        outIndex.map((index) => index(env)),
        run(env),
      );
    };
    const final = body.kind === 'contract' ? body.epilogue : body.value;
    assert.equal(final.dtype, out.dtype, 'the value must have the output dtype');
    const value = compileExpr(final);
    walk(env, 'i', body.axes, () => {
      if (body.kind === 'map') return write(value);
      env.accs.length = 0;
      if (body.kind === 'reduce') runSteps(body, env);
      else contract(body, env);
      if (body.kind === 'reduce' && body.spans === 'all') {
        walk(env, 'r', body.reduceAxes, () => write(value));
      } else write(value);
    });
  }
  assert.ok(
    written.every((mark) => mark === 1),
    'every output element is written',
  );
  return encode(out, values);
}

function contract(body: ContractBody, env: Env): void {
  const [a, b] = [
    compileExpr(castTo(body.accDtype, body.a)),
    compileExpr(castTo(body.accDtype, body.b)),
  ];
  const multiply = binaryScalar('mul', body.accDtype);
  const add = binaryScalar('add', body.accDtype);
  let sum: Scalar = isBig(body.accDtype) ? 0n : 0;
  walk(env, 'r', body.reduceAxes, () => {
    sum = add(sum, multiply(a(env), b(env)));
  });
  env.accs.push(sum);
}

function castTo(dtype: DType, x: Expr): Expr {
  return x.dtype === dtype ? x : { kind: 'cast', dtype, x };
}

function runSteps(body: ReduceBody, env: Env): void {
  for (const step of body.steps) {
    const value = compileExpr(step.value);
    env.accs.push(
      isArg(step) ? foldPosition(step, value, body, env) : fold(step, value, body, env),
    );
  }
}

function isArg(step: ReduceStep): boolean {
  return step.op === 'argmax' || step.op === 'argmin';
}

function fold(step: ReduceStep, value: CompiledExpr, body: ReduceBody, env: Env): Scalar {
  assert.equal(step.value.dtype, step.dtype, 'a step folds values of its own dtype');
  const ops = { sum: 'add', prod: 'mul', max: 'max', min: 'min', any: 'or', all: 'and' } as const;
  const op = ops[step.op as keyof typeof ops];
  const combine = binaryScalar(op, step.dtype);
  let result = startOf(step.op, step.dtype);
  walk(env, 'r', body.reduceAxes, () => {
    result = combine(result, value(env));
  });
  return result;
}

function foldPosition(step: ReduceStep, value: CompiledExpr, body: ReduceBody, env: Env): Scalar {
  let best: Scalar | undefined;
  let position = 0n;
  walk(env, 'r', body.reduceAxes, () => {
    const x = value(env);
    const wins =
      best === undefined ||
      (step.op === 'argmax' ? x > best : x < best) ||
      (step.lastOfEquals === true && x === best);
    if (!wins) return;
    best = x;
    position = BigInt(env.axes.get('r0') ?? 0);
  });
  return position;
}

/** What an empty list folds to. */
function startOf(op: ReduceStep['op'], dtype: DType): Scalar {
  const big = isBig(dtype);
  if (op === 'sum' || op === 'any') return big ? 0n : 0;
  if (op === 'prod' || op === 'all') return big ? 1n : 1;
  const infinity = op === 'max' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  // Saturation of an infinity gives an integer dtype's own limit.
  return dtypeKind(dtype) === 'float' ? infinity : castScalar('f64', dtype)(infinity);
}

/** Visits every index of `extents`, its axes named prefix0, prefix1, …. */
function walk(env: Env, prefix: string, extents: readonly number[], visit: () => void): void {
  eachIndex(extents, (position) => {
    position.forEach((value, i) => {
      env.axes.set(`${prefix}${i}`, value);
    });
    visit();
  });
}

function eachIndex(
  extents: readonly number[],
  visit: (position: readonly number[], flat: number) => void,
): void {
  const count = elementCount(extents);
  const position = extents.map(() => 0);
  for (let flat = 0; flat < count; flat++) {
    visit(position, flat);
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      position[axis] = (position[axis] as number) + 1;
      if ((position[axis] as number) < (extents[axis] as number)) break;
      position[axis] = 0;
    }
  }
}

function flatIndex(
  position: readonly number[],
  shape: readonly number[],
  strides: readonly number[],
  what: string,
): number {
  assert.equal(position.length, shape.length, `${what}: one index per dimension`);
  return position.reduce((flat, value, axis) => {
    const inside = value >= 0 && value < (shape[axis] as number);
    assert.ok(inside, `${what}: index [${position.join(',')}] outside [${shape.join(',')}]`);
    return flat + value * (strides[axis] as number);
  }, 0);
}

function inputAt(inputs: readonly (Tensor | null)[], k: number): Tensor {
  const input = inputs[k];
  assert.ok(input, `operand ${k} is absent`);
  return input;
}

function decode(tensor: Tensor): Operand {
  const { dtype, shape, data } = tensor;
  const values = isBig(dtype)
    ? (data as BigInt64Array)
    : dtype === 'string'
      ? []
      : toNumbers(tensor);
  return { dtype, shape, strides: stridesOf(shape), values };
}

function encode({ dtype, shape }: ValueType, values: readonly Scalar[]): Tensor {
  if (dtype === 'i64') return { dtype, shape, data: BigInt64Array.from(values as bigint[]) };
  if (dtype === 'u64') return { dtype, shape, data: BigUint64Array.from(values as bigint[]) };
  return fromNumbers(dtype, shape, values as number[]);
}
