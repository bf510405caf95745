/** Statements of the Loop form as lines of C. */
import { invariant } from 'hone-runtime/base/diagnostics';
import { type DType, isBitPattern, isFloat } from 'hone-runtime/base/dtype';
import { children } from '../../expr/rewrite.ts';
import type { Expr } from '../../expr/types.ts';
import { sumOf, constantOf, dependsOn, strideOf } from '../../loop/affine.ts';
import type { Operand, Stmt } from '../../loop/types.ts';
import { callOf, commentText, identifier, storageType, valueType, wrap, PREC } from './c-text.ts';
import {
  bufferInfo,
  bufferName,
  type Context,
  freshName,
  isNonNegative,
  registerPosition,
  tempOptions,
} from './emit-context.ts';
import { invariantChecks } from './emit-hoist.ts';
import { laneAxisOf, laneLoopHead, laneWrite } from './emit-lanes.ts';
import { affineText, elementText, indexExpr, scalarExpr, storeText } from './emit-scalar.ts';
import { planTemps } from './emit-temps.ts';
import { type LaneAxis, varies, vectorType } from './emit-lane-axis.ts';

type For = Extract<Stmt, { kind: 'for' }>;
type Write = Extract<Stmt, { kind: 'assign' | 'accumulate' }>;

/** A block of statements; names declared inside end with it. */
export function emitBlock(
  context: Context,
  body: readonly Stmt[],
  lane: LaneAxis | undefined,
): readonly string[] {
  const outerBuffers = new Map(context.buffers);
  const outerSubstitutions = context.substitutions;
  const lines = body.flatMap((stmt) => emitStmt(context, stmt, lane));
  context.buffers.clear();
  for (const [name, info] of outerBuffers) context.buffers.set(name, info);
  context.substitutions = outerSubstitutions;
  return lines;
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' || line.startsWith('#') ? line : `  ${line}`));
}

function emitStmt(context: Context, stmt: Stmt, lane: LaneAxis | undefined): readonly string[] {
  switch (stmt.kind) {
    case 'for':
      return emitFor(context, stmt, lane);
    case 'let':
      return emitLet(context, stmt.name, stmt.value, lane);
    case 'assign':
    case 'accumulate':
      return lane === undefined
        ? scalarWrite(context, stmt)
        : (laneWrite(context, lane, stmt) ?? laneLoop(context, lane, stmt));
    case 'alloc':
      return emitAlloc(context, stmt);
    case 'if':
      return emitIf(context, stmt, lane);
    case 'call':
      return emitCall(context, stmt.instr, stmt.operands);
    case 'prefetch': {
      const element = elementText(context, stmt.buffer, stmt.index);
      return [`__builtin_prefetch(&${element.text});`];
    }
    case 'barrier':
      return ['hone_barrier(worker);'];
    case 'block': {
      const inner = emitBlock(context, stmt.body, lane);
      const scoped = stmt.body.some((part) => part.kind === 'let' || part.kind === 'alloc');
      const comment = stmt.comment === '' ? [] : [`// ${commentText(stmt.comment)}`];
      return scoped ? [...comment, '{', ...indent(inner), '}'] : [...comment, ...inner];
    }
    default:
      return stmt satisfies never;
  }
}

function emitLet(
  context: Context,
  name: string,
  value: Expr,
  lane: LaneAxis | undefined,
): readonly string[] {
  if (lane !== undefined && varies(context, lane, value)) {
    context.substitutions = new Map(context.substitutions).set(name, value);
    return [];
  }
  if (isNonNegative(context, value)) context.nonNegative.add(name);
  else context.nonNegative.delete(name);
  return withTemps(context, [value], () => [
    `const int64_t ${identifier(name)} = ${indexExpr(context, value).text};`,
  ]);
}

