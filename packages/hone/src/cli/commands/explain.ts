/** `hone explain`: fusion groups, operators left alone and why, kernel choices, memory. */
import { openArtifact } from 'hone-runtime/artifact/read';
import { chooseLibrary } from 'hone-runtime/runtime/choose-library';
import { readChoices } from '../../compile/choices.ts';
import { readRecordedOptions } from '../../compile/recorded-options.ts';
import { kernelCount } from '../../compile/report.ts';
import type { Invocation, Outcome } from '../command.ts';
import { precisionLines, precisionOf, whyOf } from '../explain-precision.ts';
import { prepareArtifact } from '../prepare.ts';
import { boundLines, boundsJson } from '../specs.ts';
import { reportFor } from '../stored-report.ts';
import { formatBytes, formatCount, formatTable } from '../table.ts';

export async function run(invocation: Invocation): Promise<Outcome> {
  const path = invocation.args[0] ?? '';
  const { folder, target: wanted } = await prepareArtifact(path, invocation, 'random');
  const artifact = openArtifact(folder);
  const library = chooseLibrary(
    artifact.manifest,
    wanted ?? artifact.manifest.libraries[0]?.target,
  );
  const { target } = library;
  const report = reportFor(artifact, target);
  const fused = report.stages.filter((stage) => stage.ops.length > 1);
  const nodes = report.stages.reduce((sum, stage) => sum + stage.ops.length, 0);
  const reasons = new Map<string, string[]>();
  for (const { node, reason } of report.notes) {
    reasons.set(node, [...(reasons.get(node) ?? []), reason]);
  }
  const choices = readChoices(artifact);
  const recorded = readRecordedOptions(artifact.manifest.compiler.options, folder);
  return {
    json: {
      model: path,
      target,
      groups: report.stages.map((stage) => ({
        id: stage.id,
        label: stage.label,
        ops: stage.ops,
        nodes: stage.nodes,
        kernel: stage.kernel,
        row: stage.row,
        why: stage.why,
        flops: stage.flops,
        bytes: stage.bytesRead + stage.bytesWritten,
        precision: precisionOf(stage, choices.plan),
        precision_why: whyOf(stage, choices.reasons, recorded),
        writes: stage.writes.map(({ value, dtype, scale, zeroPoint }) => ({
          value,
          dtype,
          scale: scale ?? null,
          zero_point: zeroPoint ?? null,
        })),
      })),
      precision: {
        asked: recorded.precision ?? 'fp32',
        calibration: recorded.calibrated ?? null,
        search: recorded.searched ?? null,
      },
      bounds: boundsJson(artifact.manifest.bounds),
      alone: report.notes,
      memory: {
        arena_bytes: report.arenaBytes,
        least_bytes: report.liveBytes,
        weights_bytes: report.weightsBytes,
        parameter_bytes: report.parameterBytes,
      },
    },
    text: [
      `${nodes} operators became ${kernelCount(report)} kernels for ${target}; ${fused.length} of them are fused groups`,
      '',
      ...formatTable(
        ['kernel', 'operators', 'operations', 'bytes', 'chosen because'],
        report.stages.map((stage) => [
          stage.kernel,
          operators(stage.ops),
          formatCount(stage.flops),
          formatBytes(stage.bytesRead + stage.bytesWritten),
          stage.why,
        ]),
        ['left', 'left', 'right', 'right'],
      ),
      '',
      ...boundLines(artifact.manifest.bounds),
      ...precisionLines(report.stages, choices, recorded),
      ...(reasons.size === 0
        ? ['Every operator that could join a neighbour did.']
        : [
            'Not fused:',
            ...[...reasons].flatMap(([node, why]) => why.map((reason) => `  ${node}: ${reason}`)),
          ]),
      '',
      `memory: ${formatBytes(report.arenaBytes)} arena (${formatBytes(report.liveBytes)} is the least possible), ${formatBytes(report.weightsBytes)} packed weights`,
    ],
  };
}

/** `Conv + Relu`, repeated ones counted: `Add ×3`. */
function operators(ops: readonly string[]): string {
  const runs: { op: string; count: number }[] = [];
  for (const op of ops) {
    const last = runs.at(-1);
    if (last?.op === op) last.count++;
    else runs.push({ op, count: 1 });
  }
  return runs.map(({ op, count }) => (count === 1 ? op : `${op} ×${count}`)).join(' + ');
}
