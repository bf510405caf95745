/**
 * House rules that no linter knows: who may import whom, no import cycles, one back end's words
 * only in its own folder, file sizes and file names. The tables below are the rules.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** A folder imports only folders of earlier rows (and itself). Files beside them belong to `api` (`hone`) or `runtime`. */
const ROWS: readonly (readonly string[])[] = [
  ['base'],
  ['target', 'expr', 'host'],
  ['graph', 'loop', 'artifact'],
  ['runtime', 'stages'],
  ['ops'],
  ['frontends', 'passes', 'fusion', 'kernels'],
  ['backends'],
  ['compile'],
  ['bench', 'advisor'],
  ['api'],
  ['server'],
  ['cli'],
];

/** Running an artifact never pulls in the compiler, and the compiler below `compile` never runs one. */
const RUNTIME_MAY_IMPORT = ['base', 'target', 'artifact', 'host'];
const FIRST_ROW_USING_RUNTIME = 'compile';

/** Words of one back end, and the folders that may know them (in code, not in comments). */
const WORDS: readonly { readonly word: RegExp; readonly folders: readonly string[] }[] = [
  {
    word: /\b_mm\d*_\w+|\b__m(128|256|512)|immintrin\.h|arm_neon\.h/,
    folders: ['hone/src/backends/c/'],
  },
  { word: /\b(cuda|nvcc|ptx)\b/i, folders: ['backends/cuda/', 'drivers/cuda', 'src/target/'] },
  { word: /\bwgsl\b/i, folders: ['backends/wgsl/', 'drivers/wgsl', 'src/target/'] },
  { word: /\bkoffi\b/, folders: ['runtime/src/runtime/drivers/'] },
];

const MAX_LINES = 600;
/** Files that are tables, which may be longer. */
const TABLES: readonly string[] = [];
const BANNED_NAMES = ['utils', 'util', 'helpers', 'helper', 'common', 'misc', 'shared'];

interface Source {
  readonly path: string;
  readonly folder: string;
  readonly lines: number;
  readonly code: string;
  readonly imports: readonly { readonly target: string; readonly typeOnly: boolean }[];
}

const rowOf = (folder: string): number => ROWS.findIndex((row) => row.includes(folder));

function filesUnder(folder: string, endings: readonly string[]): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Code without comments; strings are kept, so that URLs and import paths survive. */
function withoutComments(text: string): string {
  return text.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_match, quoted: string | undefined) => quoted ?? '',
  );
}

function readSource(path: string): Source {
  const text = readFileSync(path, 'utf8');
  const code = withoutComments(text);
  const imports: { target: string; typeOnly: boolean }[] = [];
  const pattern =
    /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm;
  for (const match of code.matchAll(pattern)) {
    const spec = (match[2] ?? match[3]) as string;
    const target = resolveImport(path, spec);
    if (target !== undefined) imports.push({ target, typeOnly: match[1] !== undefined });
  }
  const name = relative(ROOT, path);
  return { path: name, folder: folderOf(name), lines: text.split('\n').length, code, imports };
}

/** Path (from the root) of an import within the packages; undefined for any other module. */
function resolveImport(from: string, spec: string): string | undefined {
  if (spec.startsWith('.')) return relative(ROOT, resolve(dirname(from), spec));
  const match = /^(hone|hone-runtime)(?:\/(.+))?$/.exec(spec);
  if (match === null) return undefined;
  const folder = match[1] === 'hone' ? 'hone' : 'runtime';
  return `packages/${folder}/src/${match[2] ?? 'index'}.ts`;
}

function folderOf(path: string): string {
  const inside = /^packages\/[^/]+\/src\/([^/]+)\//.exec(path);
  // What lies beside the folders is a package's public face.
  return inside?.[1] ?? (path.startsWith('packages/runtime/') ? 'runtime' : 'api');
}

const sources = ['packages/runtime/src', 'packages/hone/src']
  .flatMap((folder) => filesUnder(folder, ['.ts']))
  .map(readSource);

test('every folder has a row', () => {
  const unknown = new Set(sources.map((source) => source.folder).filter((f) => rowOf(f) < 0));
  assert.deepEqual([...unknown], [], 'add the folder to ROWS, in the right place');
});