function emitAlloc(context: Context, stmt: Extract<Stmt, { kind: 'alloc' }>): readonly string[] {
  context.buffers.set(stmt.buffer, { dtype: stmt.dtype, space: stmt.space });
  const name = bufferName(stmt.buffer);
  if (stmt.space === 'stack') {
    return [`HONE_ALIGNED ${storageType(stmt.dtype)} ${name}[${Math.max(1, stmt.count)}];`];
  }
  const { lanes } = context.fn;
  invariant(
    stmt.count % lanes === 0,
    `${context.fn.name}: register buffer "${stmt.buffer}" holds ${stmt.count} elements, no multiple of ${lanes}`,
  );
  context.widths.add(lanes);
  return [`${vectorType(stmt.dtype, lanes)} ${name}[${stmt.count / lanes}];`];
}

function emitIf(
  context: Context,
  stmt: Extract<Stmt, { kind: 'if' }>,
  lane: LaneAxis | undefined,
): readonly string[] {
  if (lane !== undefined && varies(context, lane, stmt.cond)) {
    return laneLoop(context, lane, stmt);
  }
  return withTemps(context, [stmt.cond], () => {
    const lines = [
      `if (${scalarExpr(context, stmt.cond).text}) {`,
      ...indent(emitBlock(context, stmt.then, lane)),
    ];
    if (stmt.else.length > 0) {
      lines.push('} else {', ...indent(emitBlock(context, stmt.else, lane)));
    }
    return [...lines, '}'];
  });
}

function emitCall(context: Context, name: string, operands: readonly Operand[]): readonly string[] {
  const instr = context.instrs.get(name);
  invariant(instr !== undefined, `${context.fn.name}: no instruction is called "${name}"`);
  const texts = new Map(
    instr.params.map((param, i) => [param.name, operandText(context, operands[i])] as const),
  );
  context.widths.add(context.fn.lanes);
  context.headers.add(instr.feature);
  return [instr.code.replace(/\{(\w+)\}/g, (_, key: string) => texts.get(key) ?? `{${key}}`)];
}

/** Registers are lvalues, memory positions pointers, scalars values. */
function operandText(context: Context, operand: Operand | undefined): string {
  invariant(operand !== undefined, `${context.fn.name}: too few operands`);
  if (operand.kind === 'scalar') return wrap(scalarExpr(context, operand.value), PREC.primary);
  const { space } = bufferInfo(context, operand.buffer);
  if (space !== 'register') return `&${elementText(context, operand.buffer, operand.index).text}`;
  const position = registerPosition(context, operand.index, undefined);
  invariant(
    position !== undefined && position.lane === 0,
    `${context.fn.name}: operand in "${operand.buffer}" is no whole register`,
  );
  return `${bufferName(operand.buffer)}[${affineText(context, position.register).text}]`;
}

function emitFor(context: Context, loop: For, lane: LaneAxis | undefined): readonly string[] {
  const outer = context.temps;
  const temps = new Map<Expr, string>(outer);
  const lines: string[] = [];
  for (const equals of invariantChecks(context.fn, loop)) {
    const [node] = equals;
    if (node === undefined || temps.has(node)) continue;
    const name = freshName(context);
    lines.push(`const int64_t ${name} = ${scalarExpr(context, node).text};`);
    for (const equal of equals) temps.set(equal, name);
  }
  context.temps = temps;
  lines.push(...emitLoop(context, loop, lane));
  context.temps = outer;
  return lines;
}

function emitLoop(context: Context, loop: For, lane: LaneAxis | undefined): readonly string[] {
  const lanes = laneAxisOf(context, loop);
  if (lanes !== undefined && lane === undefined) return emitLanes(context, loop, lanes);
  const axis = identifier(loop.axis);
  if (isNonNegative(context, loop.lo)) context.nonNegative.add(loop.axis);
  else context.nonNegative.delete(loop.axis);
  const step = loop.step === 1 ? `${axis}++` : `${axis} += ${loop.step}`;
  if (loop.mode === 'parallel') return emitParallel(context, loop, step);
  const lo = indexExpr(context, loop.lo).text;
  const hi = indexExpr(context, loop.hi).text;
  const lines = [
    `for (int64_t ${axis} = ${lo}; ${axis} < ${hi}; ${step}) {`,
    ...indent(emitBlock(context, loop.body, lane)),
    '}',
  ];
  return hinted(context, loop, lines);
}

