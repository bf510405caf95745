/**
 * The page of an advice: the answer first, then what it rests on. One file, readable without its
 * script, on paper, and with a screen reader: every picture has its figures in a table or a text.
 */
import type { AdviceView, CandidateView, QueueFunctions } from './advice-view.ts';
import { asGiven, choiceRow } from './choices.ts';
import { explorerScript } from './explore-page.ts';
import { type Column, printPage, printTable, printTiles, type Section } from './page.ts';
import { markForm, paretoChart } from './pareto.ts';
import { rooflineFigure } from './roofline.ts';
import { detailSections } from './advice-details.ts';
import { escapeHtml, milliseconds, money, percent, rate } from './text.ts';

export interface AdvicePageOptions {
  /** When it was made: YYYY-MM-DD. */
  readonly date: string;
  readonly version: string;
}

const CHOICE_COLUMNS: readonly Column[] = [
  { title: 'Instances', kind: 'text' },
  { title: 'Setting', kind: 'text' },
  { title: 'Basis', kind: 'text' },
  { title: 'P50', kind: 'number', long: 'median latency' },
  { title: 'P99', kind: 'number', long: '99th percentile of latency' },
  { title: 'Per hour', kind: 'number' },
  { title: 'Per million', kind: 'number', long: 'cost of a million inferences' },
  { title: 'Throughput', kind: 'number', long: 'of one instance; usable: while the limits hold' },
  { title: 'Load', kind: 'number', long: 'share of what all instances could do' },
  { title: 'Memory', kind: 'number' },
];
const MOST_ROOFLINES = 6;
/** In table and picture; the sliders choose among all. */
const MOST_ROWS = 24;

export function adviceHtml(
  advice: AdviceView,
  queue: QueueFunctions,
  options: AdvicePageOptions,
): string {
  const { rows, alternatives, demand, currency } = advice;
  // A batch job without a load takes as much as it gets: nothing to move there.
  const isOpenEnded = demand.offline && !demand.throughput_given;
  const data = {
    candidates: [...rows, ...alternatives],
    demand,
    currency,
    mostRows: MOST_ROWS,
    columns: CHOICE_COLUMNS.map(({ kind }) => ({ kind })),
  };
  const sections: Section[] = [
    ...(rows.length === 0 ? [] : choiceSections(advice)),
    ...detailSections(advice),
  ];
  return printPage({
    title: `Where to run ${advice.model}`,
    head: headOf(advice),
    sections,
    foot: `<p>Made by <code>hone advise</code> ${escapeHtml(options.version)} on ${escapeHtml(options.date)}. This page is one file: it loads nothing and sends nothing.</p>`,
    ...(rows.length === 0 || isOpenEnded ? {} : { script: explorerScript(data, queue) }),
  });
}

function headOf(advice: AdviceView): string {
  const { model, rows, currency } = advice;
  const [best] = rows;
  const title = `<p class="kicker">Hardware advice</p>\n<h1>Where to run ${escapeHtml(model)}</h1>`;
  if (best === undefined) {
    const { nearest } = advice;
    const instead =
      nearest?.instead == null ? '' : `<pre><code>${escapeHtml(nearest.instead)}</code></pre>`;
    return `${title}
<p class="lead"><strong>Nothing meets this demand.</strong> ${escapeHtml(nearest?.reason ?? '')}</p>
${instead === '' ? '' : `<p>The nearest demand that can be met:</p>${instead}`}
${factsOf(advice)}`;
  }
  return `${title}
<p class="lead">${verdict(advice, best)}</p>
${printTiles([
  {
    name: 'Cost per hour',
    value: money(best.per_hour, currency),
    remark: `${best.instances} × ${money(best.price_per_hour, currency)}`,
  },
  {
    name: 'Per million inferences',
    value: money(best.per_million, currency),
    ...(advice.demand.throughput_given
      ? { remark: `at ${rate(advice.demand.throughput_per_s)}` }
      : {}),
  },
  {
    name: 'P99 latency',
    value: milliseconds(best.p99_ms.value),
    remark: `${milliseconds(best.p99_ms.low)} to ${milliseconds(best.p99_ms.high)}, ${best.basis}`,
  },
  {
    name: 'In use',
    value: percent(best.utilisation),
    remark: `${rate(best.usable_per_s)} usable on each`,
  },
])}
${factsOf(advice)}`;
}

function verdict({ rows, currency, demand }: AdviceView, best: CandidateView): string {
  const count = best.instances === 1 ? 'One' : `${best.instances}`;
  const name = `${escapeHtml(best.instance)}${best.accelerator === null ? '' : ` (${escapeHtml(best.accelerator)})`}`;
  const how = `${escapeHtml(best.precision)} in batches of ${best.batch}`;
  const second = rows[1];
  const more =
    second === undefined
      ? ''
      : demand.goal === 'latency'
        ? ` Next is ${escapeHtml(second.instance)} with ${milliseconds(second.p99_ms.value)}.`
        : ` Next is ${escapeHtml(second.instance)} at ${money(second.per_hour, currency)}, ${percent(second.per_hour / best.per_hour - 1)} more.`;
  const goal = demand.goal === 'latency' && !demand.offline ? 'quickest' : 'cheapest';
  return `<strong>${count} ${name}</strong>, running ${how}, is the ${goal} way to meet this demand.${more}`;
}