test('folders import only folders of earlier rows', () => {
  const breaches = sources.flatMap((source) =>
    source.imports
      .map((entry) => entry.target)
      .filter((target) => isBreach(source.folder, folderOf(target)))
      .map((target) => `${source.path} imports ${target}`),
  );
  assert.deepEqual(breaches, []);
});

function isBreach(from: string, to: string): boolean {
  if (from === to) return false;
  if (from === 'runtime') return !RUNTIME_MAY_IMPORT.includes(to);
  if (to === 'runtime' && rowOf(from) < rowOf(FIRST_ROW_USING_RUNTIME)) return true;
  return rowOf(to) >= rowOf(from);
}

test('the runtime package never names the compiler package', () => {
  const breaches = sources
    .filter((source) => source.path.startsWith('packages/runtime/'))
    .filter((source) => source.imports.some((entry) => entry.target.startsWith('packages/hone/')))
    .map((source) => source.path);
  assert.deepEqual(breaches, []);
});

test('no cycle of imports between files', () => {
  const edges = new Map(
    sources.map((source) => [
      source.path,
      source.imports.filter((entry) => !entry.typeOnly).map((entry) => entry.target),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const position = trail.indexOf(path);
    if (position >= 0) {
      cycles.push([...trail.slice(position), path].join(' → '));
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  assert.deepEqual(cycles, []);
});

test("one back end's words stay in its folder", () => {
  const breaches = sources.flatMap((source) =>
    WORDS.filter(({ folders }) => !folders.some((folder) => source.path.includes(folder)))
      .map(({ word }) => word.exec(source.code)?.[0])
      .filter((word) => word !== undefined)
      .map((word) => `${source.path} says ${word}`),
  );
  assert.deepEqual(breaches, []);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const others = ['test', 'bench', 'tools']
    .flatMap((folder) => filesUnder(folder, ['.ts', '.mjs']))
    .map((path) => ({
      path: relative(ROOT, path),
      lines: readFileSync(path, 'utf8').split('\n').length,
    }));
  const long = [...sources, ...others]
    .filter((file) => file.lines > MAX_LINES && !TABLES.includes(file.path))
    .map((file) => `${file.path}: ${file.lines} lines`);
  assert.deepEqual(long, [], 'split the file by subject');
});

test('file names say what the file is for', () => {
  const named = ['packages/runtime/src', 'packages/hone/src', 'test', 'bench', 'tools']
    .flatMap((folder) => filesUnder(folder, ['.ts', '.mjs']))
    .map((path) => relative(ROOT, path));
  const stem = (path: string): string => (path.split('/').at(-1) ?? '').split('.')[0] ?? '';
  assert.deepEqual(
    named.filter((path) => BANNED_NAMES.includes(stem(path))),
    [],
  );
  assert.deepEqual(
    named.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem(path))),
    [],
    'file names are kebab-case',
  );
});

test('nothing names a place on somebody’s machine', () => {
  const place = /(^|[\s'"`(=:])\/(work|home|root|Users)\//m;
  const texts = ['packages/runtime/src', 'packages/hone', 'test', 'bench', 'tools', 'docs', '.ci']
    .flatMap((folder) => filesUnder(folder, ['.ts', '.mjs', '.md', '.c', '.h', '.json', 'run']))
    .filter((path) => !/\/(node_modules|dist)\//.test(path));
  const found = texts.filter((path) => place.test(readFileSync(path, 'utf8')));
  assert.deepEqual(
    found.map((path) => relative(ROOT, path)),
    [],
  );
});

test('a Reshape to known extents is made by `reshape`, for which 0 is an extent', () => {
  const direct = /\.op\('Reshape', \[[^;{}]*?\.ints\((?!\[\]\)|\[-1\]\))/;
  const found = filesUnder('packages/hone/src/ops', ['.ts'])
    .filter((path) => !path.endsWith('ops/builder.ts'))
    .filter((path) => direct.test(readFileSync(path, 'utf8')));
  assert.deepEqual(
    found.map((path) => relative(ROOT, path)),
    [],
  );
});