function emitLanes(context: Context, loop: For, lane: LaneAxis): readonly string[] {
  if (isNonNegative(context, loop.lo)) context.nonNegative.add(loop.axis);
  const lines = emitBlock(context, loop.body, lane);
  const scoped = loop.body.some((stmt) => stmt.kind === 'let' || stmt.kind === 'alloc');
  return scoped ? ['{', ...indent(lines), '}'] : lines;
}

function emitParallel(context: Context, loop: For, step: string): readonly string[] {
  const axis = identifier(loop.axis);
  const lo = sumOf(loop.lo);
  const at = (name: string): string => {
    const terms = [{ atom: { kind: 'axis', dtype: 'i64', name } as const, factor: loop.step }];
    return affineText(context, { constant: lo.constant, terms: [...lo.terms, ...terms] }).text;
  };
  const trips = tripCount(context, loop);
  return [
    '{',
    `  const int64_t ${axis}_count = ${trips};`,
    `  const int64_t ${axis}_from = ${axis}_count * worker->id / worker->count;`,
    `  const int64_t ${axis}_to = ${axis}_count * (worker->id + 1) / worker->count;`,
    ...indent(
      hinted(context, loop, [
        `for (int64_t ${axis} = ${at(`${axis}_from`)}; ${axis} < ${at(`${axis}_to`)}; ${step}) {`,
        ...indent(emitBlock(context, loop.body, undefined)),
        '}',
      ]),
    ),
    '}',
  ];
}

/** Number of iterations, never negative. */
function tripCount(context: Context, loop: For): string {
  const [lo, hi] = [constantOf(loop.lo), constantOf(loop.hi)];
  if (lo !== undefined && hi !== undefined) {
    return String(Math.max(0, Math.ceil((hi - lo) / loop.step)));
  }
  const top = indexExpr(context, loop.hi);
  const bottom = indexExpr(context, loop.lo);
  return `hone_trips(${bottom.text}, ${top.text}, ${loop.step})`;
}

/** A statement without vector form, lane by lane. */
function laneLoop(context: Context, lane: LaneAxis, stmt: Stmt): readonly string[] {
  const lo = indexExpr(context, lane.lo).text;
  const form = sumOf(lane.lo);
  const hi = affineText(context, { ...form, constant: form.constant + lane.width }).text;
  return [laneLoopHead(lane, lo, hi), ...indent(emitStmt(context, stmt, undefined)), '}'];
}

function scalarWrite(context: Context, stmt: Write): readonly string[] {
  return withTemps(context, [stmt.value, stmt.index], () => {
    const value = scalarExpr(context, stmt.value);
    if (stmt.kind === 'assign') return [storeText(context, stmt.buffer, stmt.index, value)];
    const { dtype } = bufferInfo(context, stmt.buffer);
    const element = elementText(context, stmt.buffer, stmt.index);
    const plain = dtype === 'f32' || dtype === 'f64' || dtype === 'u32' || dtype === 'u64';
    if (plain && stmt.op === 'sum') return [`${element.text} += ${value.text};`];
    if (plain && stmt.op === 'prod') return [`${element.text} *= ${wrap(value, PREC.mul)};`];
    const op = stmt.op === 'sum' ? 'add' : stmt.op === 'prod' ? 'mul' : stmt.op;
    const old = { kind: 'load', dtype, source: stmt.buffer, index: [stmt.index] } as const;
    if (dtype === 'bool' || isBitPattern(dtype)) {
      const total = { kind: 'binary', dtype, op, a: old, b: stmt.value } as const;
      return [storeText(context, stmt.buffer, stmt.index, scalarExpr(context, total))];
    }
    const fold = isFloat(dtype) ? 'fold_' : '';
    const result = callOf(`hone_${fold}${op}_${dtype}`, element, value);
    return [`${element.text} = ${result.text};`];
  });
}

