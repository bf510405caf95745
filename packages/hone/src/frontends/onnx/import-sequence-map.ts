/**
 * SequenceMap: its body is written out for every position, or repeated by a Loop where the length of the
 * sequence depends on data.
 */
import { at, fail } from 'hone-runtime/base/diagnostics';
import { numbersOf } from './bounded/ints.ts';
import { type Entity, isTensor, sequenceOf, type StackedEntity } from './entities.ts';
import type { ImportGraph } from './import-control.ts';
import { bodyOf, inlineBody, missing } from './import-loop.ts';
import { importGrowing } from './import-runtime-loop.ts';
import type { Scope } from './import-scope.ts';
import type { OnnxGraph, OnnxNode, OnnxType, OnnxValueInfo } from './types.ts';

/** SequenceMap: the body once for every position of its first input. */
export function mapSequence(
  scope: Scope,
  node: OnnxNode,
  name: string,
  inputs: readonly (Entity | null)[],
  importGraph: ImportGraph,
): readonly (Entity | undefined)[] {
  const body = bodyOf(node, name);
  const given = inputs.map((entity) => {
    if (entity === null) return missing(name);
    return !isTensor(entity) && entity.kind === 'optional'
      ? (entity.item ?? missing(name))
      : entity;
  });
  const stacked = given.find((entity) => !isTensor(entity) && entity.kind === 'stacked');
  if (stacked !== undefined) return mapRows(scope, node, name, given, importGraph);
  const lists = given.flatMap((entity) =>
    !isTensor(entity) && entity.kind === 'sequence' ? [entity.items.length] : [],
  );
  const [length] = lists;
  if (length === undefined || lists.some((other) => other !== length)) {
    fail(
      'HONE-ONNX-016',
      `node ${name} (SequenceMap): it needs sequences of one length; they have ${lists.join(', ')}`,
      name,
      'the model is not valid ONNX, or shapes for sequences were given that do not fit',
    );
  }
  const rows = Array.from({ length }, (_, i) => {
    const formal = given.map((entity) =>
      !isTensor(entity) && entity.kind === 'sequence' ? at(entity.items, i) : entity,
    );
    return inlineBody(scope, body, `${name}/${i}`, i, formal, importGraph);
  });
  return body.outputs.map((_, k) => sequenceOf(rows.map((row) => at(row, k))));
}

/** The Loop that ONNX defines SequenceMap by: takes elements at its iteration's number, appends results. */
function mapRows(
  scope: Scope,
  node: OnnxNode,
  name: string,
  given: readonly Entity[],
  importGraph: ImportGraph,
): readonly (Entity | undefined)[] {
  const body = bodyOf(node, name);
  const own = (label: string): string => `${name}//${label}`;
  const step = (op: string, inputs: readonly string[], output: string): OnnxNode => ({
    ...{ op, domain: '', name: '', attributes: [], overload: '' },
    ...{ inputs, outputs: [output] },
  });
  const isList = (entity: Entity): boolean =>
    !isTensor(entity) && (entity.kind === 'sequence' || entity.kind === 'stacked');
  const reads = body.inputs.map((formal, k) => {
    const entity = at(given, k);
    const inputs = isList(entity) ? [own(`input ${k}`), own('iteration')] : [own(`input ${k}`)];
    return step(isList(entity) ? 'SequenceAt' : 'Identity', inputs, formal.name);
  });
  const writes = body.outputs.map((result, k) =>
    step('SequenceInsert', [own(`before ${k}`), result.name], own(`after ${k}`)),
  );
  const graph: OnnxGraph = {
    ...body,
    inputs: ['iteration', 'condition', ...body.outputs.map((_, k) => `before ${k}`)].map((label) =>
      valueInfo(own(label)),
    ),
    nodes: [...reads, ...body.nodes, ...writes],
    outputs: ['condition', ...body.outputs.map((_, k) => `after ${k}`)].map((label) =>
      valueInfo(own(label)),
    ),
  };
  const loop: OnnxNode = {
    ...node,
    op: 'Loop',
    attributes: [{ name: 'body', kind: 'graph', value: graph }],
  };
  const values = new Map(given.map((entity, k) => [own(`input ${k}`), entity]));
  const inner: Scope = { ...scope, values, parent: scope, depth: scope.depth + 1 };
  const [first] = given.filter(isList) as StackedEntity[];
  const length = first === undefined ? 0 : lengthOf(first);
  const trips = numbersOf(scope.builder).id(length);
  if (typeof length !== 'number') numbersOf(scope.builder).note(trips, [length]);
  const carried = [trips, null, ...body.outputs.map(() => sequenceOf([]))];
  return importGrowing(inner, loop, name, carried, importGraph);
}

const lengthOf = (list: Entity) =>
  !isTensor(list) && list.kind === 'sequence' ? list.items.length : (list as StackedEntity).length;

/** Nothing reads what type is declared: operands decide. */
const valueInfo = (name: string): OnnxValueInfo => ({ name, type: UNDECLARED });
const UNDECLARED: OnnxType = { kind: 'unknown' };
