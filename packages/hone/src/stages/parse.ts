/** Reads the text that `print.ts` writes. Bad text is a HONE-PARSE-001 that names the line. */
import type { ByteSource } from 'hone-runtime/base/io';
import { readExpr } from '../expr/parse.ts';
import { Scanner } from '../expr/scanner.ts';
import type { Constant } from '../graph/types.ts';
import { readElements, readType, type TensorReadOptions } from '../graph/tensor-text.ts';
import type {
  Buffer,
  BufferId,
  ContractBody,
  BlockwiseSpec,
  ConvSpec,
  FusionNote,
  LoopForm,
  MatMulSpec,
  ReduceOp,
  ReduceStep,
  Stage,
  StageGraph,
  View,
} from './types.ts';

export interface StagesReadOptions extends TensorReadOptions {
  /** The file that `file OFFSET "NAME"` constants are in. */
  readonly sourceOf?: (name: string) => ByteSource | undefined;
}

const REDUCE_OPS: readonly ReduceOp[] = [
  'sum',
  'prod',
  'max',
  'min',
  'argmax',
  'argmin',
  'any',
  'all',
];
const ROLES: readonly Buffer['role'][] = ['input', 'output', 'constant', 'temp'];

/** A whole text that is one stage graph. */
export function parseStages(text: string, options: StagesReadOptions = {}): StageGraph {
  const scanner = new Scanner(text);
  const graph = readGraph(scanner, options);
  if (!scanner.atEnd) scanner.fail('unexpected text after the stages');
  return graph;
}

function readGraph(scanner: Scanner, options: StagesReadOptions): StageGraph {
  scanner.expect('stages');
  const name = scanner.name();
  scanner.expect('(');
  const inputs = scanner.list(')', () => readId(scanner));
  scanner.expect('->');
  scanner.expect('(');
  const outputs = scanner.list(')', () => readId(scanner));
  scanner.expect('{');
  const buffers: Buffer[] = [];
  const stages: Stage[] = [];
  const notes: FusionNote[] = [];
  while (!scanner.accept('}')) {
    if (scanner.accept('stage')) stages.push(readStage(scanner, buffers, options));
    else if (scanner.accept('note')) {
      notes.push(Object.freeze({ node: scanner.string(), reason: scanner.string() }));
    } else buffers.push(readBuffer(scanner, options));
  }
  return Object.freeze({ name, inputs, outputs, buffers, stages, notes });
}

function readId(scanner: Scanner): BufferId {
  const digits = /^b(\d+)$/.exec(scanner.identifier())?.[1];
  return digits === undefined ? scanner.fail('expected a buffer before this') : Number(digits);
}

function oneOf<T extends string>(scanner: Scanner, words: readonly T[], what: string): T {
  const word = scanner.identifier();
  return words.find((item) => item === word) ?? scanner.fail(`${word} is not ${what}`);
}

function readBuffer(scanner: Scanner, options: StagesReadOptions): Buffer {
  const id = readId(scanner);
  scanner.expect('=');
  const role = oneOf(scanner, ROLES, 'a role of buffers');
  const name = scanner.string();
  const { dtype, shape } = readType(scanner);
  const block = scanner.accept('block') ? scanner.integer() : 1;
  const sides = scanner.accept('halo') ? scanner.shape() : [0, 0, 0, 0];
  if (sides.length !== 4) scanner.fail('a halo has four sides');
  const halo = sides as [number, number, number, number];
  const fill = scanner.accept('of') ? scanner.integer() : 0;
  const layout = fill === 0 ? { block, halo } : { block, halo, fill };
  const common = { id, name, dtype, shape, layout, role };
  if (role !== 'constant') return Object.freeze(common);
  let constant: Constant;
  if (scanner.accept('file')) {
    const offset = scanner.integer();
    const file = scanner.string();
    const source = options.sourceOf?.(file) ?? scanner.fail(`file ${file} is not at hand`);
    constant = { kind: 'file', source, offset };
  } else {
    constant = { kind: 'inline', tensor: readElements(scanner, dtype, shape, options) };
  }
  return Object.freeze({ ...common, constant });
}

function readStage(
  scanner: Scanner,
  buffers: readonly Buffer[],
  options: StagesReadOptions,
): Stage {
  const id = scanner.integer();
  const ops: string[] = [];
  const nodes: string[] = [];
  if (!scanner.peek('(')) {
    do {
      ops.push(scanner.name());
      nodes.push(scanner.string());
    } while (scanner.accept(','));
  }
  const readViews = (): View[] => {
    scanner.expect('(');
    return scanner.list(')', () => readView(scanner, buffers));
  };
  const operands = readViews();
  scanner.expect('->');
  const outputs = readViews();
  return Object.freeze({ id, nodes, ops, operands, outputs, body: readBody(scanner, options) });
}

function readView(scanner: Scanner, buffers: readonly Buffer[]): View {
  const buffer = readId(scanner);
  const own = buffers[buffer] ?? scanner.fail(`b${buffer} is not defined`);
  const shape = scanner.peek('[') ? scanner.shape() : own.shape;
  return scanner.accept('at') ? { buffer, shape, offset: scanner.shape() } : { buffer, shape };
}

