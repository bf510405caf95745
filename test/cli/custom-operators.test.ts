/** Operators of users, from the module to the artifact: --ops, registerOperator, rebuilds, bad modules. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { formatNpy, parseNpy } from 'hone/cli/input/npy';
import { compileModel, loadOperators, registerOperator } from 'hone/compile/index';
import { importOnnx, openOnnx } from 'hone/frontends/onnx/index';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers, toNumbers } from 'hone-runtime/base/tensor';
import { type RawModel, rawModel } from '../onnx/raw-model.ts';
import { type HoneResult, hone } from '../support/hone-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'hone-custom-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const OPS = fileURLToPath(new URL('../../../docs/examples/operators.mjs', import.meta.url));
const model = at('model.onnx');
const artifact = at('model.hone');
const run = (...args: string[]): Promise<HoneResult> => hone(args);

const [ROWS, COLUMNS, BETA] = [5, 7, 1.5];
const x = Float64Array.from({ length: ROWS * COLUMNS }, (_unused, i) => 3 * Math.sin(i * i));

/** −RunningMax(Swish(x) + x), the middle of it in a private domain. */
const MODEL: RawModel = {
  inputs: [{ name: 'x', shape: ['N', COLUMNS] }],
  outputs: [{ name: 'y', shape: ['N', COLUMNS] }],
  domains: { 'com.acme': 1 },
  nodes: [
    {
      op: 'Swish',
      domain: 'com.acme',
      name: 'swish',
      inputs: ['x'],
      outputs: ['s'],
      attrs: { beta: { float: BETA } },
    },
    { op: 'Add', name: 'add', inputs: ['s', 'x'], outputs: ['a'] },
    { op: 'RunningMax', domain: 'com.acme', name: 'max', inputs: ['a'], outputs: ['m'] },
    { op: 'Neg', name: 'neg', inputs: ['m'], outputs: ['y'] },
  ],
};

function expected(): number[] {
  const out: number[] = [];
  x.forEach((value, i) => {
    const here = value / (1 + Math.exp(-BETA * value)) + value;
    out.push(i % COLUMNS === 0 ? here : Math.max(here, out[i - 1] ?? here));
  });
  return out.map((value) => -value);
}

function assertClose(actual: Float64Array): void {
  const wanted = expected();
  assert.equal(actual.length, wanted.length);
  actual.forEach((value, i) => {
    const due = wanted[i] ?? Number.NaN;
    assert.ok(Math.abs(value - due) <= 1e-5 * (1 + Math.abs(due)), `${i}: ${value}, not ${due}`);
  });
}

async function errorOf(...args: string[]) {
  const { code, stdout } = await run(...args, '--json');
  assert.equal(code, 1, stdout);
  return JSON.parse(stdout).error;
}

before(async () => {
  writeFileSync(model, rawModel(MODEL));
  const args = ['--shape', `N=${ROWS}`, '--ops', OPS];
  const { code, stderr } = await run('compile', model, '-o', artifact, ...args);
  assert.equal(code, 0, stderr);
});

test('the artifact answers as the operators say, without their module', async () => {
  writeFileSync(at('x.npy'), formatNpy(fromNumbers('f32', [ROWS, COLUMNS], x)));
  for (const threads of ['1', '2']) {
    const files = ['--input', at('x.npy'), '--output', `y=${at('y.npy')}`];
    const { code, stderr } = await run('run', artifact, ...files, '--threads', threads);
    assert.equal(code, 0, stderr);
    assertClose(toNumbers(parseNpy(readFileSync(at('y.npy')), 'y.npy')));
  }
});

test('what is made of operators fuses, and C is a routine', async () => {
  const { stdout } = await run('explain', artifact, '--json');
  const { groups } = JSON.parse(stdout);
  assert.equal(groups.length, 3);
  assert.ok(groups[0].ops.includes('Add') && groups[0].ops.includes('Sigmoid'), groups[0].ops);
  assert.equal(groups[1].row, 'routine');
  const source = readFileSync(join(artifact, 'src', 'routines_00.c'), 'utf8');
  assert.match(source, /hone_rt_acme_running_max/);
});

test('the interpreter takes a decomposition for its own reference', async () => {
  const { registry } = await loadOperators([OPS]);
  const opened = openOnnx(model);
  const { graph } = importOnnx(opened, { registry, dims: { N: ROWS } });
  const [y] = interpret(graph, [fromNumbers('f32', [ROWS, COLUMNS], x)], registry);
  assert.ok(y !== undefined);
  assertClose(toNumbers(y));
  opened.close();
});

test('analyze counts them as compiled; without the module they are named', async () => {
  const { stdout } = await run('analyze', model, '--ops', OPS, '--json');
  const analysis = JSON.parse(stdout);
  assert.equal(analysis.compilable, true);
  const acme = analysis.operators.filter((use: { domain: string }) => use.domain === 'com.acme');
  assert.deepEqual(
    acme.map(({ op, kind }: { op: string; kind: string }) => [op, kind]),
    [
      ['Swish', 'composite'],
      ['RunningMax', 'core'],
    ],
  );
  const work = analysis.work.map(({ op, how, flops }: Record<string, unknown>) => [op, how, flops]);
  const elements = COLUMNS;
  assert.deepEqual(work.slice(1), [
    ['Add', 'compiled', elements],
    ['Neg', 'compiled', elements],
    ['RunningMax', 'routine', 0],
  ]);
  assert.equal(work[0][0], 'Swish');
  const error = await errorOf('compile', model, '-o', at('never.hone'));
  assert.equal(error.code, 'HONE-ONNX-020');
  assert.match(error.cure, /--ops/);
  const refused = await errorOf('run', artifact, '--ops', OPS, '--random');
  assert.equal(refused.code, 'HONE-CLI-006');
});