/** Runs an emission with the repeated sub-expressions of `roots` in temporaries. */
function withTemps(
  context: Context,
  roots: readonly Expr[],
  emit: () => readonly string[],
): readonly string[] {
  const outer = context.temps;
  const temps = new Map<Expr, string>(outer);
  const lines: string[] = [];
  context.temps = temps;
  for (const { node, equals } of planTemps(roots, tempOptions(context, false)).temps) {
    const name = freshName(context);
    const type = node.dtype === 'bool' ? 'int' : valueType(node.dtype as DType);
    lines.push(`const ${type} ${name} = ${scalarExpr(context, node).text};`);
    for (const equal of equals) temps.set(equal, name);
  }
  lines.push(...emit());
  context.temps = outer;
  return lines;
}

/** Puts the pragma before a loop that tells the compiler what we want of it. */
function hinted(context: Context, loop: For, lines: readonly string[]): readonly string[] {
  if (loop.mode === 'unroll') {
    const [lo, hi] = [constantOf(loop.lo), constantOf(loop.hi)];
    if (lo === undefined || hi === undefined) return lines;
    return [`HONE_UNROLL(${Math.max(1, Math.ceil((hi - lo) / loop.step))})`, ...lines];
  }
  if (touchesRegisters(context, loop.body)) return ['HONE_ROLLED', ...lines];
  switch (simdKind(loop)) {
    case 'elementwise':
      return ['HONE_VECTORIZE', ...lines];
    case 'reduction':
      return ['{', '  HONE_REASSOCIATE', ...indent(['HONE_VECTORIZE', ...lines]), '}'];
    default:
      return lines;
  }
}

/** Does the body (deeply) work on register buffers of this function? */
function touchesRegisters(context: Context, body: readonly Stmt[]): boolean {
  return body.some((stmt) => {
    switch (stmt.kind) {
      case 'for':
      case 'block':
        return touchesRegisters(context, stmt.body);
      case 'if':
        return touchesRegisters(context, stmt.then) || touchesRegisters(context, stmt.else);
      case 'alloc':
        return stmt.space === 'register';
      case 'assign':
      case 'accumulate':
        return context.buffers.get(stmt.buffer)?.space === 'register';
      case 'call':
        return true;
      default:
        return false;
    }
  });
}

/** Innermost loops over neighbours that the compiler should turn into vector code. */
function simdKind(loop: For): 'elementwise' | 'reduction' | undefined {
  if (loop.step !== 1) return undefined;
  let kind: 'elementwise' | 'reduction' = 'elementwise';
  for (const stmt of loop.body) {
    if (stmt.kind === 'let') {
      if (!isSimple(stmt.value, loop.axis)) return undefined;
      continue;
    }
    if (stmt.kind !== 'assign' && stmt.kind !== 'accumulate') return undefined;
    if (!isSimple(stmt.value, loop.axis)) return undefined;
    const stride = strideOf(sumOf(stmt.index), loop.axis);
    if (stride === 0 && stmt.kind === 'accumulate') kind = 'reduction';
    else if (stride !== 1) return undefined;
  }
  return loop.body.length === 0 ? undefined : kind;
}

/** Loads neighbours or one element, and calls nothing with a loop inside. */
function isSimple(expr: Expr, axis: string): boolean {
  if (expr.kind === 'bound') return false;
  if (expr.kind === 'load') {
    return expr.index.every((part) => {
      const stride = strideOf(sumOf(part), axis);
      return stride === 0 || stride === 1;
    });
  }
  if (expr.kind === 'binary' && (expr.op === 'fmod' || expr.op === 'mod')) {
    return !dependsOn(expr, axis);
  }
  return children(expr).every((child) => isSimple(child, axis));
}
