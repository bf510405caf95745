/** The later sections of an advice: what it hangs on, where time goes, what was ruled out and why. */
import type { AdviceView, CandidateView } from './advice-view.ts';
import { printTable, type Row, type Section } from './page.ts';
import { escapeHtml, factor, milliseconds, money, percent, rate } from './text.ts';

export function detailSections(advice: AdviceView): Section[] {
  return [
    ...timeSection(advice),
    ...measuredSection(advice),
    ...sensitivitySection(advice),
    ...priceSection(advice),
    ...ruledOutSection(advice),
    ...nextSection(advice),
    ...notesSection(advice),
  ];
}

const MOST_ROWS = 12;
const PARTS = [
  ['compute_ms', 'Arithmetic'],
  ['memory_ms', 'Memory'],
  ['launch_ms', 'Launches'],
  ['transfer_ms', 'Copies'],
  ['fallback_ms', 'On the CPU'],
  ['network_ms', 'Network'],
] as const;

function timeSection({ rows }: AdviceView): Section[] {
  const shown = PARTS.filter(([key]) => rows.some(({ parts }) => parts[key] > 0));
  if (rows.length === 0 || shown.length === 0) return [];
  const total = (row: CandidateView): number =>
    PARTS.reduce((sum, [key]) => sum + row.parts[key], 0);
  const lines = rows.slice(0, MOST_ROWS).map((row): Row => {
    const all = total(row);
    return {
      cells: [
        `${escapeHtml(row.instance)} <small>${escapeHtml(row.precision)}, batch ${row.batch}</small>`,
        ...shown.map(([key]) => {
          const ms = row.parts[key];
          return ms > 0 ? `${milliseconds(ms)} <small>${percent(ms / all)}</small>` : '–';
        }),
        `<strong>${milliseconds(all)}</strong>`,
      ],
    };
  });
  const columns = [
    { title: 'Instance', kind: 'text' as const },
    ...shown.map(([, title]) => ({ title, kind: 'number' as const })),
    { title: 'Together', kind: 'number' as const },
  ];
  const html = printTable(
    'Time of one batch with nothing else in the way, and its parts',
    columns,
    lines,
  );
  return [{ id: 'time', title: 'Where the time goes', html }];
}

function measuredSection({ measurements = [] }: AdviceView): Section[] {
  if (measurements.length === 0) return [];
  const table = printTable(
    'What was timed, beside what was predicted before',
    [
      { title: 'Machine', kind: 'text' },
      { title: 'Setting', kind: 'text' },
      { title: 'P50', kind: 'number' },
      { title: 'P99', kind: 'number' },
      { title: 'Throughput', kind: 'number' },
      { title: 'Predicted', kind: 'number' },
      { title: 'Off by', kind: 'number' },
      { title: 'When', kind: 'text' },
    ],
    measurements.map((one) => ({
      cells: [
        `${escapeHtml(one.machine)}<br><small>${one.by === 'here' ? 'this machine' : `by ${escapeHtml(one.by)}`}</small>`,
        `${escapeHtml(one.precision)}, batch ${one.batch}<br><small>${one.lanes} in flight</small>`,
        milliseconds(one.p50_ms),
        milliseconds(one.p99_ms),
        rate(one.throughput_per_s),
        one.predicted_ms === null ? '–' : milliseconds(one.predicted_ms),
        one.predicted_ms === null ? '–' : percent(Math.abs(one.predicted_ms / one.p50_ms - 1)),
        `${escapeHtml(one.measured_at.slice(0, 10))}${one.disturbed ? '<br><small>the machine was busy</small>' : ''}`,
      ],
    })),
  );
  return [{ id: 'measured', title: 'Measured', html: table }];
}

function sensitivitySection({ sensitivity, currency, demand }: AdviceView): Section[] {
  if (sensitivity.length === 0) return [];
  const next = sensitivity.find((point) => point.throughput_per_s > demand.throughput_per_s);
  const told =
    next === undefined
      ? ''
      : `<p>The choice holds until ${rate(next.throughput_per_s)}; from there ${escapeHtml(next.instance)} wins.</p>`;
  const table = printTable(
    'Which choice wins as the load grows',
    [
      { title: 'From a load of', kind: 'text' },
      { title: 'the choice is', kind: 'text' },
      { title: 'Per hour', kind: 'number' },
    ],
    sensitivity.map((point) => ({
      cells: [
        rate(point.throughput_per_s),
        times(point.instance, point.instances),
        money(point.per_hour, currency),
      ],
    })),
  );
  return [{ id: 'sensitivity', title: 'How sure the choice is', html: `${told}${table}` }];
}

