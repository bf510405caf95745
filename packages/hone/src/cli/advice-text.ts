/** Advice for people: the table, what was ruled out, how firm the choice is, and what it costs. */
import type { Advice, AdviceRow, Demand, Estimate } from '../advisor/advice-types.ts';
import { type Align, formatBytes, formatCount, formatTable } from './table.ts';

const MOST_ROWS = 12;

export function adviceText(advice: Advice): string[] {
  const { demand, rows, work } = advice;
  return [
    `${advice.model}: ${formatCount(work.flops)} operations and ${formatBytes(work.bytes)} of traffic an item, ${formatBytes(work.parameter_bytes)} of parameters`,
    `asked for: ${demandText(demand, advice.currency)}`,
    '',
    ...(rows.length === 0 ? nothingText(advice) : tableText(advice)),
    ...winnerText(advice),
    ...ruledOutText(advice),
    ...sensitivityText(advice),
    ...slaText(advice),
    ...advice.notes.map((note) => `note: ${note}`),
    ...(advice.compile === null ? [] : ['', `compile for it:  ${advice.compile}`]),
  ];
}

function demandText(demand: Demand, currency: string): string {
  const parts = [
    ...Object.entries(demand.latency_ms).map(([percentile, ms]) => `p${percentile} ≤ ${ms} ms`),
    demand.offline && !demand.throughput_given
      ? 'a batch job: throughput for money'
      : `${number(demand.throughput_per_s)} items/s`,
    ...(demand.budget_per_hour === null
      ? []
      : [`at most ${demand.budget_per_hour.toFixed(2)} ${currency} an hour`]),
    ...(demand.accuracy === null
      ? []
      : [`${(100 * demand.accuracy).toFixed(1)} % of answers kept`]),
    ...(demand.framework === null ? [] : [demand.framework]),
    `${demand.service}, ${demand.region}, ${demand.payment}`,
  ];
  return parts.join('; ');
}

function tableText({ rows, currency, demand }: Advice): string[] {
  const align: Align[] = [
    'right',
    'left',
    'left',
    'left',
    ...Array<Align>(9).fill('right'),
    'left',
  ];
  return [
    ...formatTable(
      [
        '#',
        'instances',
        'device',
        'precision',
        'batch',
        'in flight',
        'p50 ms',
        'p99 ms (80 % interval)',
        'items/s each',
        'used',
        `${currency}/h`,
        `${currency}/million`,
        'memory',
        'basis',
      ],
      rows
        .slice(0, MOST_ROWS)
        .map((row) => [
          `${row.rank}`,
          `${row.instances} × ${row.instance}`,
          row.accelerator ?? 'processor',
          row.precision,
          `${row.batch}`,
          `${row.concurrency}`,
          short(row.p50_ms.value),
          interval(row.p99_ms),
          number(row.throughput_per_s.value),
          `${(100 * row.utilisation).toFixed(0)} %`,
          row.per_hour.toFixed(3),
          row.per_million < 0.01 ? row.per_million.toPrecision(2) : row.per_million.toFixed(2),
          `${formatBytes(row.memory_bytes)} of ${formatBytes(row.memory_capacity_bytes)}`,
          row.fallback === null
            ? row.basis
            : `${row.basis}, ${row.fallback.ops.join(' ')} on the CPU`,
        ]),
      align,
    ),
    ...(rows.length > MOST_ROWS ? [`… and ${rows.length - MOST_ROWS} more (--json has them)`] : []),
    ...(demand.goal === 'latency' ? ['quickest first; with --sla the cheapest comes first'] : []),
    '',
  ];
}

function winnerText({ rows }: Advice): string[] {
  const [winner] = rows;
  if (winner === undefined) return [];
  const { parts, station } = winner;
  const share = (ms: number): string =>
    `${((100 * ms) / (station.service_ms + station.network_ms)).toFixed(0)} %`;
  return [
    `${winner.instance}: a batch takes ${short(station.service_ms)} ms: arithmetic ${share(parts.compute_ms)}, memory ${share(parts.memory_ms)}, launches ${share(parts.launch_ms)}, copies and calls ${share(parts.transfer_ms)}${parts.fallback_ms > 0 ? `, CPU fallback ${share(parts.fallback_ms)}` : ''}${parts.network_ms > 0 ? `, network ${share(parts.network_ms)}` : ''}`,
    ...fallbackText(winner),
    ...winner.notes.map((note) => `  ${note}`),
    ...(winner.price_note === null ? [] : [`  ${winner.price_note}`]),
  ];
}

function fallbackText({ fallback }: AdviceRow): string[] {
  if (fallback === null) return [];
  return [
    `  ${fallback.nodes} nodes (${fallback.ops.join(', ')}) run on the CPU: ${short(fallback.cpu_ms)} ms, and ${short(fallback.transfer_ms)} ms for ${fallback.crossings} crossings; ${fallback.usd_per_million.toFixed(2)} of the cost per million`,
  ];
}

function ruledOutText({ ruled_out: all }: Advice): string[] {
  if (all.length === 0) return [];
  const groups = new Map<string, string[]>();
  for (const { instance, constraint, reason } of all) {
    const family = instance.split('.')[0] ?? instance;
    const key = `${family} ${constraint}`;
    groups.set(key, [...(groups.get(key) ?? []), `${instance}: ${reason}`]);
  }
  return [
    '',
    `ruled out (${all.length}):`,
    ...[...groups].map(([key, items]) => {
      const more = items.length === 1 ? '' : ` (and ${items.length - 1} more of the family)`;
      return `  ${key.split(' ')[1]}: ${items[0]}${more}`;
    }),
  ];
}

function sensitivityText({ sensitivity, demand }: Advice): string[] {
  if (sensitivity.length < 2) return [];
  return [
    '',
    'as the load changes:',
    ...sensitivity.map((point, i) => {
      const from = i === 0 ? 'below' : 'from';
      const next = sensitivity[i + 1];
      const at =
        i === 0 ? (next?.throughput_per_s ?? demand.throughput_per_s) : point.throughput_per_s;
      return `  ${from} ${number(at)}/s: ${point.instance} wins`;
    }),
  ];
}

function slaText({ sla_price: prices, currency }: Advice): string[] {
  if (prices.length === 0) return [];
  return [
    '',
    'price of the service level:',
    ...formatTable(
      ['limits', 'load', 'cheapest', `${currency}/h`],
      prices.map((price) => [
        `${price.latency_factor} ×`,
        `${price.throughput_factor} ×`,
        price.instance === null ? 'nothing' : `${price.instances} × ${price.instance}`,
        price.per_hour === null ? '-' : price.per_hour.toFixed(3),
      ]),
      ['left', 'left', 'left', 'right'],
    ).map((line) => `  ${line}`),
    '',
  ];
}

function nothingText({ nearest }: Advice): string[] {
  if (nearest === null) return [];
  return [
    `nothing meets this. What binds: ${nearest.binding}: ${nearest.reason}`,
    ...(nearest.instead === null ? [] : [`nearest: ${nearest.instead}`]),
    ...(nearest.row === null
      ? []
      : [
          `  ${nearest.row.instances} × ${nearest.row.instance}, ${nearest.row.precision}, batch ${nearest.row.batch}: p99 ${interval(nearest.row.p99_ms)} ms, ${nearest.row.per_hour.toFixed(3)} an hour`,
        ]),
  ];
}

function interval({ value, low, high }: Estimate): string {
  return `${short(value)} (${short(low)}–${short(high)})`;
}

function short(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms.toPrecision(3);
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
