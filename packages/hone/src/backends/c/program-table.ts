/**
 * Writes a Program as hone_program.c: the tables that the C runner walks. The text is a function of
 * the program alone and names nothing of the machine it is written on.
 */
import {
  type BufferRef,
  kernelsOf,
  type MovedRef,
  type Program,
  type Step,
  type TensorSpec,
} from 'hone-runtime/artifact/program';
import { fail, invariant } from 'hone-runtime/base/diagnostics';
import { dtypeCode } from 'hone-runtime/base/dtype';
import { cpuChecks } from 'hone-runtime/target/parse';
import type { Target } from 'hone-runtime/target/types';

const MAX_RANK = 8;
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

export interface ProgramTableRequest {
  readonly program: Program;
  readonly target: Target;
  /** What hone_describe returns. */
  readonly describeJson: string;
  /** Path of the weights inside the artifact, e.g. "weights/x86-64-v4.bin". */
  readonly weightsFile: string;
  /** SHA-256 of the weights, in hexadecimal. */
  readonly weightsDigest?: string;
}

/** The text of hone_program.c. */
export function programTable(request: ProgramTableRequest): string {
  const { program, target } = request;
  checkProgram(program);
  const kernels = [...kernelsOf(program)].sort();
  const { loops = [] } = program;
  const refs = new RefTable(program);
  const loopRefs = loops.map(({ iteration, trips, start, again }) =>
    [iteration, trips, start, again].map((ref) => refs.single(ref)).join(', '),
  );
  const dims: string[] = [];
  const steps = program.steps.map((step) => {
    const row = stepRow(step, refs, dims.length);
    if (step.kind === 'kernel') dims.push(...step.dims.map((dim) => `${dim}LL`));
    return row;
  });
  const moves = loops.map((_, l) => refs.movesOf(l));
  const loopRows = loops.map(({ limit, limitIs, count }, l) => {
    const before = moves.slice(0, l).reduce((sum, rows) => sum + rows.length, 0);
    const fault = limitIs === 'bound' ? 'HONE_FAULT_RANGE' : 'HONE_FAULT_ENDLESS';
    const trips = count === undefined ? 'INT64_MAX' : `${count}LL`;
    return `{${trips}, ${limit}LL, ${fault}, ${loopRefs[l]}, ${before}, ${moves[l]?.length ?? 0}}`;
  });
  const extents = (program.extents ?? []).flatMap(({ of }, k) =>
    of.map(({ output, axis }) => `{${output}, ${axis}, ${k}}`),
  );
  const { ranges = [] } = program;
  const rangeRows = ranges.flatMap(({ of }, k) =>
    of.map(({ input, axis, least }) => `{${input}, ${axis}, ${k}, ${least}LL}`),
  );
  const checks = cpuChecks(target).map((check) => `HONE_CPU_${check}`);
  return `/* The compiled program of ${commentText(program.name)}: written by hone, see hone_program.h. */
#include "hone_program.h"

${kernels.map((name) => `hone_kernel ${name};\n`).join('')}
${table('hone_spec inputs', program.inputs.map(specRow))}
${table('hone_spec outputs', program.outputs.map(specRow))}
${table('hone_extent extents', extents)}
${ranges.length === 0 ? '' : `${table('hone_range ranges', rangeRows)}\n`}${table('hone_ref refs', refs.rows)}
${table('int64_t dims', dims)}
${table('hone_step steps', steps)}
${loops.length === 0 ? '' : `${table('hone_loop loops', loopRows)}\n${table('hone_move moves', moves.flat())}\n`}const hone_program hone_compiled = {
  .describe = ${cText(request.describeJson)},
  .weights_file = ${cString(request.weightsFile)},
${digestRow(request.weightsDigest)}  .arena_bytes = ${program.arenaBytes}ULL,
  .weights_bytes = ${program.weightsBytes}ULL,
  .cpu = ${checks.length === 0 ? '0' : checks.join(' | ')},
  .inputs = inputs,
  .outputs = outputs,
  .steps = steps,
  .refs = refs,
  .dims = dims,
${loops.length === 0 ? '' : '  .loops = loops,\n  .moves = moves,\n'}  .input_count = ${program.inputs.length},
  .output_count = ${program.outputs.length},
  .extents = extents,
  .extent_count = ${extents.length},
  .hidden_count = ${program.extents?.length ?? 0},
  .step_count = ${program.steps.length},
  .ref_count = ${refs.rows.length},
${loops.length === 0 ? '' : `  .loop_count = ${loops.length},\n`}${ranges.length === 0 ? '' : `  .ranges = ranges,\n  .range_count = ${rangeRows.length},\n  .hidden_inputs = ${ranges.length},\n`}  .texts = ${program.host === undefined ? 0 : 1},
  .worker_limit = ${program.workerLimit ?? 0},
};
`;
}

