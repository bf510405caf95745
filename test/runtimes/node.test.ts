/**
 * hone-runtime alone: packed, installed into an empty folder without network or install scripts, and
 * used there as docs/runtime-node.md says.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { load } from 'hone-runtime';
import type { Tensor } from 'hone-runtime/base/tensor';
import { examplesOf, ROOT, runExamples } from '../support/doc-examples.ts';
import { compileTo, DIRECTION } from './models.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-node-'));
after(() => rmSync(folder, { recursive: true }));
const service = path.join(folder, 'service');
const packages = path.join(folder, 'packages');

function npm(args: readonly string[], cwd: string): string {
  const { status, stdout, stderr } = spawnSync('npm', args, {
    cwd,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, npm_config_update_notifier: 'false' },
  });
  assert.equal(status, 0, `npm ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

/** Packs a folder; the path of the archive. */
function pack(directory: string): string {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', packages, directory];
  const [packed] = JSON.parse(npm(args, folder)) as { filename: string }[];
  assert.ok(packed);
  // Scoped names have their slash replaced in the file's name, which npm's report may not show.
  return path.join(packages, packed.filename.replace(/^@/, '').replace('/', '-'));
}

/** koffi and the package with its binary for this machine, from the workspace's own installation. */
function koffiFolders(): string[] {
  const modules = path.join(ROOT, 'node_modules');
  const scope = path.join(modules, '@koromix');
  const binaries = existsSync(scope) ? readdirSync(scope) : [];
  return [path.join(modules, 'koffi'), ...binaries.map((name) => path.join(scope, name))];
}

test('hone-runtime installs alone, from its archive, without network or scripts', () => {
  mkdirSync(packages);
  mkdirSync(service);
  const archives = [...koffiFolders(), path.join(ROOT, 'packages', 'runtime')].map(pack);
  npm(
    ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', ...archives],
    service,
  );
  const installed = path.join(service, 'node_modules');
  const names = readdirSync(installed).filter((name) => !name.startsWith('.'));
  assert.deepEqual(names.sort(), ['@koromix', 'hone-runtime', 'koffi']);
  const runtime = path.join(installed, 'hone-runtime');
  const files = readdirSync(runtime).sort();
  assert.deepEqual(files, ['LICENSE', 'README.md', 'dist', 'package.json', 'python']);
});

test('nothing of the compiler is imported: only itself, koffi and Node', () => {
  const dist = path.join(service, 'node_modules', 'hone-runtime', 'dist');
  const modules = readdirSync(dist, { recursive: true, encoding: 'utf8' });
  const imported = new Set<string>();
  for (const name of modules.filter((file) => file.endsWith('.js'))) {
    const text = readFileSync(path.join(dist, name), 'utf8');
    const imports =
      /^(?:import|export)\b[^'";()=]*\bfrom\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm;
    for (const match of text.matchAll(imports)) {
      const [, target = match[2] ?? match[3] ?? ''] = match;
      if (target.startsWith('.')) {
        const file = path.join(dist, path.dirname(name), target);
        assert.ok(file.startsWith(dist) && existsSync(file), `${name} imports ${target}`);
      } else imported.add(target.split('/')[0] ?? '');
    }
  }
  const others = [...imported].filter((name) => !name.startsWith('node:'));
  assert.deepEqual(others, ['koffi']);
});

test('docs/runtime-node.md runs there, and gives what the workspace gives', async () => {
  const artifact = await compileTo(folder, DIRECTION);
  cpSync(artifact, path.join(service, 'direction.hone'), { recursive: true });
  const [first] = runExamples(examplesOf('docs/runtime-node.md'), {
    cwd: service,
    env: { NODE_PATH: '' },
    wanted: (command) => command.startsWith('node '),
  });
  const session = load(artifact, { threads: 1 });
  const x: Tensor = {
    dtype: 'f32',
    shape: [1, 3, 48, 192],
    data: new Float32Array(3 * 48 * 192).fill(0.5),
  };
  const { 'softmax_0.tmp_0': y } = session.runSync({ x });
  session.close();
  const values = Array.from(y?.data as Float32Array);
  for (const value of values) assert.ok(first?.includes(`${value}`), `${first} lacks ${value}`);
});

test('the commands of docs/runtime-node.md before that are those of this test', () => {
  const commands = examplesOf('docs/runtime-node.md').filter(({ language }) => language === 'sh');
  const [prepare, ...others] = commands.map(({ text }) => text);
  assert.match(
    prepare ?? '',
    /^npx hone compile \S+ --shape x=1x3x48x192 -o direction.hone\nnpm pack/,
  );
  assert.ok(others.length >= 3 && others.every((text) => text.startsWith('node ')));
  const [install] = examplesOf('docs/runtime-node.md').filter((e) => e.language === 'console');
  assert.match(install?.text ?? '', /hone-runtime-\d+\.\d+\.\d+\.tgz/);
  const { version } = JSON.parse(
    readFileSync(path.join(ROOT, 'packages', 'runtime', 'package.json'), 'utf8'),
  ) as { version: string };
  assert.ok(install?.text.includes(`hone-runtime-${version}.tgz`));
});
