/**
 * Writes a Program as hone_program.c: the tables that the C runner walks. The text is a function of
 * the program alone and names nothing of the machine it is written on.
 */
import type { BufferRef, Program, TensorSpec } from 'hone-runtime/artifact/program';
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
}

/** The text of hone_program.c. */
export function programTable(request: ProgramTableRequest): string {
  const { program, target } = request;
  checkProgram(program);
  const kernels = [...new Set(program.steps.map((step) => step.kernel))].sort();
  const refs: string[] = [];
  const dims: string[] = [];
  const steps = program.steps.map((step) => {
    const row = `{${step.kernel}, ${cString(step.label)}, ${refs.length}, ${dims.length}, ${step.parts ?? 0}}`;
    refs.push(...step.buffers.map(refRow));
    dims.push(...step.dims.map((dim) => `${dim}LL`));
    return row;
  });
  const checks = cpuChecks(target).map((check) => `HONE_CPU_${check}`);
  return `/* The compiled program of ${commentText(program.name)}: written by hone, see hone_program.h. */
#include "hone_program.h"

${kernels.map((name) => `hone_kernel ${name};\n`).join('')}
${table('hone_spec inputs', program.inputs.map(specRow))}
${table('hone_spec outputs', program.outputs.map(specRow))}
${table('hone_ref refs', refs)}
${table('int64_t dims', dims)}
${table('hone_step steps', steps)}
const hone_program hone_compiled = {
  .describe = ${cText(request.describeJson)},
  .weights_file = ${cString(request.weightsFile)},
  .arena_bytes = ${program.arenaBytes}ULL,
  .weights_bytes = ${program.weightsBytes}ULL,
  .cpu = ${checks.length === 0 ? '0' : checks.join(' | ')},
  .inputs = inputs,
  .outputs = outputs,
  .steps = steps,
  .refs = refs,
  .dims = dims,
  .input_count = ${program.inputs.length},
  .output_count = ${program.outputs.length},
  .step_count = ${program.steps.length},
  .ref_count = ${refs.length},
  .texts = ${program.host === undefined ? 0 : 1},
  .worker_limit = ${program.workerLimit ?? 0},
};
`;
}

/** A constant table; C has no empty arrays, so an empty one gets a zero that nobody reads. */
function table(declaration: string, rows: readonly string[]): string {
  const body = rows.length === 0 ? '  {0},\n' : rows.map((row) => `  ${row},\n`).join('');
  const zero = declaration.startsWith('int64_t') && rows.length === 0 ? '  0,\n' : body;
  return `static const ${declaration}[] = {\n${zero}};\n`;
}

function refRow(ref: BufferRef): string {
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
  for (const step of program.steps) {
    invariant(IDENTIFIER.test(step.kernel), `"${step.kernel}" is no C name`);
    for (const ref of step.buffers) checkRef(program, ref, step.label);
    for (const dim of step.dims)
      invariant(Number.isSafeInteger(dim), `dim ${dim} of ${step.label}`);
  }
}

function checkRef(program: Program, ref: BufferRef, label: string): void {
  const limit = {
    arena: program.arenaBytes,
    weights: program.weightsBytes,
    input: program.inputs.length - 1,
    output: program.outputs.length - 1,
  }[ref.space];
  const place = 'offset' in ref ? ref.offset : ref.index;
  invariant(
    Number.isSafeInteger(place) && place >= 0 && place <= limit,
    `step "${label}" uses ${ref.space} ${place} of ${limit}`,
  );
}
