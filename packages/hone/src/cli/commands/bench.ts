/** `hone bench`: latency and throughput of models and artifacts, beside another engine. */
import { basename } from 'node:path';
import { type ErrorCode, HoneError } from 'hone-runtime/base/diagnostics';
import { type BenchJob, runBench } from '../../bench/bench.ts';
import { isGood } from '../../bench/report.ts';
import { reportHtml } from '../../bench/report-html.ts';
import { reportTable } from '../../bench/report-table.ts';
import type { Invocation, Outcome } from '../command.ts';
import { detectModel } from '../model-path.ts';
import { badValue, type OptionReader } from '../option-reader.ts';
import { prepareArtifact } from '../prepare.ts';
import { formatTable } from '../table.ts';
import { writePage } from '../write-page.ts';

export async function run(invocation: Invocation): Promise<Outcome> {
  const { args, options, log, progress } = invocation;
  const baseline = options.text('baseline');
  if (baseline !== undefined && baseline !== 'onnxruntime') {
    badValue('baseline', baseline, 'the only other engine is onnxruntime');
  }
  const threads = options.integer('threads', 1, 256);
  const concurrency = options.integers('concurrency', 1);
  const durationMs = options.duration('duration');
  const html = options.text('html');
  const kinds = args.map(detectModel);
  const batches = options.integers('batch', 1);
  const jobs = args.flatMap((path, index): BenchJob[] =>
    (batches ?? [undefined]).map((batch) => ({
      model: basename(path),
      async prepare() {
        const options = withBatch(invocation.options, batch);
        const begin = performance.now();
        const { folder, origin, target } = await prepareArtifact(
          path,
          { ...invocation, options },
          'random',
        );
        if (target !== undefined) badValue('target', target, 'artifacts are measured as they load');
        return {
          model: basename(path),
          artifact: folder,
          ...(kinds[index] === 'model' ? { onnx: path } : {}),
          ...(origin === 'compiled' ? { compileSeconds: (performance.now() - begin) / 1000 } : {}),
        };
      },
    })),
  );
  const report = await runBench(jobs, {
    ...(threads === undefined ? {} : { threads }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(baseline === undefined ? {} : { baseline }),
    progress,
    log,
  });
  const [failure] = report.failures;
  if (failure !== undefined && report.results.length === 0) {
    const { code, message, cure, model } = failure;
    const rest = cure === null ? {} : { cure };
    throw new HoneError({ code: code as ErrorCode, message, subject: model, ...rest });
  }
  if (html !== undefined) writePage(html, reportHtml(report));
  const table = reportTable(report);
  const rows =
    report.results.length === 0 ? [] : formatTable(table.header, table.rows, table.align);
  return {
    json: { ...report },
    text: [...rows, ...table.lines],
    exitCode: isGood(report) ? 0 : 1,
  };
}

/** The options with one of the batch sizes, where several were given. */
function withBatch(options: OptionReader, batch: number | undefined): OptionReader {
  if (batch === undefined) return options;
  return {
    ...options,
    text: (name) => (name === 'batch' ? `${batch}` : options.text(name)),
    integer: (name, min, max) => (name === 'batch' ? batch : options.integer(name, min, max)),
  };
}
