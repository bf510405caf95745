/** The command line as its users meet it: real processes, exit codes, both forms of errors. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { COMMANDS } from 'hone/cli/contract';
import { hone } from '../support/hone-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'hone-cli-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('hone alone shows three examples', async () => {
  const { code, stdout, stderr } = await hone([]);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.equal(stdout.match(/^ {2}hone /gm)?.length, 3);
});

test('--help lists every command, on stdout', async () => {
  const { code, stdout } = await hone(['--help']);
  assert.equal(code, 0);
  for (const { name } of COMMANDS) assert.match(stdout, new RegExp(`^ {2}${name} `, 'm'));
});

test('each command has help with examples', async () => {
  for (const { name, options } of COMMANDS) {
    const { code, stdout } = await hone([name, '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /Examples:\n {2}hone /);
    assert.ok(options.some((option) => option.flags === '--json'));
  }
});

test('a module of every command can be loaded', async () => {
  for (const spec of COMMANDS) assert.equal(typeof (await spec.load()).run, 'function');
});

const MISUSES: readonly (readonly [string, readonly string[], string, RegExp])[] = [
  ['unknown command', ['rnu'], 'HONE-CLI-002', /did you mean run\?/],
  ['unknown option', ['run', 'm.onnx', '--inptu', 'x'], 'HONE-CLI-003', /did you mean --input\?/],
  ['missing model', ['run'], 'HONE-CLI-004', /hone run --help/],
  ['missing value', ['run', 'm.onnx', '--input'], 'HONE-CLI-004', /hone run --help/],
  ['too many arguments', ['targets', 'x'], 'HONE-CLI-005', /hone targets --help/],
  ['no such file', ['inspect', 'no-such.onnx'], 'HONE-IO-001', /check the path/],
  ['a path through a file', ['inspect', 'package.json/x.onnx'], 'HONE-IO-001', /check the path/],
  ['bad number', ['run', 'm.onnx', '--top', 'many'], 'HONE-CLI-006', /whole number/],
];

for (const [name, args, code, cure] of MISUSES) {
  test(`misuse: ${name}`, async () => {
    const text = await hone(args);
    assert.equal(text.code, 1);
    assert.equal(text.stdout, '');
    assert.ok(text.stderr.startsWith(`${code}: `), text.stderr);
    assert.match(text.stderr, /\n {2}cure: /);
    assert.match(text.stderr, cure);
    const json = await hone([...args, '--json']);
    if (name === 'missing value') return;
    assert.equal(json.code, 1);
    const { error } = JSON.parse(json.stdout);
    assert.equal(error.code, code);
    assert.deepEqual(Object.keys(error), ['code', 'message', 'subject', 'cure']);
  });
}

test('files that are no models are refused by content', async () => {
  const paths = [
    file('text.onnx', 'this is not a model'),
    file('empty.onnx', ''),
    file('zeros.onnx', new Uint8Array(100)),
    folder,
  ];
  const commands = ['inspect', 'analyze', 'compile', 'run', 'explain', 'profile', 'bench'];
  // Every command on one of them, one command on each of them.
  const uses = [
    ...commands.map((command) => [command, paths[0] as string]),
    ...paths.slice(1).map((path) => ['inspect', path]),
  ];
  for (const [command, path] of uses as [string, string][]) {
    const { code, stdout, stderr } = await hone([command, path]);
    assert.equal(code, 1, `${command} ${path}: ${stderr}`);
    assert.equal(stdout, '');
    assert.match(stderr, /^HONE-[A-Z]+-\d+: .*\n {2}cure: /);
    assert.ok(stderr.includes(path), stderr);
  }
});

test('targets: native and families', async () => {
  const { code, stdout } = await hone(['targets', '--json']);
  assert.equal(code, 0);
  const { native, targets, families } = JSON.parse(stdout);
  assert.match(native, /^(x86-64|arm64)/);
  assert.ok(targets.some((target: { name: string }) => target.name === 'x86-64-v3'));
  assert.ok(families.some((entry: { family: string }) => entry.family === 'ml_c5'));
});

test('doctor: says what is missing, and its cure', async () => {
  const good = await hone(['doctor', '--json'], { HONE_CACHE_DIR: folder });
  assert.equal(JSON.parse(good.stdout).ok, true, good.stdout);
  assert.equal(good.code, 0);
  const bad = await hone(['doctor', '--json'], {
    HONE_CACHE_DIR: folder,
    HONE_CC: join(folder, 'no-such-compiler'),
  });
  assert.equal(bad.code, 1);
  const { ok, checks } = JSON.parse(bad.stdout);
  assert.equal(ok, false);
  const compiler = checks.find((check: { name: string }) => check.name === 'C compiler');
  assert.equal(compiler.status, 'failed');
  assert.match(compiler.cure, /HONE_CC/);
});
