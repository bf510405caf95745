/** What stands in the way of a demand that nothing meets, and the nearest one that can be met. */
import type { AdviceRow, Constraint, Demand, NearestFeasible } from './advice-types.ts';
import { DEFAULT_ACCURACY } from './candidates.ts';
import { latencyAtLoad } from './queue.ts';
import { type Choice, search, type SearchInput } from './search.ts';

interface Relaxation {
  readonly binding: Constraint;
  readonly demand: Demand;
  readonly say: (best: Choice) => { readonly reason: string; readonly instead: string };
}

const NEARLY = 1.1;

/** Limits are dropped one by one, then all together; the first that helps is what binds. */
export function nearestFeasible(
  input: SearchInput,
  rowOf: (choice: Choice) => AdviceRow,
): NearestFeasible {
  for (const relaxation of relaxations(input.demand)) {
    const { choices } = search({ ...input, demand: relaxation.demand });
    const best = nearest(choices, relaxation, input.demand);
    if (best === undefined) continue;
    return { binding: relaxation.binding, ...relaxation.say(best), row: rowOf(best) };
  }
  const { ruledOut } = search(input);
  const [first] = ruledOut;
  return {
    binding: first?.constraint ?? 'hardware',
    reason: first?.reason ?? 'no instance of the catalogue is what --hardware asks for',
    instead: null,
    row: null,
  };
}

/** Where latency binds, the cheapest of those that are nearly the quickest; elsewhere the cheapest. */
function nearest(
  choices: readonly Choice[],
  { binding }: Relaxation,
  demand: Demand,
): Choice | undefined {
  if (binding !== 'latency') return choices[0];
  const off = (choice: Choice): number =>
    Math.max(
      ...Object.entries(demand.latency_ms).map(
        ([percentile, ms]) => latencyOf(choice, demand, Number(percentile)) / ms,
      ),
    );
  const least = Math.min(...choices.map(off));
  return choices
    .filter((choice) => off(choice) <= least * NEARLY)
    .sort((a, b) => a.perHour - b.perHour)[0];
}

function latencyOf({ candidate, instances }: Choice, demand: Demand, percentile: number): number {
  return latencyAtLoad(candidate.station, demand.throughput_per_s / instances, percentile);
}

function relaxations(demand: Demand): readonly Relaxation[] {
  const list: Relaxation[] = [];
  if (demand.budget_per_hour !== null) {
    list.push({
      binding: 'budget',
      demand: { ...demand, budget_per_hour: null },
      say: (best) => ({
        reason: `the cheapest that meets the other limits costs ${best.perHour.toFixed(3)} an hour`,
        instead: `--budget ${(Math.ceil(best.perHour * 100) / 100).toFixed(2)}/h`,
      }),
    });
  }
  if (Object.keys(demand.latency_ms).length > 0) {
    list.push({
      binding: 'latency',
      demand: { ...demand, latency_ms: {}, goal: 'latency' },
      say: (best) => {
        const terms = Object.keys(demand.latency_ms).map((percentile) => {
          const ms = latencyOf(best, demand, Number(percentile));
          return `p${percentile}=${(Math.ceil(ms * 11) / 10).toFixed(1)}ms`;
        });
        return {
          reason: 'no instance is quick enough, even alone',
          instead: `--sla ${terms.join(',')}`,
        };
      },
    });
  }
  const least = demand.accuracy ?? DEFAULT_ACCURACY;
  list.push(
    {
      binding: 'accuracy',
      demand: { ...demand, accuracy: 0.99 },
      say: () => ({
        reason: `only int8 meets the other limits, and keeps about 99 % of the answers, not ${(100 * least).toFixed(1)} %`,
        instead: '--accuracy 99%',
      }),
    },
    {
      binding: 'framework',
      demand: { ...demand, framework: null },
      say: () => ({
        reason: `nothing that takes ${demand.framework} meets the other limits`,
        instead: '--framework onnx',
      }),
    },
    {
      binding: 'hardware',
      demand: { ...demand, hardware: [] },
      say: (best) => ({
        reason: 'what --hardware names cannot do it',
        instead: `--hardware ${best.candidate.instance.name}`,
      }),
    },
    {
      binding: 'region',
      demand: { ...demand, region: 'us-east-1' },
      say: () => ({
        reason: `no prices for ${demand.region} are known`,
        instead: '--region us-east-1, or --prices FILE',
      }),
    },
    {
      binding: 'throughput',
      demand: { ...demand, throughput_per_s: 1 },
      say: (best) => ({
        reason: 'no number of instances that one would rent does it',
        instead: `--throughput ${Math.floor(best.usable * 1000)}/s`,
      }),
    },
    {
      binding: 'latency',
      demand: { ...demand, latency_ms: {}, budget_per_hour: null, hardware: [], goal: 'latency' },
      say: (best) => ({
        reason: 'several limits bind together',
        instead: `--sla p99=${(Math.ceil(best.p99Ms * 11) / 10).toFixed(1)}ms without the other limits`,
      }),
    },
  );
  return list;
}