/** What was asked for, and of what model. */
function factsOf({ model, demand, work }: AdviceView): string {
  const limits = Object.entries(demand.latency_ms).map(
    ([name, ms]) => `P${name} ≤ ${milliseconds(ms)}`,
  );
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Latency', demand.offline ? 'nobody waits: offline' : limits.join(', ') || 'no limit given'],
    [
      'Load',
      demand.throughput_given
        ? rate(demand.throughput_per_s)
        : `not given; ${rate(demand.throughput_per_s)} stands in`,
    ],
    [
      'Budget',
      demand.budget_per_hour === null
        ? undefined
        : `${money(demand.budget_per_hour, 'USD')} an hour`,
    ],
    [
      'Accuracy',
      demand.accuracy === null ? undefined : `at least ${percent(demand.accuracy)} of answers stay`,
    ],
    ['Framework', demand.framework ?? undefined],
    ['Hardware', demand.hardware.length === 0 ? undefined : demand.hardware.join(', ')],
    [
      'Priced as',
      `${demand.service === 'ec2' ? 'EC2' : 'SageMaker'}, ${demand.region}, ${demand.payment}`,
    ],
    [
      'Model',
      `${model}: ${giga(work.flops)} operations and ${mega(work.bytes)} moved for one item, ${mega(work.parameter_bytes)} of parameters`,
    ],
  ];
  const items = facts.flatMap(([name, text]) =>
    text === undefined ? [] : [`<dt>${name}</dt><dd>${escapeHtml(text)}</dd>`],
  );
  return `<dl class="facts">${items.join('')}</dl>`;
}

function giga(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} G` : `${(count / 1e6).toFixed(1)} M`;
}

function mega(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

function choiceSections(advice: AdviceView): Section[] {
  const { rows, alternatives, demand, currency } = advice;
  const p99 = demand.latency_ms['99'];
  const chart = paretoChart(rows.slice(0, MOST_ROWS).map(asGiven), alternatives.map(asGiven), {
    p99_ms: p99 === undefined || demand.offline ? null : p99,
    per_hour: demand.budget_per_hour,
    currency,
  });
  const table = printTable(
    'Ways to meet the demand, best first; one row for each type of instance',
    CHOICE_COLUMNS,
    rows.slice(0, MOST_ROWS).map((row, place) => choiceRow(asGiven(row), place, currency)),
    'choices',
  );
  const more =
    rows.length > MOST_ROWS
      ? `<p class="soft small">${rows.length - MOST_ROWS} more that meet the demand follow; <code>--json</code> lists them.</p>`
      : '';
  const roofs = rows
    .filter(({ roofline }) => roofline.flops > 0 && roofline.bytes > 0)
    .slice(0, MOST_ROOFLINES);
  return [
    {
      id: 'compare',
      title: 'Cost against latency',
      html: `<p class="soft">Down and to the left is better. The line joins what nothing beats in both, with the interval of each estimate; faint marks are other settings.</p>
${explorer(advice)}
<figure><div class="scroll" role="region" tabindex="0" aria-label="Cost against latency"><div id="pareto">${chart}</div></div>
${legend(rows)}</figure>`,
    },
    { id: 'ranked', title: 'Choices', html: `${table}${more}` },
    ...(roofs.length === 0
      ? []
      : [
          {
            id: 'rooflines',
            title: 'What the hardware could do',
            html: `<p class="soft">The roof is what a device can do with work of a given density: memory limits the slope, arithmetic the flat part. The mark is this model; the figure beside it, its share of the roof above.</p>
<div class="multiples">${roofs.map(rooflineFigure).join('\n')}</div>`,
          },
        ]),
  ];
}

/** The sliders; hidden until the script that moves them runs. */
function explorer({ demand, rows }: AdviceView): string {
  const slider = (id: string, label: string): string =>
    `<div><label for="${id}">${label} <output id="${id}-value" for="${id}"></output></label><input type="range" id="${id}" min="-100" max="100" step="1" value="0"></div>`;
  const [best] = rows;
  const limits = !demand.offline && Object.keys(demand.latency_ms).length > 0;
  const hasPredictions = rows.some(({ basis }) => basis !== 'measured');
  const count = best !== undefined && best.instances > 1 ? ` ×${best.instances}` : '';
  return `<div class="controls" id="explorer" role="group" aria-label="Change the demand" hidden>
${slider('load', 'Load')}
${limits ? slider('limit', 'Latency limit') : ''}
${hasPredictions ? slider('error', 'Prediction error') : ''}
<div class="answer"><p id="answer" aria-live="polite">As asked for: <strong>${escapeHtml(best?.instance ?? '')}${count}</strong></p><button type="button" id="reset">Reset</button></div>
</div>`;
}

const KINDS: Readonly<Record<string, string>> = {
  cpu: 'CPU',
  gpu: 'GPU',
  neuron: 'Neuron chip',
  attached: 'attached accelerator',
};

function legend(rows: readonly CandidateView[]): string {
  const icon = (kind: string, basis: string): string =>
    `<svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true"><g class="${kind}">${markForm(kind, basis, 9, 9, 5.5)}</g></svg>`;
  const kinds = Object.keys(KINDS).filter((kind) =>
    rows.some((row) => row.accelerator_kind === kind),
  );
  const bases: readonly (readonly [string, string])[] = [
    ['measured', 'measured on this machine type'],
    ['predicted', 'predicted'],
    ['extrapolated', 'extrapolated: no public figures, wide interval'],
  ];
  const items = [
    ...kinds.map((kind) => `<li>${icon(kind, 'measured')}${KINDS[kind]}</li>`),
    ...bases
      .filter(([basis]) => rows.some((row) => row.basis === basis))
      .map(([basis, text]) => `<li>${icon(kinds[0] ?? 'cpu', basis)}${text}</li>`),
  ];
  return `<ul class="legend" aria-label="Marks">${items.join('')}</ul>`;
}
