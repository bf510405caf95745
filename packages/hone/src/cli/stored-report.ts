/** report.json of an artifact, verified and with its form checked. */
import {
  count,
  type Field,
  hasMember,
  list,
  member,
  parseJson,
  text,
} from 'hone-runtime/artifact/json';
import { type Artifact, readVerified } from 'hone-runtime/artifact/read';
import type { ArtifactReport, StageReport, TargetReport } from '../compile/report.ts';

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
  };
}
