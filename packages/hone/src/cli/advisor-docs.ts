/** How good the performance model is, as tables: for `hone catalogue --fit` and docs/advisor.md. */
import { MEASURE_DOCS } from './advisor-docs-measure.ts';
import type {
  ErrorSummary,
  FittedModel,
  GroupErrors,
  Validation,
} from '../advisor/fitted-model.ts';
import { type Align, formatTable } from './table.ts';

const HEADER = ['left out', 'rows', 'kernels: latency', 'whole: throughput', 'whole: latency'];
const ALIGN: readonly Align[] = ['left', 'right', 'right', 'right', 'right'];

/** Lines for people. */
export function modelTables(model: FittedModel): string[] {
  const table = (validation: Validation): string[] =>
    formatTable(HEADER, rowsOf(validation), ALIGN);
  return [
    `${model.used} of ${model.rows} measurements; median | 90th percentile of the absolute error (and of a roofline with one constant efficiency)`,
    '',
    'one accelerator left out',
    ...table(model.byAccelerator),
    '',
    'one family of topologies left out',
    ...table(model.byFamily),
    '',
    ownLine(model),
    ...orderLines(model),
  ];
}

function ownLine({ own }: FittedModel): string {
  return `Hone on the machine of its bench, each network predicted without its family: ${summaryText(own)}`;
}

function rowsOf({ groups, all }: Validation): string[][] {
  return [...groups, { ...all, group: 'all that are judged' }].map(rowOf);
}

function rowOf(errors: GroupErrors): string[] {
  return [
    errors.group,
    `${errors.rows}`,
    summaryText(errors.kernelLatency),
    summaryText(errors.wholeThroughput),
    summaryText(errors.wholeLatency),
  ];
}

