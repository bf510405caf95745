/** `hone profile`: time per kernel, the rates it reaches, and what holds it back. */
import { load, type StepTime } from 'hone-runtime';
import { openArtifact } from 'hone-runtime/artifact/read';
import type { StageReport } from '../../compile/report.ts';
import type { Invocation, Outcome } from '../command.ts';
import { assembleInputs } from '../input/assemble.ts';
import { type MachinePeak, machinePeak } from '../machine-peak.ts';
import { prepareArtifact } from '../prepare.ts';
import { reportFor } from '../stored-report.ts';
import { formatMs, formatTable } from '../table.ts';

const DEFAULT_RUNS = 20;

export async function run(invocation: Invocation): Promise<Outcome> {
  const { options, progress } = invocation;
  const path = invocation.args[0] ?? '';
  const runs = options.integer('runs', 1, 1_000_000) ?? DEFAULT_RUNS;
  const threads = options.integer('threads', 1, 1024);
  const { folder, target } = await prepareArtifact(path, invocation, 'random');
  const session = load(folder, {
    ...(threads === undefined ? {} : { threads }),
    ...(target === undefined ? {} : { target }),
  });
  try {
    const report = reportFor(openArtifact(folder), session.target);
    progress('measuring the machine');
    const peak = await machinePeak(session.threads);
    progress('measuring the kernels');
    const { tensors } = await assembleInputs(session.signature.inputs, {
      given: [],
      random: true,
      seed: 0,
      image: '',
    });
    const profile = session.profile(tensors, { runs });
    const kernels = profile.steps.map((step, index) =>
      kernelRow(step, profile.totalNs, report.stages[index], peak),
    );
    const flops = report.stages.reduce(
      (sum, stage, i) => sum + stage.flops * (profile.steps[i]?.times ?? 1),
      0,
    );
    const totalGflops = profile.totalNs === 0 ? 0 : flops / profile.totalNs;
    return {
      json: {
        model: path,
        target: session.target,
        threads: session.threads,
        runs: profile.runs,
        total_ms: profile.totalNs / 1e6,
        gflops: totalGflops,
        peak_gflops: peak?.fp32Gflops ?? null,
        percent_of_peak: peak === null ? null : (100 * totalGflops) / peak.fp32Gflops,
        kernels,
      },
      text: [
        ...formatTable(
          ['ms', '%', 'GFLOP/s', 'GB/s', '% of peak', 'bound by', 'kernel', 'times', 'what'],
          kernels.map((row) => [
            row.ms.toFixed(3),
            (100 * row.share).toFixed(1),
            row.gflops.toFixed(1),
            row.gbytes_per_second.toFixed(1),
            row.percent_of_peak === null ? '-' : row.percent_of_peak.toFixed(0),
            row.bound,
            row.kernel,
            row.times === 1 ? '' : `${Math.round(row.times * 10) / 10}`,
            shorten(row.label),
          ]),
          ['right', 'right', 'right', 'right', 'right'],
        ),
        '',
        `${formatMs(profile.totalNs / 1e6)} in all, mean of ${profile.runs} runs on ${session.threads} threads: ${totalGflops.toFixed(1)} GFLOP/s${
          peak === null
            ? ''
            : `, ${((100 * totalGflops) / peak.fp32Gflops).toFixed(0)} % of the ${peak.fp32Gflops.toFixed(0)} GFLOP/s measured here`
        }`,
      ],
    };
  } finally {
    session.close();
  }
}

type Bound = 'compute' | 'memory' | 'overhead' | 'unknown';

/** Below this a step is mostly the price of starting it. */
const OVERHEAD_NS = 4000;

function kernelRow(
  { label, kernel, ns, times }: StepTime,
  totalNs: number,
  stage: StageReport | undefined,
  peak: MachinePeak | null,
) {
  const flops = (stage?.flops ?? 0) * times;
  const bytes = stage === undefined ? 0 : (stage.bytesRead + stage.bytesWritten) * times;
  const gflops = ns === 0 ? 0 : flops / ns;
  const gbytes = ns === 0 ? 0 : bytes / ns;
  return {
    id: stage?.id ?? null,
    label,
    ops: stage?.ops ?? [],
    kernel,
    times,
    ms: ns / 1e6,
    share: totalNs === 0 ? 0 : ns / totalNs,
    gflops,
    gbytes_per_second: gbytes,
    percent_of_peak: peak === null ? null : (100 * gflops) / peak.fp32Gflops,
    bound: boundOf(ns / Math.max(1, times), flops, bytes, peak),
  };
}

/** Which limit a perfect kernel would meet first at this ratio of work to bytes. */
function boundOf(ns: number, flops: number, bytes: number, peak: MachinePeak | null): Bound {
  if (ns < OVERHEAD_NS) return 'overhead';
  if (peak === null) return 'unknown';
  return flops / peak.fp32Gflops > bytes / peak.gbytesPerSecond ? 'compute' : 'memory';
}

function shorten(label: string): string {
  return label.length > 60 ? `${label.slice(0, 59)}…` : label;
}
