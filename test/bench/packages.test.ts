/** Packages fetched from a registry of the test, and their models measured from end to end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { HoneError } from 'hone-runtime/base/diagnostics';
import { fromNumbers } from 'hone-runtime/base/tensor';
import { formatBytes } from 'hone/cli/table';
import { exportOnnx } from 'hone/frontends/onnx/index';
import { opBuilder } from 'hone/ops/registry';
import {
  type NpmPackage,
  type PackageEntry,
  packagedModels,
  type PypiPackage,
} from '../../bench/packages/entry.ts';
import { isAsExpected, verdictOf } from '../../bench/packages/outcome.ts';
import { packageFile } from '../../bench/packages/package-file.ts';
import { packagesPage } from '../../bench/packages/page.ts';
import { registriesOf } from '../../bench/packages/registries.ts';
import { runPackages } from '../../bench/packages/run.ts';
import { missLines, reportJson, rowOf, summaryLine } from '../../bench/packages/summary.ts';
import { formatTarGz } from '../support/tar.ts';
import { formatZip } from '../support/zip.ts';

const FOLDER = mkdtempSync(path.join(os.tmpdir(), 'hone-packages-test-'));

/** ids [4] pick rows of a table of eight. */
function lookup(): Uint8Array {
  const b = opBuilder('lookup');
  const ids = b.graph.input('ids', { dtype: 'i64', shape: [4] });
  const rows = Float64Array.from({ length: 8 * 16 }, (_, i) => (i % 13) - 6);
  const table = b.constant(fromNumbers('f32', [8, 16], rows), 'table');
  return exportOnnx(b.graph.finish([b.op('Relu', [b.op('Gather', [table, ids])])]));
}

const MODEL = lookup();
const INSIDE = 'strange/models/lookup.onnx';
const WHEEL = formatZip(
  new Map([
    ['strange/__init__.py', new Uint8Array(0)],
    [INSIDE, MODEL],
    ['strange/models/broken.onnx', Buffer.from('this is no model')],
  ]),
  true,
);
const TARBALL = formatTarGz([{ path: 'package/lookup.onnx', content: MODEL }]);

const PYPI: PypiPackage = {
  registry: 'pypi',
  name: 'Strange.Models',
  version: '1.0',
  file: 'strange_models-1.0-py3-none-any.whl',
  sha256: createHash('sha256').update(WHEEL).digest('hex'),
  models: [{ path: INSIDE, values: { ids: { low: 0, high: 8 } } }],
};
const NPM: NpmPackage = {
  registry: 'npm',
  name: '@strange/models',
  version: '2.0.0',
  integrity: `sha512-${createHash('sha512').update(TARBALL).digest('base64')}`,
  models: [{ path: 'package/lookup.onnx' }],
};

/** Pages and files by their address; a text that begins with "->" leads elsewhere. */
const served = new Map<string, string | Uint8Array>();
const asked: { readonly path: string; readonly authorization: string | undefined }[] = [];
let server: Server;
let origin = '';

