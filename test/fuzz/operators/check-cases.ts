/**
 * Cases judged: the passes and the compiled library against the operator's reference (all that
 * `check-graphs.ts` does), then the reference against onnxruntime-node where that has the operator.
 */
import { interpret } from 'hone/ops/interpret';
import { difference } from '../compare-values.ts';
import { checkGraphs, type Problem } from '../check-graphs.ts';
import { graphOf, type OpCase } from './op-case.ts';
import { peerOutputs } from './peer.ts';

export interface CaseProblem {
  /** As in `check-graphs.ts`, or the peer's answer. */
  readonly phase: Problem['phase'] | 'peer';
  readonly text: string;
}

/** 'compiled': passes and library against the reference; 'peer': the reference against onnxruntime. */
export type Against = 'compiled' | 'peer';

export interface CheckedCases {
  readonly problems: readonly (CaseProblem | undefined)[];
  /** Uses without a compiled form. */
  readonly refused: number;
  /** How many the peer answered. */
  readonly peers: number;
}

/** More say nothing about an operator. */
const THREADS = [1, 2];

export async function checkCases(
  items: readonly OpCase[],
  against: Against,
  target: string,
): Promise<CheckedCases> {
  const graphs = items.map((item) => ({ ...graphOf(item), options: { target } }));
  if (against === 'compiled') {
    const { problems, refused } = await checkGraphs(graphs, THREADS);
    return { problems, refused, peers: 0 };
  }
  const answers = await peerOutputs(items);
  const problems = graphs.map((item, i): CaseProblem | undefined => {
    const theirs = answers[i];
    if (theirs === undefined) return undefined;
    const text = difference(item, theirs, interpret(item.graph, item.inputs));
    return text === undefined ? undefined : { phase: 'peer', text };
  });
  const peers = answers.filter((answer) => answer !== undefined).length;
  return { problems, refused: 0, peers };
}
