/**
 * Runs loop functions as they are written, slowly: the meaning that compiled kernels are tested
 * against. Workers run one after the other from barrier to barrier. A position outside of a buffer
 * throws; allocated memory begins as NaN or as a conspicuous pattern, never as zeros.
 */
import { fail, invariant } from 'hone-runtime/base/diagnostics';
import { type DType, isFloat, type TypedArray } from 'hone-runtime/base/dtype';
import { decoderOf, encoderOf } from 'hone-runtime/base/bit-patterns';
import { allocateData } from 'hone-runtime/base/tensor';
import {
  type CompiledExpr,
  compileExpr,
  type EvaluationEnv,
  type Scalar,
} from '../expr/evaluate.ts';
import { binaryScalar, roundFloat } from '../expr/scalar.ts';
import type { BinaryOp, Expr } from '../expr/types.ts';
import { instrOf } from './instr.ts';
import type { AccumulateOp, Instr, LoopFn, Operand, Stmt } from './types.ts';

export interface InterpretOptions {
  /** Simulated workers; default 1. */
  readonly workers?: number;
  /** Instructions that `call` may name. */
  readonly instrs?: ReadonlyMap<string, Instr>;
}

export interface InterpretResult {
  /** A checked index was outside its extent. */
  readonly fault: boolean;
}

/** Runs a function over buffers (by parameter name, as stored) and integer parameters. */
export function interpretLoop(
  fn: LoopFn,
  buffers: Readonly<Record<string, TypedArray>>,
  dims: Readonly<Record<string, number>> = {},
  options: InterpretOptions = {},
): InterpretResult {
  const count = options.workers ?? 1;
  const state = { fault: false };
  const programs = Array.from({ length: count }, (_, id) => {
    const worker = createWorker(fn, id, count, options.instrs ?? new Map(), state);
    for (const { name, dtype } of fn.buffers) {
      const data = buffers[name];
      invariant(data !== undefined, `${fn.name}: no data for buffer "${name}"`);
      worker.memory.set(name, { name, dtype, data, offset: 0 });
    }
    for (const name of fn.dims) {
      const value = dims[name];
      invariant(value !== undefined, `${fn.name}: no value for "${name}"`);
      worker.axes.set(name, value);
    }
    return runBody(worker, fn.body);
  });
  for (;;) {
    const ended = programs.map((program) => program.next().done === true);
    if (ended.every((end) => end)) return { fault: state.fault };
    invariant(!ended.some((end) => end), `${fn.name}: not every worker passes every barrier`);
  }
}

interface Memory {
  readonly name: string;
  readonly dtype: DType;
  readonly data: TypedArray;
  /** Of position 0 in the data. */
  readonly offset: number;
}

interface Worker {
  readonly fn: LoopFn;
  readonly id: number;
  readonly count: number;
  readonly instrs: ReadonlyMap<string, Instr>;
  readonly memory: Map<string, Memory>;
  readonly axes: Map<string, number>;
  readonly env: EvaluationEnv;
}

function createWorker(
  fn: LoopFn,
  id: number,
  count: number,
  instrs: ReadonlyMap<string, Instr>,
  state: { fault: boolean },
): Worker {
  const memory = new Map<string, Memory>();
  const axes = new Map<string, number>();
  const env: EvaluationEnv = {
    axis: (name) => {
      const value = axes.get(name);
      invariant(value !== undefined, `${fn.name}: axis "${name}" has no value here`);
      return value;
    },
    load: (source, index) => {
      const target = memory.get(source);
      invariant(target !== undefined, `${fn.name}: buffer "${source}" is not there`);
      return readElement(fn, target, index[0] ?? 0);
    },
    acc: () => fail('HONE-INTERNAL-001', `${fn.name}: "acc" has no meaning in loops`),
    fault: () => {
      state.fault = true;
    },
  };
  return { fn, id, count, instrs, memory, axes, env };
}

const compiled = new WeakMap<Expr, CompiledExpr>();

function evaluate(worker: Worker, expr: Expr): Scalar {
  let run = compiled.get(expr);
  if (run === undefined) {
    run = compileExpr(expr);
    compiled.set(expr, run);
  }
  return run(worker.env);
}

function evaluateIndex(worker: Worker, expr: Expr): number {
  return Number(evaluate(worker, expr));
}

