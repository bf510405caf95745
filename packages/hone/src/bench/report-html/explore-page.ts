/**
 * The script of an advice's page: it moves the sliders' figures into table, picture and answer. Runs
 * in a browser, with nothing but the functions it is printed with. Without it the page is whole.
 */
import type { AdviceView, QueueFunctions } from './advice-view.ts';
import { choiceRow, interval } from './choices.ts';
import { exploreAll, exploreOne, type Knobs } from './explore.ts';
import { printData, printRows } from './page.ts';
import { markForm, paretoChart, paretoFront, paretoMark } from './pareto.ts';
import { logEnds, logPlace, logTicks } from './scale.ts';
import { bytes, escapeHtml, factor, figure, milliseconds, money, percent, rate } from './text.ts';

/** What the page computes from. */
export interface ExploreData {
  readonly candidates: AdviceView['rows'];
  readonly demand: AdviceView['demand'];
  readonly currency: string;
  readonly columns: readonly { readonly kind: string }[];
  /** Shown at a time. */
  readonly mostRows: number;
}

/** The elements that are touched; the ids are those of `explorer`. */
interface PageElement {
  innerHTML: string;
  textContent: string | null;
  hidden: boolean;
  value: string;
  setAttribute(name: string, value: string): void;
  addEventListener(event: string, act: () => void): void;
}

export function runExplorer(data: ExploreData, queue: QueueFunctions): void {
  const { document } = globalThis as unknown as {
    readonly document: { getElementById(id: string): PageElement | null };
  };
  const find = (id: string): PageElement | null => document.getElementById(id);
  const [panel, table, chart, answer, reset] = [
    'explorer',
    'choices',
    'pareto',
    'answer',
    'reset',
  ].map(find);
  if (!panel || !table || !chart || !answer || !reset) return;
  const { candidates, demand, currency, columns, mostRows } = data;
  const given = { table: table.innerHTML, chart: chart.innerHTML, answer: answer.innerHTML };
  // The middle of each slider is what was asked for; its ends are factors of it.
  const factorOf = (id: string, most: number): number => {
    const place = Number(find(id)?.value ?? 0);
    return Number((most ** (place / 100)).toPrecision(3));
  };
  const p99 = demand.latency_ms['99'];
  const limitText = (factor: number): string => {
    const limits = Object.entries(demand.latency_ms).map(
      ([name, ms]) => `P${name} ${milliseconds(ms * factor)}`,
    );
    return limits.join(', ');
  };
  const knobs = (): Knobs => ({
    throughput_per_s: demand.throughput_per_s * factorOf('load', 16),
    latency_factor: factorOf('limit', 4),
    error_factor: factorOf('error', 2),
  });
  const say = (id: string, text: string): void => {
    const output = find(`${id}-value`);
    if (output) output.textContent = text;
    find(id)?.setAttribute('aria-valuetext', text);
  };
  const update = (): void => {
    const now = knobs();
    say('load', rate(now.throughput_per_s));
    say('limit', limitText(now.latency_factor));
    say('error', now.error_factor === 1 ? 'as predicted' : factor(now.error_factor));
    const unchanged =
      now.throughput_per_s === demand.throughput_per_s &&
      now.latency_factor === 1 &&
      now.error_factor === 1;
    if (unchanged) {
      table.innerHTML = given.table;
      chart.innerHTML = given.chart;
      answer.innerHTML = given.answer;
      return;
    }
    const { best: every, others } = exploreAll(candidates, demand, now, queue);
    const best = every.slice(0, mostRows);
    const rows = best.map((point, place) => choiceRow(point, place, currency));
    table.innerHTML = printRows(rows, columns);
    chart.innerHTML = paretoChart(best, others, {
      p99_ms: p99 === undefined || demand.offline ? null : p99 * now.latency_factor,
      per_hour: demand.budget_per_hour,
      currency,
    });
    const [first] = best;
    if (first === undefined || !first.feasible) {
      answer.innerHTML = 'Nothing in this list meets that demand.';
      return;
    }
    const count = first.instances > 1 ? ` ×${first.instances}` : '';
    answer.innerHTML = `<strong>${escapeHtml(first.candidate.instance)}${count}</strong>, ${money(first.per_hour, currency)} an hour, P99 ${milliseconds(first.p99_ms)}`;
  };
  for (const id of ['load', 'limit', 'error']) find(id)?.addEventListener('input', update);
  reset.addEventListener('click', () => {
    for (const id of ['load', 'limit', 'error']) {
      const slider = find(id);
      if (slider) slider.value = '0';
    }
    update();
  });
  panel.hidden = false;
  update();
}

/** Everything `runExplorer` uses, and its call. */
export function explorerScript(data: ExploreData, queue: QueueFunctions): string {
  const parts = [
    escapeHtml,
    figure,
    milliseconds,
    rate,
    money,
    percent,
    bytes,
    factor,
    logPlace,
    logEnds,
    logTicks,
    exploreOne,
    exploreAll,
    printRows,
    interval,
    choiceRow,
    markForm,
    paretoMark,
    paretoFront,
    paretoChart,
    queue.latencyAtLoad,
    queue.usableLoad,
    runExplorer,
  ];
  const { latencyAtLoad, usableLoad } = queue;
  const functions = `{ latencyAtLoad: ${latencyAtLoad.name}, usableLoad: ${usableLoad.name} }`;
  return `'use strict';\n${parts.map(String).join('\n')}\nrunExplorer(${printData(data)}, ${functions});`;
}
