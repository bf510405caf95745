/**
 * Cases judged: the passes and the compiled library against the operator's reference (all that
 * `check-graphs.ts` does), then the reference against onnxruntime-node where that has the operator.
 *
 * A case that the reference refuses for its data must be refused compiled too, by the compiler or
 * by the run: it is compiled alone, since a fault ends the run of its whole library.
 */
import { compileGraph } from 'hone/compile/index';
import { interpret } from 'hone/ops/interpret';
import { HoneError } from 'hone-runtime/base/diagnostics';
import type { Tensor } from 'hone-runtime/base/tensor';
import { mergedLibrary } from '../../support/merged-library.ts';
import { checkGraphs, type CheckItem, type Problem } from '../check-graphs.ts';
import { difference } from '../compare-values.ts';
import { asWritten, freeGraph, freeOutputs } from './free.ts';
import { checkOldOpset } from './old-opset.ts';
import { graphOf, type OpCase } from './op-case.ts';
import { peerOutputs } from './peer.ts';

export interface CaseProblem {
  /** As in `check-graphs.ts`, or the peer's answer. */
  readonly phase: Problem['phase'] | 'peer' | 'opset' | 'reference' | 'free';
  readonly text: string;
}

/**
 * 'compiled': passes and library against the reference; 'peer': the reference against onnxruntime;
 * 'opset': as a model of an older opset, imported, against onnxruntime; 'free': as a model that has what
 * decides sizes as inputs, imported at bounds and compiled, against the reference.
 */
export type Against = 'compiled' | 'peer' | 'opset' | 'free';

export interface CheckedCases {
  readonly problems: readonly (CaseProblem | undefined)[];
  /** Uses without a compiled form. */
  readonly refused: number;
  /** How many the reference refuses for their data. */
  readonly faulty: number;
  /** How many the peer answered. */
  readonly peers: number;
}

export interface CheckOptions {
  readonly target: string;
  /** Compiled without optimisation: a tenth of the time. */
  readonly quick?: boolean;
  /** What the process prints is dropped. */
  readonly quiet?: boolean;
}

/** More say nothing about an operator. */
const THREADS = [1, 2];

/** `seeds`: one for each case, which say what is drawn besides the case. */
export async function checkCases(
  items: readonly OpCase[],
  seeds: readonly number[],
  against: Against,
  { target, quick = false }: CheckOptions,
): Promise<CheckedCases> {
  if (against === 'opset') return checkOpsets(items, seeds);
  if (against === 'free') return checkFree(items.map(asWritten), target, quick);
  const graphs = items.map((item): CheckItem => ({ ...graphOf(item), options: { target } }));
  const wanted = graphs.map(wantedOf);
  return against === 'compiled'
    ? checkCompiled(graphs, wanted, quick)
    : checkPeer(items, graphs, wanted);
}

/** What the reference says; its own fault where it says neither a result nor a code. */
type Wanted = readonly Tensor[] | 'refused' | CaseProblem;

function wantedOf({ graph, inputs }: CheckItem): Wanted {
  try {
    return interpret(graph, inputs);
  } catch (error) {
    if (isRefusal(error)) return 'refused';
    return { phase: 'reference', text: (error as Error).stack ?? String(error) };
  }
}

function isKnown(wanted: Wanted | undefined): wanted is readonly Tensor[] {
  return Array.isArray(wanted);
}

function isRefusal(error: unknown): boolean {
  return error instanceof HoneError && !error.code.startsWith('HONE-INTERNAL');
}

async function checkCompiled(
  graphs: readonly CheckItem[],
  wanted: readonly Wanted[],
  quick: boolean,
): Promise<CheckedCases> {
  const places = [...graphs.keys()];
  const sound = places.filter((i) => isKnown(wanted[i]));
  const faulty = places.filter((i) => wanted[i] === 'refused');
  const checked = await checkGraphs(
    sound.map((i) => graphs[i] as CheckItem),
    THREADS,
    { quick },
  );
  const problems = wanted.map((each): CaseProblem | undefined =>
    isKnown(each) || each === 'refused' ? undefined : each,
  );
  sound.forEach((i, k) => {
    problems[i] = checked.problems[k];
  });
  for (const i of faulty) problems[i] = await checkFaulty(graphs[i] as CheckItem, quick);
  return { problems, refused: checked.refused, faulty: faulty.length, peers: 0 };
}

async function checkFree(
  items: readonly OpCase[],
  target: string,
  quick: boolean,
): Promise<CheckedCases> {
  const options = { target };
  const problems = items.map((): CaseProblem | undefined => undefined);
  const places: number[] = [];
  const free: CheckItem[] = [];
  let refused = 0;
  items.forEach((item, i) => {
    const answer = wantedOf({ ...graphOf(item), options });
    if (!isKnown(answer)) return;
    const made = freeGraph(item, answer);
    if (made.kind === 'refused') refused++;
    if (made.kind === 'fault') problems[i] = { phase: 'free', text: made.text };
    if (made.kind !== 'graph') return;
    const { graph, inputs } = made;
    const found = freeOutputs(graph, inputs);
    const text = typeof found === 'string' ? found : difference({ graph, inputs }, found, answer);
    if (text !== undefined) problems[i] = { phase: 'free', text };
    else {
      places.push(i);
      free.push({ graph, inputs, options });
    }
  });
  const checked = await checkGraphs(free, THREADS, { quick });
  places.forEach((i, k) => {
    problems[i] = checked.problems[k];
  });
  return { problems, refused, faulty: 0, peers: free.length };
}

async function checkFaulty(item: CheckItem, quick: boolean): Promise<CaseProblem | undefined> {
  let phase: Problem['phase'] = 'compile';
  try {
    const compiled = compileGraph(item.graph, item.options);
    phase = 'C';
    const library = await mergedLibrary([compiled], { quick });
    phase = 'run';
    try {
      library.run([item.inputs], { threads: 1, poison: true });
    } finally {
      library.close();
    }
  } catch (error) {
    if (phase !== 'C' && isRefusal(error)) return undefined;
    return { phase, text: (error as Error).stack ?? String(error) };
  }
  return { phase, text: 'the reference refuses the data, the compiled run does not' };
}

async function checkOpsets(
  items: readonly OpCase[],
  seeds: readonly number[],
): Promise<CheckedCases> {
  const texts: (string | undefined)[] = [];
  for (const [i, item] of items.entries()) {
    texts.push(await checkOldOpset(item, seeds[i] ?? 0));
  }
  const problems = texts.map((text): CaseProblem | undefined =>
    text === undefined || text === 'same' ? undefined : { phase: 'opset', text },
  );
  const peers = texts.filter((text) => text !== undefined).length;
  return { problems, refused: 0, faulty: 0, peers };
}

async function checkPeer(
  items: readonly OpCase[],
  graphs: readonly CheckItem[],
  wanted: readonly Wanted[],
): Promise<CheckedCases> {
  const answers = await peerOutputs(items.map((item, i) => (isKnown(wanted[i]) ? item : null)));
  const problems = graphs.map((item, i): CaseProblem | undefined => {
    const [theirs, ours] = [answers[i], wanted[i]];
    if (theirs === undefined || !isKnown(ours)) return undefined;
    const text = difference(item, theirs, ours);
    return text === undefined ? undefined : { phase: 'peer', text };
  });
  const peers = answers.filter((answer) => answer !== undefined).length;
  const faulty = wanted.filter((outputs) => outputs === 'refused').length;
  return { problems, refused: 0, faulty, peers };
}