function summaryText(summary: ErrorSummary | null): string {
  if (summary === null) return '-';
  const { median, p90, baselineMedian, baselineP90, count } = summary;
  return `${percent(median)} | ${percent(p90)} (${percent(baselineMedian)} | ${percent(baselineP90)}), n ${count}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function orderLines({ order }: FittedModel): string[] {
  const line = (what: string, { pairs, right }: FittedModel['order']['cost']): string =>
    `order of ${what}: ${right} of ${pairs} pairs right (${percent(right / Math.max(1, pairs))})`;
  return [line('throughput', order.throughput), line('cost per inference', order.cost)];
}

const NOTICE = '<!-- Made by `npm run docs` from packages/hone/data/model.json. Do not edit. -->';

/** docs/advisor.md. */
export function renderAdvisorDocs(model: FittedModel): string {
  const markdown = (validation: Validation): string[] => [
    `| ${HEADER.join(' | ')} |`,
    '| --- | ---: | ---: | ---: | ---: |',
    ...rowsOf(validation).map(
      (row) => `| ${row.map((cell) => cell.replaceAll(' | ', ' / ')).join(' | ')} |`,
    ),
  ];
  return `${[
    NOTICE,
    '',
    '# The advisor',
    '',
    '`hone advise MODEL --sla p99=20ms --throughput 500/s` answers which hardware to rent. It looks at',
    'the stages of the model, predicts what each machine of the catalogue would do, drops what breaks a',
    'limit, and ranks the rest by cost at the requested load.',
    '',
    '## Where the figures are from',
    '',
    'Machines, accelerators and prices are tables in `packages/hone/data`; every figure names a source',
    'with its date and worth (published, community, derived, estimated). `hone catalogue` prints them,',
    '`hone catalogue --check` checks them, `--prices FILE` puts your prices in their place. Prices older',
    'than half a year are said to be stale.',
    '',
    `The performance model is fitted to ${model.used} of ${model.rows} measurements in \`measured.csv\` and`,
    '`measured-hone.csv` (`npm run fit`, the same as `hone catalogue --fit`). The others are of networks that',
    'cannot be rebuilt (perceivers, YOLOv4, YOLO26, CLIP), of unnamed machines, or do not say how many',
    'threads they used.',
    '',
    '## The model',
    '',
    '- A stage takes the hypotenuse of its arithmetic time and its memory time, plus a fixed time. Eager',
    '  engines run the graph unfused, with batch normalisation apart, and are paced by the host.',
    '- Arithmetic runs at the peak of the precision times efficiencies by kind of work, engine, release and',
    '  chip. How much of the peak a chip holds is estimated from its data sheet: base over boost clock,',
    '  watts for a TFLOPS, year. int8 falls back to fp16 where that is quicker.',
    '- Memory runs at the bandwidth times such efficiencies; what fits into the last cache costs less.',
    '- Whole servers add a fixed time for a call and a time for a gigabyte of inputs and outputs.',
    '- Effects of engines, releases and chips are pooled: they have normal priors and are small unless the',
    '  data insist. Errors have heavy tails. Parameters with their standard errors are in `model.json`.',
    '- Operators that a device lacks run on its host: CPU time, and a transfer at each crossing.',
    '- Latency under load: a queue of random arrivals for lanes of fixed service time (`advisor/queue.ts`).',
    '',
    'How sources were read: where a source computed throughput from latency, only the latency counts.',
    'Averages that the source says are spoilt by the host are not used as latencies. Where the number in',
    'flight is not given, or cannot be right (Neuron), it follows from throughput and latency (Little),',
    'so the latency of such a row is not independent of its throughput. Servers that gather requests',
    'are taken to work on half of those in flight. MLPerf offline rows are taken at batch 128. Inputs of',
    'BERT in MLPerf are taken at 180 tokens, the mean of SQuAD, for padding is removed there. EfficientNet-B4',
    'is taken at its own 380 × 380.',
    '',
    '## How good it is',
    '',
    'Absolute error, median and 90th percentile, of predictions by a fit that has seen nothing of what is',
    'left out but its data sheet or its graph; in parentheses the same of a roofline with one constant',
    'efficiency. "Kernels": the source timed the device alone. "Whole": a loop or a server, with copies.',
    '',
    'One accelerator left out (those with fewer than 8 usable rows are shown, and not part of the last line):',
    '',
    ...markdown(model.byAccelerator),
    '',
    'One family of topologies left out:',
    '',
    ...markdown(model.byFamily),
    '',
    'Pairs of accelerators with public figures for the same setting that differ by more than 10 %, predicted',
    'with each accelerator left out:',
    '',
    ...orderLines(model).map((line) => `- ${line}`),
    '',
    `${ownLine(model)}.`,
    '`npm run bench:advisor` compares predictions with measurements on this machine, from a probe of its peaks;',
    '`--precision bf16` and `--precision int8` do so for these.',
    '',
    ...MEASURE_DOCS,
    '## What it cannot do',
    '',
    '- The form of the model and its priors were chosen while looking at such tables: they flatter it a little.',
    '- Inferentia, left out, is off by more than half: nothing else runs its compiler, and its own public',
    '  rows for one network differ 2.4 times by release. With its rows in the fit it is as good as others.',
    '- Inferentia2, left out, is known only through the eight rows of Trainium, all of them transformers; there',
    '  the constant roofline does better. A100, left out: the worst latencies are those of EfficientNet in',
    '  PyTorch, which only A100 has rows of.',
    '- EfficientNet, left out, is off by half: no other published topology has depthwise convolutions. VGG,',
    '  left out, is three quarters fully connected weights, which nothing else shows on Inferentia2.',
    '- Processors for rent, A10G, K80 and Elastic Inference have no public rows at all: their figures are',
    '  marked "extrapolated", with an interval half as wide again as that of left-out accelerators. On',
    '  processors the fit knows Hone in fp32 alone; bf16 and int8 follow from the peaks',
    '  (`npm run bench:advisor -- --precision int8` compares).',
    "- Hone's own rows are of one machine on one day (`measured-hone.csv`); after changes of kernels",
    '  `npm run bench:advisor -- --save` and `npm run fit` renew them.',
    '- A model whose file fixes its first dimension is compared at batch 1 alone.',
    '- The interval holds 80 % of the left-out predictions: a factor of',
    `  ${Math.exp(model.spread.known.latency).toFixed(2)} for chips with rows, ${Math.exp(model.spread.processor.latency).toFixed(2)} for Hone on the machine of its bench.`,
  ].join('\n')}\n`;
}
