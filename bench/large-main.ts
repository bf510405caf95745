/**
 * `npm run bench:large -- [--gb 5] [--dir FOLDER] [--run]`: compiles a model whose weights (5 GB by
 * default) lie in a sparse file beside it, and says how much memory that took. With --run the artifact
 * is verified and run as well. Everything is removed afterwards. Exit 1 above the bound: 2 GB for the
 * whole process, in which no more than a few constants may be at a time.
 */
import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  DIM,
  ENTRY,
  GRAPH,
  MODEL,
  NODE,
  OPSET,
  SHAPE,
  TENSOR,
  TENSOR_TYPE,
  TYPE,
  VALUE_INFO,
} from 'hone/frontends/onnx/proto';
import { WireWriter } from 'hone/frontends/onnx/wire-writer';

const BIN = fileURLToPath(new URL('../../packages/hone/bin/hone.js', import.meta.url));
const PRELOAD = new URL('./print-peak.js', import.meta.url).href;
const FLOAT = 1;
const EXTERNAL = 1;
/** Rows and columns of one matrix: 268 MB. */
const SIZE = 8192;
const MATRIX_BYTES = SIZE * SIZE * 4;
const MOST_BYTES = 2e9;

const { values } = parseArgs({
  options: {
    gb: { type: 'string', default: '5' },
    dir: { type: 'string', default: os.tmpdir() },
    run: { type: 'boolean' },
  },
});
const count = Math.max(1, Math.ceil((Number(values.gb) * 1e9) / MATRIX_BYTES));
const folder = mkdtempSync(path.join(values.dir, 'hone-large-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const model = path.join(folder, 'large.onnx');
const artifact = path.join(folder, 'large.hone');
writeFileSync(model, chain(count));
const data = openSync(path.join(folder, 'large.bin'), 'w');
ftruncateSync(data, count * MATRIX_BYTES);
closeSync(data);

const bytes = count * MATRIX_BYTES;
const used = hone('compile', model, '-o', artifact);
console.log(
  `compiled ${count} matrices, ${mb(bytes)} MB of weights: ${mb(used)} MB of memory at most, ${mb(MOST_BYTES)} allowed`,
);
if (values.run === true) {
  console.log(`verified with ${mb(hone('verify', artifact))} MB`);
  console.log(`run with ${mb(hone('run', artifact, '--random'))} MB, weights mapped`);
}
if (used > MOST_BYTES) process.exitCode = 1;

function mb(amount: number): string {
  return (amount / 1e6).toFixed(0);
}

/** Runs a command and gives the most memory its process had. */
function hone(...args: readonly string[]): number {
  const peak = path.join(folder, 'peak');
  const began = performance.now();
  const { status } = spawnSync(process.execPath, ['--import', PRELOAD, BIN, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, HONE_PEAK_FILE: peak },
  });
  if (status !== 0) process.exit(1);
  process.stderr.write(`hone ${args[0]}: ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  return Number(readFileSync(peak, 'utf8'));
}

/** x → MatMul → Relu → … with a matrix of the file for each. */
function chain(length: number): Uint8Array {
  const w = new WireWriter();
  w.int(MODEL.irVersion, 9);
  w.message(MODEL.graph, (graph) => {
    for (let i = 0; i < length; i++) {
      node(graph, 'MatMul', [i === 0 ? 'x' : `r${i - 1}`, `w${i}`], `m${i}`);
      node(graph, 'Relu', [`m${i}`], i === length - 1 ? 'y' : `r${i}`);
    }
    graph.string(GRAPH.name, 'large');
    for (let i = 0; i < length; i++) graph.message(GRAPH.initializer, (t) => matrix(t, i));
    graph.message(GRAPH.input, (v) => value(v, 'x'));
    graph.message(GRAPH.output, (v) => value(v, 'y'));
  });
  w.message(MODEL.opsetImport, (o) => o.int(OPSET.version, 17));
  return w.finish();
}

function node(graph: WireWriter, op: string, inputs: readonly string[], output: string): void {
  graph.message(GRAPH.node, (n) => {
    for (const input of inputs) n.string(NODE.input, input);
    n.string(NODE.output, output);
    n.string(NODE.op, op);
  });
}

function matrix(t: WireWriter, index: number): void {
  for (const extent of [SIZE, SIZE]) t.int(TENSOR.dims, extent);
  t.int(TENSOR.dataType, FLOAT);
  t.string(TENSOR.name, `w${index}`);
  const place = { location: 'large.bin', offset: index * MATRIX_BYTES, length: MATRIX_BYTES };
  for (const [key, entry] of Object.entries(place)) {
    t.message(TENSOR.externalData, (e) => {
      e.string(ENTRY.key, key);
      e.string(ENTRY.value, String(entry));
    });
  }
  t.int(TENSOR.dataLocation, EXTERNAL);
}

function value(v: WireWriter, name: string): void {
  v.string(VALUE_INFO.name, name);
  v.message(VALUE_INFO.type, (type) => {
    type.message(TYPE.tensor, (tensor) => {
      tensor.int(TENSOR_TYPE.elemType, FLOAT);
      tensor.message(TENSOR_TYPE.shape, (shape) => {
        for (const extent of [1, SIZE]) shape.message(SHAPE.dim, (d) => d.int(DIM.value, extent));
      });
    });
  });
}