function priceSection({ sla_price: prices, currency }: AdviceView): Section[] {
  const seen = new Set<string>();
  const different = prices.filter(({ latency_factor: latency, throughput_factor: load }) => {
    const key = `${latency} ${load}`;
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
  if (different.length === 0) return [];
  const table = printTable(
    'The cheapest choice where limits or load are a factor of what was asked for',
    [
      { title: 'Latency limits', kind: 'text' },
      { title: 'Load', kind: 'text' },
      { title: 'Choice', kind: 'text' },
      { title: 'Per hour', kind: 'number' },
      { title: 'Per million', kind: 'number' },
    ],
    different.map((one) => {
      const { latency_factor: latency, throughput_factor: load, instance } = one;
      const asked = latency === 1 && load === 1;
      return {
        cells: [
          latency === 1 ? 'as asked' : factor(latency),
          load === 1 ? 'as asked' : factor(load),
          instance === null ? 'nothing' : times(instance, one.instances),
          one.per_hour === null ? '–' : money(one.per_hour, currency),
          one.per_million === null ? '–' : money(one.per_million, currency),
        ],
        ...(asked ? { mark: 'best' as const } : {}),
      };
    }),
  );
  return [{ id: 'sla', title: 'The price of the demand', html: table }];
}

function ruledOutSection({ ruled_out: ruledOut }: AdviceView): Section[] {
  if (ruledOut.length === 0) return [];
  const table = printTable(
    'Instances that cannot meet the demand in any setting',
    [
      { title: 'Instance', kind: 'text' },
      { title: 'By', kind: 'text' },
      { title: 'Off by', kind: 'number' },
      { title: 'Why', kind: 'text' },
    ],
    ruledOut.map(({ instance, constraint, reason, excess }) => ({
      cells: [
        escapeHtml(instance),
        escapeHtml(constraint),
        excess === null ? '–' : factor(excess),
        `<span class="reason">${escapeHtml(reason)}</span>`,
      ],
    })),
  );
  return [{ id: 'ruled-out', title: 'Ruled out', html: table }];
}

function nextSection({ compile }: AdviceView): Section[] {
  if (compile === null) return [];
  const html = `<p>Compile the model for the first choice:</p><pre><code>${escapeHtml(compile)}</code></pre>`;
  return [{ id: 'next', title: 'Next', html }];
}

function notesSection({ notes, rows, currency }: AdviceView): Section[] {
  const own = rows.flatMap((row) => row.notes.map((note) => `${row.instance}: ${note}`));
  const prices = rows.flatMap((row) =>
    row.price_note === null ? [] : [`${row.instance}: ${row.price_note}`],
  );
  const costs = rows.flatMap(({ fallback, instance }) =>
    fallback === null
      ? []
      : [
          `${instance}: ${fallback.nodes} operators (${fallback.ops.join(', ')}) run on the CPU, which costs ${money(fallback.usd_per_million, currency)} of every million inferences`,
        ],
  );
  const all = [...new Set([...notes, ...own, ...costs, ...prices])];
  const dates = [...new Set(rows.map((row) => row.price_date))].sort();
  const dated =
    dates.length === 0
      ? []
      : [`Prices are of ${dates.length > 1 ? `${dates[0]} to ${dates.at(-1)}` : dates[0]}.`];
  const how =
    'Predicted figures are computed from the model and the published limits of the hardware, with the interval that holds in four of five cases; measured ones were timed.';
  const html = `<ul class="notes">${[how, ...dated, ...all].map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul>`;
  return [{ id: 'notes', title: 'Notes', html }];
}

function times(instance: string, count: number): string {
  return `${escapeHtml(instance)}${count > 1 ? ` ×${count}` : ''}`;
}
