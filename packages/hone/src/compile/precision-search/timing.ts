/** Times of layer groups in a compiled model, measured in place: while all of it runs. */
import { load, type Session } from 'hone-runtime';
import { at } from 'hone-runtime/base/diagnostics';
import { CONTRACTIONS } from '../../passes/precision-plan.ts';
import type { Sample } from '../calibrate/run.ts';
import type { Report, StageReport } from '../report.ts';
import type { LayerGroup } from './groups.ts';

const ROUNDS = 5;
const RUNS = 6;

/** Nanoseconds of each group: its contractions and what prepares their operand. */
export function groupTimes(
  artifact: string,
  report: Report,
  groups: readonly LayerGroup[],
  sample: Sample,
): readonly number[] {
  const session = load(artifact);
  try {
    const best = new Float64Array(report.stages.length).fill(Number.POSITIVE_INFINITY);
    for (let round = 0; round < ROUNDS; round++) {
      const { steps } = session.profile(sample.inputs, { runs: RUNS, warmup: 1 });
      // Others on the machine only ever add: the least is nearest to the truth.
      steps.forEach(({ ns }, i) => {
        best[i] = Math.min(best[i] as number, ns);
      });
    }
    return groups.map((group) =>
      report.stages.reduce(
        (sum, stage, i) => (belongs(stage, group) ? sum + (best[i] as number) : sum),
        0,
      ),
    );
  } finally {
    session.close();
  }
}

function belongs(stage: StageReport, { nodes, values }: LayerGroup): boolean {
  const contraction = stage.ops.findIndex((op) => CONTRACTIONS.has(op));
  if (contraction >= 0) return nodes.includes(at(stage.nodes, contraction));
  return stage.writes.some(({ value }) => values.includes(value));
}

/** Least and median time of whole runs, two models in turns. */
export function raceModels(
  first: Session,
  second: Session,
  sample: Sample,
): { readonly first: number; readonly second: number } {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < 12; round++) {
    [first, second].forEach((session, i) => {
      session.runSync(sample.inputs);
      for (let run = 0; run < 3; run++) {
        const begin = performance.now();
        session.runSync(sample.inputs);
        at(times, i).push(performance.now() - begin);
      }
    });
  }
  const low = (all: readonly number[]): number =>
    at(
      [...all].sort((a, b) => a - b),
      all.length >> 2,
    );
  return { first: low(times[0]), second: low(times[1]) };
}
