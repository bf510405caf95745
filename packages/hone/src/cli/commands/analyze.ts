/** `hone analyze`: what a model is, what would be compiled, and what would not and why. */
import { openOnnx } from '../../frontends/onnx/index.ts';
import type { Invocation, Outcome } from '../command.ts';
import { readCompileRequest, readOperators } from '../compile-request.ts';
import { analyzeModel, type ModelAnalysis, type RoutineUse } from '../model-analysis.ts';
import { requireModel } from '../model-path.ts';
import { boundLines, boundsJson, fileSpec, specLine } from '../specs.ts';
import { formatBytes, formatCount, formatTable } from '../table.ts';

export async function run({ args, options }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  requireModel(path);
  const request = readCompileRequest(path, options);
  const custom = await readOperators(options);
  const model = openOnnx(path);
  try {
    const analysis = analyzeModel(model, request, custom?.registry);
    return { json: toJson(path, analysis), text: toText(path, analysis) };
  } finally {
    model.close();
  }
}

function isCompilable(analysis: ModelAnalysis): boolean {
  return analysis.lowered !== undefined;
}

function toJson(path: string, analysis: ModelAnalysis): Readonly<Record<string, unknown>> {
  const { signature, operators, fallback, problem, lowered, bound, notes } = analysis;
  const { nodeOnly, routines } = analysis;
  return {
    model: path,
    name: signature.name,
    opset: signature.opset,
    opsets: signature.opsets,
    producer: producerOf(analysis),
    inputs: bound?.inputs ?? signature.inputs.map(fileSpec),
    outputs: bound?.outputs ?? signature.outputs.map(fileSpec),
    nodes: signature.nodeCount,
    parameters: signature.parameterCount,
    parameter_bytes: signature.parameterBytes,
    operators: operators.map(({ op, domain, nodes, support, reason }) => ({
      op,
      domain: domain === '' ? 'ai.onnx' : domain,
      count: nodes.length,
      kind: support,
      supported: support !== 'none',
      reason: reason ?? null,
    })),
    fallback,
    node_only: nodeOnly,
    routines,
    compilable: isCompilable(analysis),
    problem:
      problem === undefined
        ? null
        : { code: problem.code, message: problem.message, cure: problem.cure ?? null },
    stages: lowered?.stages ?? null,
    flops: lowered?.flops ?? null,
    bytes: lowered?.bytes ?? null,
    work:
      analysis.work?.map(({ op, domain, how, flops, bytes, flopsShare, bytesShare }) => ({
        op,
        domain: domain === '' ? 'ai.onnx' : domain,
        how,
        flops,
        bytes,
        flops_share: flopsShare,
        bytes_share: bytesShare,
      })) ?? null,
    bounds: boundsJson(analysis.planned),
    notes,
  };
}

function toText(path: string, analysis: ModelAnalysis): string[] {
  const { signature, operators, fallback, problem, lowered, bound, notes } = analysis;
  const { nodeOnly, routines } = analysis;
  const opsets = Object.entries(signature.opsets).map(
    ([domain, version]) => `${domain} ${version}`,
  );
  const counted = [...operators].sort((a, b) => b.nodes.length - a.nodes.length);
  return [
    `${path}: "${signature.name}", ${signature.nodeCount} nodes, ${formatCount(signature.parameterCount)} parameters (${formatBytes(signature.parameterBytes)})`,
    `  opsets ${opsets.join(', ')}; written by ${producerOf(analysis) || 'an unnamed program'}`,
    ...(bound?.inputs ?? signature.inputs.map(fileSpec)).map(
      (spec) => `  input   ${specLine(spec)}`,
    ),
    ...(bound?.outputs ?? signature.outputs.map(fileSpec)).map(
      (spec) => `  output  ${specLine(spec)}`,
    ),
    ...boundLines(analysis.planned).map((line) => `  ${line}`),
    ...notes.map((note) => `  note    ${note}`),
    '',
    ...formatTable(
      ['operator', 'count', 'how'],
      counted.map(({ op, domain, nodes, support, reason }) => [
        domain === '' ? op : `${domain}.${op}`,
        `${nodes.length}`,
        reason === undefined ? SUPPORT[support] : `${SUPPORT[support]}: ${reason}`,
      ]),
      ['left', 'right'],
    ),
    '',
    ...(lowered === undefined
      ? []
      : [
          `${nodeOnly.length === 0 ? 'Every node' : 'Every other node'} has a compiled form: ${lowered.stages} kernels after fusion, ${formatCount(lowered.flops)} operations and ${formatBytes(lowered.bytes)} of memory traffic a run.`,
        ]),
    ...workLines(analysis),
    ...usesOf(routines, 'hand-written C routines'),
    ...usesOf(nodeOnly, 'steps on texts, which only the Node runtime runs'),
    ...(fallback.length === 0
      ? []
      : [
          `${fallback.length} nodes have no compiled form, so the model cannot be compiled:`,
          ...fallback.map(({ op, node, reason }) => `  ${op} ${node}: ${reason}`),
        ]),
    ...(problem === undefined
      ? []
      : [
          `Not followed further: ${problem.code}: ${problem.message}`,
          ...(problem.cure === undefined ? [] : [`  cure: ${problem.cure}`]),
        ]),
  ];
}

/** Operators that do or move at least this share are worth a line. */
const SHOWN_SHARE = 0.01;

function workLines({ work = [] }: ModelAnalysis): readonly string[] {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  const shown = work.filter(
    ({ flopsShare, bytesShare }) => flopsShare >= SHOWN_SHARE || bytesShare >= SHOWN_SHARE,
  );
  if (shown.length === 0) return [];
  const rows = shown.map(({ op, domain, how, flopsShare, bytesShare }) => [
    domain === '' ? op : `${domain}.${op}`,
    how,
    how === 'routine' ? 'not counted' : percent(flopsShare),
    percent(bytesShare),
  ]);
  const header = ['work of', 'how', 'operations', 'bytes, unfused'];
  return ['', ...formatTable(header, rows, ['left', 'left', 'right', 'right']), ''];
}

function usesOf(uses: readonly RoutineUse[], what: string): readonly string[] {
  if (uses.length === 0) return [];
  return [
    `${uses.length} of the nodes are ${what}:`,
    ...uses.map(({ node, routine }) => `  ${node}: ${routine}`),
  ];
}

const SUPPORT = {
  core: 'compiled',
  composite: 'compiled, from other operators',
  planned: 'compiled, sizes at their bound',
  host: 'on constants only',
  function: "the model's own function",
  importer: 'resolved while reading',
  none: 'not supported',
} as const;

function producerOf({ signature }: ModelAnalysis): string {
  return [signature.producer, signature.producerVersion].filter((part) => part !== '').join(' ');
}