before(async () => {
  server = createServer((request, response) => {
    const { url = '', headers } = request;
    asked.push({ path: url, authorization: headers.authorization });
    const content = served.get(url);
    if (content === undefined) response.writeHead(404).end();
    else if (typeof content === 'string' && content.startsWith('->')) {
      response.writeHead(302, { location: content.slice(2) }).end();
    } else response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  served.set('/simple/strange-models/', '->/mirror/strange-models/');
  served.set('/mirror/strange-models/', `<a href="../../files/${PYPI.file}">${PYPI.file}</a>`);
  served.set(`/files/${PYPI.file}`, WHEEL);
  const dist = { tarball: `${origin}/files/models-2.0.0.tgz`, integrity: NPM.integrity };
  served.set('/npm/@strange%2fmodels/2.0.0', JSON.stringify({ dist }));
  served.set('/files/models-2.0.0.tgz', TARBALL);
});
after(() => {
  server.close();
  server.closeAllConnections();
  rmSync(FOLDER, { recursive: true, force: true });
});

function settings(folder: string) {
  const progress = (): void => {};
  const registries = registriesOf({
    PIP_INDEX_URL: `${origin}/simple`,
    npm_config_registry: `${origin}/npm`,
  });
  return { folder, registries, progress };
}

function cache(): string {
  return mkdtempSync(path.join(FOLDER, 'cache-'));
}

async function refused(entry: PackageEntry, code: string, words: RegExp): Promise<HoneError> {
  const folder = cache();
  let thrown: unknown;
  await packageFile(entry, settings(folder)).catch((error: unknown) => {
    thrown = error;
  });
  const error = thrown as HoneError;
  assert.equal(error?.code, code, String(error));
  assert.match(error.message, words);
  assert.ok(error.cure);
  assert.deepEqual(readdirSync(folder), [], 'nothing is left behind');
  return error;
}

test('a package is fetched once, and kept', async () => {
  const folder = cache();
  for (const [entry, content] of [
    [PYPI, WHEEL],
    [NPM, TARBALL],
  ] as const) {
    const file = await packageFile(entry, settings(folder));
    assert.ok(readFileSync(file).equals(content));
    const before = asked.length;
    assert.equal(await packageFile(entry, settings(folder)), file);
    assert.equal(asked.length, before, 'nothing is asked for again');
    writeFileSync(file, content.subarray(1));
    await packageFile(entry, settings(folder));
    assert.ok(readFileSync(file).equals(content), 'what was damaged is fetched again');
  }
  assert.equal(readdirSync(folder).length, 2);
});

test('without settings the public registries are asked', () => {
  const registries = registriesOf({ PIP_INDEX_URL: '' });
  assert.deepEqual(registries, {
    pypi: 'https://pypi.org/simple/',
    npm: 'https://registry.npmjs.org/',
  });
});

test('a file with another digest is refused', async () => {
  const other = { ...PYPI, sha256: 'ab'.repeat(32) };
  const error = await refused(other, 'HONE-BENCH-013', /has the sha256 [0-9a-f]{64}, not abab/);
  assert.ok(error.message.includes(`${origin}/files/${PYPI.file}`));
  const integrity = `sha512-${Buffer.alloc(64).toString('base64')}`;
  const before = asked.length;
  await refused({ ...NPM, integrity }, 'HONE-BENCH-013', /states the digest sha512-/);
  assert.equal(asked.length, before + 1, 'the tarball is not fetched');
  const stated = `<a href="/files/${PYPI.file}#sha256=${PYPI.sha256}">x</a>`;
  served.set('/simple/stated/', stated);
  await refused({ ...other, name: 'stated' }, 'HONE-BENCH-013', /states the digest/);
});

test('what cannot be fetched names the address and the cure', async () => {
  const at = (address: string) => new RegExp(`${origin}${address}`.replaceAll('.', '\\.'));
  await refused({ ...PYPI, name: 'absent' }, 'HONE-BENCH-012', at('/simple/absent/: HTTP 404'));
  await refused({ ...NPM, version: '9.9.9' }, 'HONE-BENCH-012', at('/npm/@strange%2fmodels/9.9.9'));
  await refused({ ...PYPI, file: 'other-1.0.whl' }, 'HONE-BENCH-012', /has no other-1\.0\.whl/);
  served.set('/npm/odd/1.0.0', '[');
  await refused({ ...NPM, name: 'odd', version: '1.0.0' }, 'HONE-BENCH-012', /has no odd 1\.0\.0/);
  const nobody = createServer();
  await new Promise<void>((resolve) => nobody.listen(0, '127.0.0.1', resolve));
  const { port } = nobody.address() as AddressInfo;
  await new Promise((resolve) => nobody.close(resolve));
  const registries = registriesOf({ PIP_INDEX_URL: `http://user:secret@127.0.0.1:${port}/` });
  await assert.rejects(
    packageFile(PYPI, { ...settings(cache()), registries }),
    (error: HoneError) => {
      assert.equal(error.code, 'HONE-BENCH-012');
      const address = `http://127.0.0.1:${port}/strange-models/`;
      assert.equal(error.message, `cannot fetch ${address}: ECONNREFUSED`);
      assert.match(error.cure ?? '', /PIP_INDEX_URL/);
      return true;
    },
  );
});

test('a name and a password in the address log in to the index alone', async () => {
  const elsewhere = createServer((request, response) => {
    asked.push({ path: 'elsewhere', authorization: request.headers.authorization });
    response.end(WHEEL);
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  const { port } = elsewhere.address() as AddressInfo;
  served.set('/simple/far/', `<a href="http://127.0.0.1:${port}/${PYPI.file}">x</a>`);
  const login = origin.replace('//', '//me:p%40ss@');
  const registries = registriesOf({ PIP_INDEX_URL: `${login}/simple` });
  try {
    await packageFile({ ...PYPI, name: 'far' }, { ...settings(cache()), registries });
  } finally {
    elsewhere.close();
    elsewhere.closeAllConnections();
  }
  const basic = `Basic ${Buffer.from('me:p@ss').toString('base64')}`;
  assert.deepEqual(asked.slice(-2), [
    { path: '/simple/far/', authorization: basic },
    { path: 'elsewhere', authorization: undefined },
  ]);
});

test('models are measured from end to end, and each fails alone', async () => {
  const broken = { path: 'strange/models/broken.onnx' };
  const gone = { path: 'strange/models/gone.onnx' };
  const outside = { path: 'package/lookup.onnx', values: { ids: { low: 100, high: 101 } } };
  const expected = { verdict: 'no baseline', why: 'its ids are no rows of the table' } as const;
  const entries: readonly PackageEntry[] = [
    { ...PYPI, name: 'absent' },
    { ...PYPI, models: [broken, gone, ...PYPI.models] },
    { ...NPM, models: [{ ...outside, expected }] },
  ];
  const report = await runPackages(packagedModels(entries), {
    ...settings(cache()),
    limitMs: 300_000,
    settings: { threads: 1, durationMs: 5, sessions: 1 },
  });
  const { results } = report;
  assert.deepEqual(
    results.map((result) => [result.id, verdictOf(result.outcome), isAsExpected(result)]),
    [
      ['absent/lookup', 'not fetched', false],
      ['Strange.Models/broken', 'fails', false],
      ['Strange.Models/gone', 'not fetched', false],
      ['Strange.Models/lookup', 'agrees', true],
      ['@strange/models/lookup', 'no baseline', true],
    ],
    missLines(results).join('\n'),
  );
  const [absent, bad, , good] = results;
  assert.ok(absent?.outcome.kind === 'failed' && absent.outcome.code === 'HONE-BENCH-012');
  assert.ok(bad?.outcome.kind === 'failed' && /^HONE-ONNX-/.test(bad.outcome.code));
  assert.ok(good?.outcome.kind === 'measured' && good.outcome.ratio > 0);
  assert.equal(good.outcome.difference, 0);
  assert.equal(good.bytes, MODEL.byteLength);
  assert.deepEqual(rowOf(good).slice(0, 4), [
    'Strange.Models 1.0',
    'lookup',
    formatBytes(MODEL.byteLength),
    'agrees, 0e+0',
  ]);
  assert.match(
    summaryLine(results),
    /^5 models of 3 packages: 2 load, 1 answer as onnxruntime does; 2 were not to be had; geometric mean/,
  );
  assert.match(missLines(results).join('\n'), /no baseline: .*\n {2}known: its ids are no rows/);
  const json = JSON.parse(JSON.stringify(reportJson(report)));
  assert.equal(json.results[3].verdict, 'agrees');
  assert.equal(json.summary.worst.id, 'Strange.Models/lookup');
  const page = packagesPage(report, '2026-01-02');
  assert.match(page, /^# Models out of published packages\n/);
  assert.match(page, /\n2026-01-02, .*onnxruntime-node 1\.\d+\.\d+\. 5 models of 3 packages/);
  assert.match(page, /\n- @strange\/models\/lookup no baseline: HONE-BENCH-006/);
});

test('a model that takes too long ends alone, and nothing of it stays', async () => {
  const { TMPDIR } = process.env;
  const temporary = mkdtempSync(path.join(FOLDER, 'temporary-'));
  process.env['TMPDIR'] = temporary;
  try {
    const { results } = await runPackages(packagedModels([PYPI]), {
      ...settings(cache()),
      limitMs: 1,
      settings: { threads: 1, durationMs: 5, sessions: 1 },
    });
    const [result] = results;
    assert.ok(result?.outcome.kind === 'failed');
    assert.equal(result.outcome.code, 'HONE-BENCH-015');
    assert.match(result.outcome.message, /it was ended after 0\.001 s/);
    assert.equal(verdictOf(result.outcome), 'fails');
    assert.deepEqual(readdirSync(temporary), []);
  } finally {
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
  }
});
