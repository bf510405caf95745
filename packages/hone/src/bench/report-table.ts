/** A report as rows of a text table, and the lines below it. */
import { type BenchReport, type BenchRow, isWrong } from './report.ts';

export interface ReportTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly align: readonly ('left' | 'right')[];
  /** What goes below the table. */
  readonly lines: readonly string[];
}

interface Column {
  readonly title: string;
  readonly cell: (row: BenchRow) => string;
  readonly left?: true;
  /** Left out where no row fulfils it. */
  readonly when?: (row: BenchRow) => boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'model', cell: (row) => row.model, left: true },
  { title: 'engine', cell: (row) => row.engine, left: true },
  {
    title: 'type',
    cell: (row) => row.precision,
    left: true,
    when: (row) => row.precision !== 'fp32',
  },
  { title: 'batch', cell: (row) => `${row.batch}`, when: (row) => row.batch !== 1 },
  { title: 'in flight', cell: (row) => `${row.concurrency}`, when: (row) => row.concurrency !== 1 },
  { title: 'p50 ms', cell: (row) => milliseconds(row.p50_ms) },
  { title: 'spread', cell: (row) => `${row.spread_percent.toFixed(0)}%` },
  { title: 'p99 ms', cell: (row) => milliseconds(row.p99_ms) },
  { title: 'items/s', cell: (row) => milliseconds(row.throughput_avg) },
  { title: 'GFLOP/s', cell: (row) => row.gflops.toFixed(1) },
  {
    title: '% of peak',
    cell: (row) => (row.percent_of_peak === null ? '-' : row.percent_of_peak.toFixed(0)),
  },
  { title: 'memory', cell: (row) => `${(row.peak_rss_bytes / 2 ** 20).toFixed(0)} MiB` },
  { title: 'open ms', cell: (row) => milliseconds(row.open_ms) },
  { title: 'first ms', cell: (row) => milliseconds(row.first_run_ms) },
  {
    title: 'error',
    cell: (row) =>
      row.max_error_of_scale === null ? '-' : row.max_error_of_scale.toExponential(0),
    when: (row) => row.max_error_of_scale !== null,
  },
  {
    title: 'ratio',
    cell: ratioText,
    when: (row) => row.ratio_to_baseline !== null,
  },
  { title: '', cell: remarks, left: true, when: (row) => remarks(row) !== '' },
];

export function reportTable(report: BenchReport): ReportTable {
  const { results } = report;
  const columns = COLUMNS.filter(({ when }) => when === undefined || results.some(when));
  return {
    header: columns.map((column) => column.title),
    rows: results.map((row) => columns.map((column) => column.cell(row))),
    align: columns.map((column) => (column.left ? 'left' : 'right')),
    lines: summaryLines(report),
  };
}

/** Milliseconds (or a rate) with three significant figures. */
export function milliseconds(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function ratioText(row: BenchRow): string {
  if (row.ratio_to_baseline === null) return '-';
  const text = row.ratio_to_baseline.toFixed(2);
  if (row.engine !== 'hone' || row.ratio_low === null || row.ratio_high === null) return text;
  return `${text} (${row.ratio_low.toFixed(2)}-${row.ratio_high.toFixed(2)})`;
}

function remarks(row: BenchRow): string {
  return [
    ...(isWrong(row) ? ['OUTPUTS DIFFER'] : []),
    ...(row.outputs_equal === false && !isWrong(row) ? ['outputs sensitive to rounding'] : []),
    ...(row.disturbed ? ['machine busy'] : []),
  ].join(', ');
}

/** What our rows are compared with. */
export function baselineOf(results: readonly BenchRow[]): string {
  return results.find(({ engine }) => engine !== 'hone')?.engine ?? 'onnxruntime';
}

function summaryLines({
  machine,
  results,
  failures,
  geometric_mean,
  notes,
}: BenchReport): string[] {
  const { peak } = machine;
  const rate = (value: number | null): string => (value === null ? 'none' : value.toFixed(0));
  const windows = results.filter((row) => row.engine === 'hone');
  const sum = (of: (row: BenchRow) => number): number => windows.reduce((n, row) => n + of(row), 0);
  return [
    ...(geometric_mean === null
      ? []
      : [`geometric mean of the ratios to ${baselineOf(results)}: ${geometric_mean.toFixed(3)}`]),
    `${machine.cpu}, ${machine.threads} thread${machine.threads === 1 ? '' : 's'}${
      peak === null
        ? ''
        : `; peak measured: fp32 ${rate(peak.fp32_gflops)}, bf16 ${rate(peak.bf16_gflops)} GFLOP/s, int8 ${rate(peak.int8_gops)} GOP/s, memory ${rate(peak.read_gbytes_per_second)} GB/s`
    }`,
    `${sum((row) => row.discarded_windows)} of ${sum((row) => row.windows)} windows discarded: the machine was busy`,
    ...notes.map((note) => `note: ${note}`),
    ...failures.flatMap((failure) => [
      `FAILED ${failure.model}: ${failure.code}: ${failure.message}`,
      ...(failure.cure === null ? [] : [`  cure: ${failure.cure}`]),
    ]),
  ];
}