function position(fn: LoopFn, memory: Memory, index: number): number {
  const at = index + memory.offset;
  if (!Number.isInteger(at) || at < 0 || at >= memory.data.length) {
    fail(
      'HONE-INTERNAL-001',
      `${fn.name}: position ${index} is outside of buffer "${memory.name}" of ${memory.data.length - memory.offset}`,
      fn.name,
      'please report this as a bug',
    );
  }
  return at;
}

function readElement(fn: LoopFn, memory: Memory, index: number): Scalar {
  const value = memory.data[position(fn, memory, index)] as number | bigint;
  if (memory.dtype === 'bool') return value === 0 ? 0 : 1;
  return decoderOf(memory.dtype)?.(value as number) ?? value;
}

function writeElement(fn: LoopFn, memory: Memory, index: number, value: Scalar): void {
  const at = position(fn, memory, index);
  const { data, dtype } = memory;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[at] = BigInt(value);
  else if (dtype === 'bool') data[at] = Number(value) === 0 ? 0 : 1;
  else data[at] = encoderOf(dtype)?.(value as number) ?? (value as number);
}

function memoryOf(worker: Worker, name: string): Memory {
  const memory = worker.memory.get(name);
  invariant(memory !== undefined, `${worker.fn.name}: buffer "${name}" is not there`);
  return memory;
}

const COMBINE: Readonly<Record<AccumulateOp, BinaryOp>> = {
  sum: 'add',
  prod: 'mul',
  max: 'max',
  min: 'min',
};

type Program = Generator<void, void, void>;

/** Runs a block; what it declares ends with it. */
function* runBody(worker: Worker, body: readonly Stmt[]): Program {
  if (!body.some((stmt) => stmt.kind === 'let' || stmt.kind === 'alloc')) {
    for (const stmt of body) yield* runStmt(worker, stmt);
    return;
  }
  const memory = new Map(worker.memory);
  const axes = new Map(worker.axes);
  for (const stmt of body) yield* runStmt(worker, stmt);
  restore(worker.memory, memory);
  restore(worker.axes, axes);
}

function restore<V>(map: Map<string, V>, to: ReadonlyMap<string, V>): void {
  for (const name of map.keys()) if (!to.has(name)) map.delete(name);
  for (const [name, value] of to) map.set(name, value);
}

function* runStmt(worker: Worker, stmt: Stmt): Program {
  switch (stmt.kind) {
    case 'for':
      yield* runFor(worker, stmt);
      return;
    case 'let':
      worker.axes.set(stmt.name, evaluateIndex(worker, stmt.value));
      return;
    case 'assign':
    case 'accumulate':
      write(worker, stmt, evaluate(worker, stmt.value));
      return;
    case 'alloc':
      worker.memory.set(stmt.buffer, allocate(stmt.buffer, stmt.dtype, stmt.count));
      return;
    case 'if':
      yield* runBody(worker, evaluate(worker, stmt.cond) !== 0 ? stmt.then : stmt.else);
      return;
    case 'call':
      yield* runCall(worker, instrOf(worker.instrs, stmt.instr), stmt.operands);
      return;
    case 'prefetch':
      return;
    case 'barrier':
      yield;
      return;
    case 'block':
      yield* runBody(worker, stmt.body);
      return;
    default:
      stmt satisfies never;
  }
}

function write(
  worker: Worker,
  stmt: Extract<Stmt, { kind: 'assign' | 'accumulate' }>,
  value: Scalar,
): void {
  const memory = memoryOf(worker, stmt.buffer);
  const index = evaluateIndex(worker, stmt.index);
  let result = value;
  if (stmt.kind === 'accumulate') {
    const old = readElement(worker.fn, memory, index);
    result = binaryScalar(COMBINE[stmt.op], memory.dtype)(old, value);
    if (isFloat(memory.dtype)) result = roundFloat(memory.dtype, result as number);
  }
  writeElement(worker.fn, memory, index, result);
}

function allocate(name: string, dtype: DType, count: number): Memory {
  const data = allocateData(dtype, count);
  if (dtype === 'f32' || dtype === 'f64') (data as Float32Array).fill(Number.NaN);
  else new Uint8Array(data.buffer).fill(dtype === 'bool' ? 1 : 0xfe);
  return { name, dtype, data, offset: 0 };
}