/** The digest's bytes, where there is one. */
function digestRow(digest: string | undefined): string {
  if (digest === undefined) return '';
  const bytes = (digest.match(/../g) ?? []).map((byte) => `0x${byte}`).join(', ');
  return `  .weights_digest = (const uint8_t[32]){${bytes}},\n`;
}

/** A constant table; C has no empty arrays, so an empty one gets a zero that nobody reads. */
function table(declaration: string, rows: readonly string[]): string {
  const body = rows.length === 0 ? '  {0},\n' : rows.map((row) => `  ${row},\n`).join('');
  const zero = declaration.startsWith('int64_t') && rows.length === 0 ? '  0,\n' : body;
  return `static const ${declaration}[] = {\n${zero}};\n`;
}

/** Rows of refs; what moves with loops has rows of its own, shared by all that read it. */
class RefTable {
  readonly rows: string[] = [];
  readonly #moves: string[][];
  readonly #known = new Map<string, number>();

  constructor({ loops = [], steps }: Program) {
    this.#moves = loops.map((): string[] => []);
    // Places that others move from come first: the refs of a step lie together.
    for (const step of steps) for (const ref of refsOf(step)) this.#addBases(ref);
    for (const { iteration, trips, start, again } of loops) {
      for (const ref of [iteration, trips, start, again]) {
        if (ref !== undefined) this.#addBases(ref);
      }
    }
  }

  movesOf(loop: number): readonly string[] {
    return this.#moves[loop] ?? [];
  }

  /** Rows one after the other; gives the number of the first. */
  add(list: readonly BufferRef[]): number {
    const first = this.rows.length;
    for (const ref of list) this.#push(ref);
    return first;
  }

  single(ref: BufferRef | undefined): string {
    return ref === undefined ? 'HONE_NO_REF' : `${this.add([ref])}`;
  }

  #addBases(ref: BufferRef): void {
    if (ref.space !== 'moved') return;
    for (const base of [ref.even, ref.odd]) {
      this.#addBases(base);
      const key = JSON.stringify(base);
      if (!this.#known.has(key)) this.#known.set(key, this.#push(base));
    }
  }

  #push(ref: BufferRef): number {
    const row = this.rows.length;
    if (ref.space !== 'moved') {
      this.rows.push(refRow(ref));
      return row;
    }
    const [even, odd] = [ref.even, ref.odd].map((base) => this.#known.get(JSON.stringify(base)));
    this.#moves[ref.loop]?.push(`{${ref.stride}ULL, ${row}, ${even}, ${odd}}`);
    this.rows.push('{0, HONE_MOVED}');
    return row;
  }
}

function refsOf(step: Step): readonly BufferRef[] {
  if (step.kind === 'kernel') return step.buffers;
  return step.kind === 'unless' ? [step.condition] : [];
}

const CONTROL = {
  jump: 'HONE_JUMP',
  unless: 'HONE_UNLESS',
  enter: 'HONE_ENTER',
  repeat: 'HONE_REPEAT',
  'if-even': 'HONE_IF_EVEN',
} as const;

function stepRow(step: Step, refs: RefTable, firstDim: number): string {
  const label = cString(step.label);
  const first = refs.add(refsOf(step));
  if (step.kind === 'kernel') {
    return `{${step.kernel}, ${label}, ${first}, ${firstDim}, ${step.parts ?? 0}}`;
  }
  const loop = 'loop' in step ? step.loop : 0;
  return `{0, ${label}, ${first}, ${firstDim}, 0, ${CONTROL[step.kind]}, ${step.target}, ${loop}}`;
}

