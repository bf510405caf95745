/** The report as text and as a page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BenchReport, type BenchRow, isGood } from 'hone/bench/report';
import { reportHtml } from 'hone/bench/report-html';
import { reportTable } from 'hone/bench/report-table';

const ROW: BenchRow = {
  model: 'net <1> & "co"',
  engine: 'hone',
  precision: 'fp32',
  calibration: null,
  batch: 1,
  concurrency: 1,
  threads: 2,
  p50_ms: 2,
  p90_ms: 2.2,
  p95_ms: 2.3,
  p99_ms: 2.5,
  mean_ms: 2.1,
  spread_percent: 4,
  throughput_avg: 480,
  throughput_max: 500,
  gflops: 150,
  percent_of_peak: 75,
  peak_rss_bytes: 100 * 2 ** 20,
  arena_bytes: 1000,
  weights_bytes: 2000,
  ratio_to_baseline: 1.5,
  ratio_low: 1.4,
  ratio_high: 1.6,
  runs: 100,
  windows: 10,
  discarded_windows: 1,
  disturbed: false,
  import_ms: 10,
  open_ms: 5,
  first_run_ms: 3,
  compile_s: 2,
  flops: 3e8,
  target: 'x86-64-v3-linux-gnu',
  max_error: 1e-6,
  max_error_of_scale: 1e-7,
  outputs_equal: true,
  lower_precision: false,
  differs_like_baseline: false,
};

const PEER: BenchRow = { ...ROW, engine: 'onnxruntime', p50_ms: 3, ratio_to_baseline: 1 };

function report(...results: BenchRow[]): BenchReport {
  return {
    machine: {
      cpu: 'a processor',
      threads: 2,
      cores: 2,
      memory_bytes: 1,
      os: 'linux',
      node: 'v20',
      peak: null,
      onnxruntime: '1.30.0',
    },
    results,
    failures: [],
    geometric_mean: 1.5,
    notes: [],
  };
}

test('the table has a line per row and leaves out what says nothing', () => {
  const { header, rows, align, lines } = reportTable(report(ROW, PEER));
  assert.ok(
    header.includes('p50 ms') && !header.includes('in flight') && !header.includes('batch'),
  );
  assert.equal(rows.length, 2);
  assert.ok(rows.every((row) => row.length === header.length && align.length === header.length));
  assert.equal(rows[0]?.[header.indexOf('ratio')], '1.50 (1.40-1.60)');
  assert.equal(rows[1]?.[header.indexOf('ratio')], '1.00');
  assert.match(lines.join('\n'), /geometric mean .* 1\.500/);
  assert.match(lines.join('\n'), /1 of 10 windows discarded/);
});

test('wrong outputs and failures make a bad report', () => {
  assert.equal(isGood(report(ROW, PEER)), true);
  const wrong = { ...ROW, outputs_equal: false };
  assert.equal(isGood(report(wrong)), false);
  assert.match(reportTable(report(wrong)).rows[0]?.at(-1) ?? '', /OUTPUTS DIFFER/);
  assert.equal(isGood(report({ ...wrong, differs_like_baseline: true })), true);
  assert.equal(isGood(report({ ...PEER, outputs_equal: false })), true);
  const failure = {
    model: 'x',
    code: 'HONE-ONNX-001',
    message: 'no',
    subject: null,
    cure: 'yes',
  };
  const failed = { ...report(ROW), failures: [failure] };
  assert.equal(isGood(failed), false);
  assert.match(reportTable(failed).lines.join('\n'), /FAILED x: HONE-ONNX-001: no\n {2}cure: yes/);
});

test('the page is whole and escaped', () => {
  const page = reportHtml(report(ROW, PEER), 'a < b');
  assert.match(page, /^<!doctype html>/);
  assert.equal(page.match(/<rect /g)?.length, 2);
  assert.ok(page.includes('net &lt;1&gt; &amp; &quot;co&quot;'));
  assert.ok(!page.includes('<1>') && page.includes('<title>a &lt; b</title>'));
  assert.ok(!/https?:|<script/.test(page), 'it needs nothing else');
});