function readBody(scanner: Scanner, options: StagesReadOptions): Stage['body'] {
  const kind = scanner.identifier();
  if (kind === 'if') {
    const [yes, no] = [readGraph(scanner, options), readGraph(scanner, options)];
    return { kind: 'control', form: { kind, then: yes, else: no } };
  }
  if (kind === 'loop') return { kind: 'control', form: readLoop(scanner, options) };
  if (kind === 'map') {
    const axes = scanner.shape();
    return { kind, axes, ...readOut(scanner) };
  }
  if (kind === 'reduce') {
    const axes = scanner.shape();
    scanner.expect('over');
    const reduceAxes = scanner.shape();
    scanner.expect('spans');
    const spans = oneOf(scanner, ['outer', 'all'] as const, 'a span');
    const steps: ReduceStep[] = [];
    while (!scanner.peek('out')) steps.push(readStep(scanner));
    return { kind, axes, reduceAxes, steps, spans, ...readOut(scanner) };
  }
  if (kind === 'contract') {
    const axes = scanner.shape();
    scanner.expect('over');
    const reduceAxes = scanner.shape();
    scanner.expect('in');
    const accDtype = scanner.dtype();
    const spec = readSpec(scanner);
    scanner.expect('a');
    scanner.expect('=');
    const a = readExpr(scanner);
    scanner.expect('b');
    scanner.expect('=');
    const b = readExpr(scanner);
    const { outIndex, value } = readOut(scanner);
    return { kind, axes, reduceAxes, a, b, accDtype, outIndex, epilogue: value, spec };
  }
  if (kind === 'routine') {
    const routine = scanner.name();
    scanner.expect('dims');
    const dims = scanner.shape();
    scanner.expect('scalars');
    scanner.expect('[');
    const scalars = scanner.list(']', () => scanner.number());
    const workspace = scanner.accept('workspace') ? { workspaceBytes: scanner.integer() } : {};
    const reads = scanner.accept('reads') ? { bytesRead: scanner.integer() } : {};
    return { kind, routine, dims, scalars, ...workspace, ...reads };
  }
  return scanner.fail(`${kind} is not a kind of stage`);
}

function readLoop(scanner: Scanner, options: StagesReadOptions): LoopForm {
  scanner.expect('carried');
  const carried = scanner.integer();
  const from: ('trips' | 'start')[] = [];
  if (scanner.accept('from')) {
    if (scanner.accept('trips')) from.push('trips');
    if (scanner.accept('start')) from.push('start');
  }
  const again = scanner.accept('again');
  const counts = scanner.accept('counts');
  const limitIs = oneOf(scanner, ['exactly', 'bound', 'guard'] as const, 'a limit of loops');
  const limit = scanner.integer();
  const rule = scanner.accept('rule') ? { rule: scanner.string() } : {};
  const body = readGraph(scanner, options);
  return { kind: 'loop', body, carried, from, again, counts, limit, limitIs, ...rule };
}

function readOut(
  scanner: Scanner,
): Pick<Extract<Stage['body'], { kind: 'map' }>, 'outIndex' | 'value'> {
  scanner.expect('out');
  scanner.expect('[');
  const outIndex = scanner.list(']', () => readExpr(scanner));
  scanner.expect('=');
  return { outIndex, value: readExpr(scanner) };
}

function readStep(scanner: Scanner): ReduceStep {
  const op = oneOf(scanner, REDUCE_OPS, 'a reduction');
  const dtype = scanner.dtype();
  const order = scanner.accept('last') ? true : scanner.accept('first') ? false : undefined;
  const value = readExpr(scanner);
  return order === undefined ? { op, value, dtype } : { op, value, dtype, lastOfEquals: order };
}

type Field = number | boolean | readonly number[];

function readSpec(scanner: Scanner): ContractBody['spec'] {
  const kind = oneOf(scanner, ['conv', 'matmul', 'blockwise', 'general'] as const, 'a contraction');
  if (kind === 'general') return { kind };
  const fields = new Map<string, Field>();
  scanner.expect('{');
  scanner.list('}', () => {
    const name = scanner.identifier();
    scanner.expect('=');
    fields.set(name, readField(scanner));
  });
  const number = (name: string): number => {
    const value = fields.get(name);
    return typeof value === 'number' ? value : scanner.fail(`${name} is missing before this`);
  };
  const list = (name: string): readonly number[] => {
    const value = fields.get(name);
    return typeof value === 'object' ? value : scanner.fail(`${name} is missing before this`);
  };
  const flag = (name: string): boolean => {
    const value = fields.get(name);
    return typeof value === 'boolean' ? value : scanner.fail(`${name} is missing before this`);
  };
  if (kind === 'conv') {
    return {
      kind,
      batch: number('batch'),
      group: number('group'),
      ic: number('ic'),
      oc: number('oc'),
      input: list('input'),
      output: list('output'),
      kernel: list('kernel'),
      stride: list('stride'),
      dilation: list('dilation'),
      padBegin: list('padBegin'),
    } satisfies ConvSpec;
  }
  if (kind === 'blockwise') {
    return {
      kind,
      n: number('n'),
      k: number('k'),
      bits: number('bits'),
      block: number('block'),
    } satisfies BlockwiseSpec;
  }
  return {
    kind,
    batch: list('batch'),
    m: number('m'),
    n: number('n'),
    k: number('k'),
    transA: flag('transA'),
    transB: flag('transB'),
  } satisfies MatMulSpec;
}

function readField(scanner: Scanner): Field {
  if (scanner.accept('true')) return true;
  if (scanner.accept('false')) return false;
  return scanner.peek('[') ? scanner.shape() : scanner.number();
}