function refRow(ref: Exclude<BufferRef, MovedRef>): string {
  switch (ref.space) {
    case 'arena':
      return `{${ref.offset}ULL, HONE_ARENA}`;
    case 'weights':
      return `{${ref.offset}ULL, HONE_WEIGHTS}`;
    case 'input':
      return `{${ref.index}, HONE_INPUT}`;
    case 'output':
      return `{${ref.index}, HONE_OUTPUT}`;
    default:
      return ref satisfies never;
  }
}

function specRow(spec: TensorSpec): string {
  const shape =
    spec.shape.length === 0 ? '0' : spec.shape.map((extent) => `${extent}LL`).join(', ');
  const dtype = dtypeCode(spec.dtype);
  return `{${cString(spec.name)}, ${spec.bytes}ULL, {${shape}}, ${dtype}, ${spec.shape.length}}`;
}

/** A C string literal of any text, as UTF-8. */
export function cString(text: string): string {
  let out = '"';
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c && byte !== 0x3f;
    // Octal escapes have at most three digits, so a digit that follows is never taken for one.
    out += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return `${out}"`;
}

/** A long literal, in lines. */
function cText(text: string): string {
  const lines: string[] = [];
  const points = [...text];
  for (let i = 0; i < points.length; i += 96) lines.push(cString(points.slice(i, i + 96).join('')));
  return lines.length === 0 ? '""' : lines.join('\n    ');
}

function commentText(text: string): string {
  return text.replace(/[^A-Za-z0-9 ._-]/g, '_');
}

function checkProgram(program: Program): void {
  for (const spec of [...program.inputs, ...program.outputs]) {
    invariant(spec.dtype !== 'string', `${spec.name} has strings`);
    if (spec.shape.length > MAX_RANK) {
      fail(
        'HONE-COMPILE-041',
        `"${spec.name}" has ${spec.shape.length} axes, inputs and outputs may have ${MAX_RANK}`,
        spec.name,
        'merge axes of size 1',
      );
    }
  }
  const { loops = [] } = program;
  for (const step of program.steps) {
    for (const ref of refsOf(step)) checkRef(program, ref, step.label);
    if (step.kind === 'kernel') {
      invariant(IDENTIFIER.test(step.kernel), `"${step.kernel}" is no C name`);
      for (const dim of step.dims)
        invariant(Number.isSafeInteger(dim), `dim ${dim} of ${step.label}`);
      continue;
    }
    const { target } = step;
    const isStep = Number.isSafeInteger(target) && target >= 0 && target <= program.steps.length;
    invariant(isStep, `step "${step.label}" leads to ${target}`);
    if ('loop' in step) invariant(loops[step.loop] !== undefined, `there is no loop ${step.loop}`);
  }
  for (const { limit, count = 0, iteration, trips, start, again } of loops) {
    const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
    invariant(isCount(limit) && isCount(count), `${limit} and ${count} iterations`);
    for (const ref of [iteration, trips, start, again]) {
      if (ref !== undefined) checkRef(program, ref, 'loop');
    }
  }
}

function checkRef(program: Program, ref: BufferRef, label: string): void {
  if (ref.space === 'moved') {
    const known = program.loops?.[ref.loop] !== undefined;
    invariant(known && Number.isSafeInteger(ref.stride), `step "${label}" moves with no loop`);
    checkRef(program, ref.even, label);
    checkRef(program, ref.odd, label);
    return;
  }
  const limit = {
    arena: program.arenaBytes,
    weights: program.weightsBytes,
    input: program.inputs.length + (program.ranges?.length ?? 0) - 1,
    output: program.outputs.length + (program.extents?.length ?? 0) - 1,
  }[ref.space];
  const place = 'offset' in ref ? ref.offset : ref.index;
  invariant(
    Number.isSafeInteger(place) && place >= 0 && place <= limit,
    `step "${label}" uses ${ref.space} ${place} of ${limit}`,
  );
}