test('a rebuild takes the same module, and no other', async () => {
  const rebuild = ['verify', artifact, '--rebuild', model];
  const { code, stderr } = await run(...rebuild, '--ops', OPS);
  assert.equal(code, 0, stderr);
  const without = await errorOf(...rebuild);
  assert.equal(without.code, 'HONE-ARTIFACT-041');
  assert.match(without.message, /operators\.mjs \(SHA-256 [0-9a-f]{64}\)/);
  assert.match(without.cure, /--ops/);
  copyFileSync(OPS, at('changed.mjs'));
  writeFileSync(at('changed.mjs'), `${readFileSync(OPS, 'utf8')}// another digest\n`);
  const changed = await errorOf(...rebuild, '--ops', at('changed.mjs'));
  assert.equal(changed.code, 'HONE-ARTIFACT-041');
});

test('registerOperator: a record of the program; the manifest says so', async () => {
  const half = registerOperator({
    domain: 'com.acme',
    name: 'Half',
    infer: ({ inputs }) => inputs.flatMap((input) => input?.type ?? []),
    decompose: (b, inputs) => [b.op('Mul', [inputs[0] ?? null, b.scalar(0.5)])],
  });
  const file = at('half.onnx');
  const node = { op: 'Half', domain: 'com.acme', inputs: ['x'], outputs: ['y'] };
  const io = { inputs: [{ name: 'x', shape: [4] }], outputs: [{ name: 'y', shape: [4] }] };
  writeFileSync(file, rawModel({ ...io, domains: { 'com.acme': 1 }, nodes: [node] }));
  const compiled = await compileModel(file, { registry: half });
  assert.equal(compiled.options['operators'], 'own');
  assert.deepEqual(
    compiled.report.stages.flatMap(({ ops }) => ops),
    ['Mul'],
  );
});

const record = (fields: string): string => `export const operators = [{ ${fields} }];`;
const GOOD = "domain: 'com.acme', name: 'Swish', infer: (c) => [c.inputs[0].type]";
const BAD: readonly (readonly [string, string, string, RegExp])[] = [
  ['no JavaScript', 'export const = 1', 'HONE-OP-010', /cannot be loaded: SyntaxError/],
  ['another export', 'export const ops = []', 'HONE-OP-010', /exports no list "operators"/],
  ['an empty list', 'export const operators = []', 'HONE-OP-010', /is empty/],
  ['no object', 'export const operators = [7]', 'HONE-OP-010', /operators\[0\] is no object/],
  ['no name', record('infer() {}'), 'HONE-OP-010', /field name: nothing/],
  ['neither form', record(GOOD), 'HONE-OP-010', /com\.acme:Swish .*neither decompose nor lower/],
  ['a misspelt field', record(`${GOOD}, decomposes() {}`), 'HONE-OP-010', /field decomposes/],
  ['no reference', record(`${GOOD}, lower() {}`), 'HONE-OP-010', /field reference is missing/],
  [
    'an odd attribute',
    record(`${GOOD}, decompose() {}, attrs: { beta: { type: 'real' } }`),
    'HONE-OP-010',
    /attrs\.beta\.type/,
  ],
  ['another file', `import './x.mjs'; ${record(GOOD)}`, 'HONE-OP-010', /imports \.\/x\.mjs/],
  [
    'an inference that throws',
    record("name: 'Swish', domain: 'com.acme', infer() { null.x }, decompose() {}"),
    'HONE-OP-011',
    /Swish: infer fails: TypeError.*\(node swish\)/,
  ],
  [
    'an inference of nonsense',
    record("name: 'Swish', domain: 'com.acme', infer: () => [{ dtype: 'f99' }], decompose() {}"),
    'HONE-OP-011',
    /infer gives the dtype "f99"/,
  ],
];

for (const [what, text, code, message] of BAD) {
  test(`a module with ${what}`, async () => {
    const file = at(`${what.replaceAll(' ', '-')}.mjs`);
    writeFileSync(file, text);
    const attempt = async (): Promise<void> => {
      const custom = await loadOperators([file]);
      const opened = openOnnx(at('swish.onnx'));
      try {
        importOnnx(opened, custom);
      } finally {
        opened.close();
      }
    };
    const [swish] = MODEL.nodes;
    const part = { ...MODEL, inputs: [{ name: 'x', shape: [2, 2] }], outputs: [{ name: 's' }] };
    const nodes = swish === undefined ? [] : [{ ...swish, attrs: {} }];
    writeFileSync(at('swish.onnx'), rawModel({ ...part, nodes }));
    await assert.rejects(attempt, (error: unknown) => {
      assert.ok(error instanceof HoneError);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.ok(error.message.includes(file), error.message);
      assert.ok(error.cure?.includes('custom-operators.md'), error.cure);
      return true;
    });
  });
}

test('what a decomposition gives must be what inference says', async () => {
  const wrong = "decompose: (b, [x]) => [b.op('Transpose', [x])]";
  writeFileSync(at('wrong.mjs'), record(`${GOOD}, attrs: { beta: { type: 'float' } }, ${wrong}`));
  const io = { inputs: [{ name: 'x', shape: [2, 3] }], outputs: [{ name: 's' }] };
  writeFileSync(at('one.onnx'), rawModel({ ...MODEL, ...io, nodes: MODEL.nodes.slice(0, 1) }));
  const error = await errorOf('compile', at('one.onnx'), '--ops', at('wrong.mjs'));
  assert.equal(error.code, 'HONE-OP-011');
  assert.match(
    error.message,
    /decompose gives f32\[3,2\] as output 0, where infer says f32\[2,3\]/,
  );
  assert.equal(error.subject, 'swish');
});
