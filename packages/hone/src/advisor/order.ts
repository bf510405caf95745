/** Whether predictions put accelerators in the right order: pairs of public figures for one setting. */
import type { LeftOut } from './validation.ts';
import type { Catalogue } from './catalogue-types.ts';
import type { OrderCheck } from './fitted-model.ts';

interface Entry {
  readonly accelerator: string;
  readonly measured: number;
  readonly predicted: number;
}

/** Pairs nearer than this are ties. */
const APART = 1.1;

/** Cheapest hour of one accelerator by id, over the instances that have it. */
export function acceleratorPrices(catalogue: Catalogue): ReadonlyMap<string, number> {
  const prices = new Map<string, number>();
  for (const { accelerator, acceleratorCount, prices: offers } of catalogue.instances) {
    const hour = offers.find((price) => price.service === 'ec2')?.perHour;
    if (accelerator === null || hour === undefined) continue;
    const each = hour / acceleratorCount;
    const known = prices.get(accelerator.id);
    if (known === undefined || each < known) prices.set(accelerator.id, each);
  }
  return prices;
}

/** Throughput in order; with prices, inferences for money in order. */
export function checkOrder(
  leftOut: readonly LeftOut[],
  prices?: ReadonlyMap<string, number>,
): OrderCheck {
  const settings = new Map<string, Entry[]>();
  for (const { observation, predicted } of leftOut) {
    const { row, run } = observation;
    const price = prices === undefined ? 1 : prices.get(row.accelerator);
    if (price === undefined) continue;
    const measured =
      row.throughputDerived && row.latencyMs !== undefined
        ? (run.batch * 1000) / row.latencyMs
        : row.throughput / row.devices;
    const throughput = row.throughputDerived
      ? (run.batch * 1000) / predicted.latencyMs
      : predicted.throughput;
    const scope = run.scope === 'kernel' ? 'kernel' : run.scope;
    const setting = [row.topology, run.engine, scope, run.precision, run.batch].join(' ');
    const entries = settings.get(setting) ?? [];
    entries.push({
      accelerator: row.accelerator,
      measured: measured / price,
      predicted: throughput / price,
    });
    settings.set(setting, entries);
  }
  let [pairs, right] = [0, 0];
  for (const entries of settings.values()) {
    entries.forEach((a, i) => {
      for (const b of entries.slice(i + 1)) {
        if (a.accelerator === b.accelerator) continue;
        const ratio = a.measured / b.measured;
        if (Math.max(ratio, 1 / ratio) <= APART) continue;
        pairs++;
        if (ratio > 1 === a.predicted > b.predicted) right++;
      }
    });
  }
  return { pairs, right };
}
