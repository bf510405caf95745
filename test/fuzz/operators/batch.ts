/** A batch of seeds judged in this process, its failing cases made small and described. */
import { type Against, type CaseProblem, checkCases, type CheckOptions } from './check-cases.ts';
import { type OpCase, printCase } from './op-case.ts';
import { randomCase } from './random-case.ts';
import { shrinkCase } from './shrink-case.ts';

export interface Batch {
  readonly seed: number;
  readonly count: number;
  readonly against: Against;
}

export interface BatchResult {
  /** Uses without a compiled form. */
  readonly refused: number;
  /** Uses whose data the reference refuses. */
  readonly faulty: number;
  /** Uses that the peer answered, or that were imported with all of their inputs. */
  readonly peers: number;
  readonly operators: readonly string[];
  readonly faults: readonly string[];
}

const SHRINK_MS = 20_000;
/** More than so many, and they are told as they are. */
const MAX_SHRUNK = 4;

export async function runBatch(batch: Batch, options: CheckOptions): Promise<BatchResult> {
  const faults: string[] = [];
  const items: Seeded[] = [];
  for (let seed = batch.seed; seed < batch.seed + batch.count; seed++) {
    try {
      items.push({ seed, item: randomCase(seed) });
    } catch (error) {
      // Inference and references answer, or refuse with a code.
      if (batch.against !== 'compiled') continue;
      faults.push(`seed ${seed}, reference: ${(error as Error).stack}`);
    }
  }
  const { problems, refused, faulty, peers } = await checkCases(
    items.map(({ item }) => item),
    items.map(({ seed }) => seed),
    batch.against,
    options,
  );
  for (const [i, { seed, item }] of items.entries()) {
    const problem = problems[i];
    if (problem === undefined) continue;
    const shown =
      faults.length < MAX_SHRUNK ? await shrunk({ seed, item }, problem, options) : { item };
    const text = (shown.text ?? problem.text).split('\n').slice(0, 6).join('\n');
    faults.push(`seed ${seed}, ${problem.phase}: ${text}\n${printCase(shown.item)}`);
  }
  const operators = [...new Set(items.map(({ item: { op } }) => `${op.domain ?? ''}:${op.name}`))];
  return { refused, faulty, peers, operators, faults };
}

interface Seeded {
  readonly seed: number;
  readonly item: OpCase;
}

interface Shrunk {
  readonly item: OpCase;
  readonly text?: string;
}

async function shrunk(
  { seed, item }: Seeded,
  problem: CaseProblem,
  options: CheckOptions,
): Promise<Shrunk> {
  const check = async (other: OpCase): Promise<CaseProblem | undefined> => {
    const { phase } = problem;
    const isOwn = phase === 'peer' || phase === 'opset' || phase === 'free';
    const against = isOwn ? phase : 'compiled';
    const { problems } = await checkCases([other], [seed], against, options);
    return problems[0]?.phase === problem.phase ? problems[0] : undefined;
  };
  const deadline = performance.now() + SHRINK_MS;
  const isFailing = async (other: OpCase): Promise<boolean> => (await check(other)) !== undefined;
  const small = await shrinkCase(item, isFailing, deadline);
  const text = (await check(small))?.text;
  return { item: small, text: text ?? `fails only among others: ${problem.text}` };
}
