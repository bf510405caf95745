/** report.json of an artifact, verified and with its form checked. */
import {
  broken,
  count,
  type Field,
  hasMember,
  list,
  member,
  parseJson,
  text,
} from 'hone-runtime/artifact/json';
import { type Artifact, readVerified } from 'hone-runtime/artifact/read';
import { isDType } from 'hone-runtime/base/dtype';
import type { ArtifactReport, StageOutput, StageReport, TargetReport } from '../compile/report.ts';

export const REPORT_FILE = 'report.json';

/** The report of every target; itself that of the first one. */
export function readReport(artifact: Artifact): ArtifactReport {
  const content = new TextDecoder().decode(readVerified(artifact, REPORT_FILE));
  const root = parseJson(content, REPORT_FILE);
  const first = targetReport(root);
  if (!hasMember(root, 'others')) return first;
  return { ...first, others: list(member(root, 'others')).map(targetReport) };
}

/** The report of one library. */
export function reportFor(artifact: Artifact, target: string): TargetReport {
  const report = readReport(artifact);
  const all = [report, ...(report.others ?? [])];
  return all.find((candidate) => candidate.target === target) ?? report;
}

function targetReport(root: Field): TargetReport {
  return {
    target: text(member(root, 'target')),
    stages: list(member(root, 'stages')).map(stageReport),
    notes: list(member(root, 'notes')).map((note) => ({
      node: text(member(note, 'node')),
      reason: text(member(note, 'reason')),
    })),
    arenaBytes: count(member(root, 'arenaBytes')),
    liveBytes: count(member(root, 'liveBytes')),
    weightsBytes: count(member(root, 'weightsBytes')),
    parameterBytes: count(member(root, 'parameterBytes')),
    flops: count(member(root, 'flops')),
  };
}

function stageReport(field: Field): StageReport {
  const texts = (key: string): string[] => list(member(field, key)).map(text);
  return {
    id: count(member(field, 'id')),
    label: text(member(field, 'label')),
    nodes: texts('nodes'),
    ops: texts('ops'),
    kernel: text(member(field, 'kernel')),
    row: hasMember(field, 'row') ? text(member(field, 'row')) : '',
    why: text(member(field, 'why')),
    workspaceBytes: hasMember(field, 'workspaceBytes') ? count(member(field, 'workspaceBytes')) : 0,
    flops: count(member(field, 'flops')),
    bytesRead: count(member(field, 'bytesRead')),
    bytesWritten: count(member(field, 'bytesWritten')),
    reads: hasMember(field, 'reads') ? texts('reads') : [],
    writes: hasMember(field, 'writes') ? list(member(field, 'writes')).map(stageOutput) : [],
  };
}

function stageOutput(field: Field): StageOutput {
  const counts = (of: Field): number[] => list(of).map(count);
  const dtype = text(member(field, 'dtype'));
  if (!isDType(dtype)) broken(field.path, `"${dtype}" is no dtype`);
  const scale = hasMember(field, 'scale') ? Number(member(field, 'scale').value) : undefined;
  return {
    value: text(member(field, 'value')),
    ...(hasMember(field, 'stored') ? { stored: text(member(field, 'stored')) } : {}),
    dtype,
    shape: counts(member(field, 'shape')),
    ...(scale === undefined ? {} : { scale, zeroPoint: count(member(field, 'zeroPoint')) }),
    ...(hasMember(field, 'part') ? { part: partOf(member(field, 'part')) } : {}),
    ...(hasMember(field, 'memory') ? { memory: memoryOf(member(field, 'memory')) } : {}),
  };
}

function partOf(field: Field): NonNullable<StageOutput['part']> {
  const counts = (key: string): number[] => list(member(field, key)).map(count);
  return { from: counts('from'), shape: counts('shape') };
}

function memoryOf(field: Field): NonNullable<StageOutput['memory']> {
  const number = (key: string): number => count(member(field, key));
  const halo = list(member(field, 'halo')).map(count);
  return { offset: number('offset'), bytes: number('bytes'), block: number('block'), halo };
}