function* runFor(worker: Worker, loop: Extract<Stmt, { kind: 'for' }>): Program {
  const lo = evaluateIndex(worker, loop.lo);
  const hi = evaluateIndex(worker, loop.hi);
  const trips = Math.max(0, Math.ceil((hi - lo) / loop.step));
  if (loop.mode === 'vector') {
    runLanes(worker, { axis: loop.axis, lo, hi }, loop.body);
    return;
  }
  const split = loop.mode === 'parallel';
  const from = split ? Math.floor((trips * worker.id) / worker.count) : 0;
  const to = split ? Math.floor((trips * (worker.id + 1)) / worker.count) : trips;
  const outer = worker.axes.get(loop.axis);
  for (let trip = from; trip < to; trip++) {
    worker.axes.set(loop.axis, lo + trip * loop.step);
    yield* runBody(worker, loop.body);
  }
  if (outer === undefined) worker.axes.delete(loop.axis);
  else worker.axes.set(loop.axis, outer);
}

interface Lanes {
  readonly axis: string;
  readonly lo: number;
  readonly hi: number;
}

/** Each statement in all lanes before the next; an assignment reads all lanes before it writes. */
function runLanes(worker: Worker, lanes: Lanes, body: readonly Stmt[]): void {
  const lets: { name: string; value: Expr }[] = [];
  const inLane = (lane: number): void => {
    worker.axes.set(lanes.axis, lane);
    for (const { name, value } of lets) worker.axes.set(name, evaluateIndex(worker, value));
  };
  const run = (stmts: readonly Stmt[]): void => {
    const memory = new Map(worker.memory);
    const known = lets.length;
    for (const stmt of stmts) runStatement(stmt);
    lets.length = known;
    restore(worker.memory, memory);
  };
  const runStatement = (stmt: Stmt): void => {
    switch (stmt.kind) {
      case 'let':
        lets.push(stmt);
        return;
      case 'block':
        run(stmt.body);
        return;
      case 'for': {
        inLane(lanes.lo);
        const lo = evaluateIndex(worker, stmt.lo);
        const hi = evaluateIndex(worker, stmt.hi);
        for (let i = lo; i < hi; i += stmt.step) {
          worker.axes.set(stmt.axis, i);
          run(stmt.body);
        }
        worker.axes.delete(stmt.axis);
        return;
      }
      case 'assign': {
        const values: Scalar[] = [];
        for (let lane = lanes.lo; lane < lanes.hi; lane++) {
          inLane(lane);
          values.push(evaluate(worker, stmt.value));
        }
        for (let lane = lanes.lo; lane < lanes.hi; lane++) {
          inLane(lane);
          write(worker, stmt, values[lane - lanes.lo] as Scalar);
        }
        return;
      }
      case 'alloc':
      case 'call':
        inLane(lanes.lo);
        finish(runStmt(worker, stmt));
        return;
      default:
        for (let lane = lanes.lo; lane < lanes.hi; lane++) {
          inLane(lane);
          finish(runStmt(worker, stmt));
        }
    }
  };
  const axes = new Map(worker.axes);
  run(body);
  restore(worker.axes, axes);
}

/** Runs a program that may not wait. */
function finish(program: Program): void {
  invariant(program.next().done === true, 'a barrier inside of a vector loop or an instruction');
}

/** An instruction's meaning over its operands. */
function* runCall(worker: Worker, instr: Instr, operands: readonly Operand[]): Program {
  const memory = new Map<string, Memory>();
  const axes = new Map<string, number>();
  instr.params.forEach((param, i) => {
    const operand = operands[i];
    invariant(operand !== undefined, `${instr.name}: operand "${param.name}" is missing`);
    if (operand.kind === 'at') {
      const target = memoryOf(worker, operand.buffer);
      const offset = target.offset + evaluateIndex(worker, operand.index);
      memory.set(param.name, { ...target, offset });
      return;
    }
    const value = evaluate(worker, operand.value);
    if (param.dtype === 'i64') axes.set(param.name, Number(value));
    const data = allocateData(param.dtype, 1);
    const scalar = { name: param.name, dtype: param.dtype, data, offset: 0 };
    writeElement(worker.fn, scalar, 0, value);
    memory.set(param.name, scalar);
  });
  const outer = { memory: new Map(worker.memory), axes: new Map(worker.axes) };
  restore(worker.memory, memory);
  restore(worker.axes, axes);
  yield* runBody(worker, instr.meaning);
  restore(worker.memory, outer.memory);
  restore(worker.axes, outer.axes);
}
