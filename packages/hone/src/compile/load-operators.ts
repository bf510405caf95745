/**
 * Operators in files of users: ES modules that export `operators`, a list of records. A file stands for
 * itself: its digest is what an artifact records, so it may import packages and no other files.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import { broken, type Field, list, object, text } from 'hone-runtime/artifact/json';
import { customOperator } from '../ops/custom-operator.ts';
import type { OpDef } from '../ops/define-op.ts';
import { type Registry, standardRegistry, withOps } from '../ops/registry.ts';

/** A file of operators, as the manifest of an artifact names it. */
export interface OperatorsRecord {
  /** Without its folder. */
  readonly file: string;
  readonly sha256: string;
}

export interface CustomOperators {
  /** The standard operators and those of the files. */
  readonly registry: Registry;
  readonly operators: readonly OperatorsRecord[];
}

/** Throws HONE-IO-001 for files that cannot be read, HONE-OP-010 for what is wrong in them. */
export async function loadOperators(files: readonly string[]): Promise<CustomOperators> {
  const made: OpDef[] = [];
  const operators: OperatorsRecord[] = [];
  let registry: Registry = standardRegistry;
  for (const file of files) {
    const bytes = readModule(file);
    for (const [i, record] of (await recordsOf(file)).entries()) {
      const op = customOperator(record, `${file}: operators[${i}]`, () => registry);
      const isTaken = made.some(
        (o) => o.name === op.name && (o.domain ?? '') === (op.domain ?? ''),
      );
      if (isTaken) badFile(file, `operators[${i}] has the name of another one, ${op.name}`);
      made.push(op);
    }
    operators.push({
      file: path.basename(file),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
  }
  registry = withOps(made);
  return { registry, operators };
}

/** Of a manifest. */
export function readOperatorsRecord(field: Field): readonly OperatorsRecord[] {
  return list(field).map((item) => {
    const { file, sha256 } = object(item);
    if (file === undefined || sha256 === undefined) {
      return broken(item.path, 'file or sha256 is missing');
    }
    return {
      file: text({ value: file, path: `${item.path}: file` }),
      sha256: text({ value: sha256, path: `${item.path}: sha256` }),
    };
  });
}

function readModule(file: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    return fail(
      'HONE-IO-001',
      `cannot open ${file}: ${code}`,
      file,
      'check the path of the operators',
    );
  }
  const source = new TextDecoder().decode(bytes);
  const other = /^\s*(?:import|export)\b[^;]*?['"](\.{1,2}\/[^'"]*)['"]/m.exec(source)?.[1];
  if (other !== undefined) {
    badFile(file, `it imports ${other}; artifacts record the digest of one file`);
  }
  return bytes;
}

async function recordsOf(file: string): Promise<readonly unknown[]> {
  let loaded: Readonly<Record<string, unknown>>;
  try {
    loaded = (await import(pathToFileURL(path.resolve(file)).href)) as typeof loaded;
  } catch (cause) {
    return badFile(file, `it cannot be loaded: ${String(cause)}`, cause);
  }
  const { operators } = loaded;
  if (!Array.isArray(operators)) return badFile(file, 'it exports no list "operators"');
  if (operators.length === 0) return badFile(file, 'its list "operators" is empty');
  return operators as readonly unknown[];
}

function badFile(file: string, problem: string, cause?: unknown): never {
  throw new HoneError({
    code: 'HONE-OP-010',
    message: `${file} gives no operators: ${problem}`,
    subject: file,
    cure: 'export const operators = [{…}] from one JavaScript module (.mjs); see docs/custom-operators.md',
    ...(cause === undefined ? {} : { cause }),
  });
}
