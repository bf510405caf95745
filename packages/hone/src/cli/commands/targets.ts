/** `hone targets`: the processors Hone compiles for, and what `native` is here. */
import { knownTargets } from 'hone-runtime/target/known';
import type { Target } from 'hone-runtime/target/types';
import type { Outcome } from '../command.ts';
import { formatTable } from '../table.ts';

export async function run(): Promise<Outcome> {
  const known = knownTargets();
  const native = known.find((entry) => entry.kind === 'native');
  const rows = known.filter((entry) => entry.kind === 'cpu');
  const families = known.filter((entry) => entry.kind === 'family');
  const nativeName = native?.target.name ?? 'unknown';
  return {
    json: {
      native: nativeName,
      targets: rows.map((entry) => ({
        name: entry.name,
        full_name: entry.target.name,
        description: describe(entry.target),
        runs_here: entry.runsHere,
      })),
      families: families.map((entry) => ({
        family: entry.name,
        target: entry.target.name,
        runs_here: entry.runsHere,
      })),
    },
    text: [
      `native is ${nativeName}`,
      '',
      ...formatTable(
        ['target', 'what it is', 'runs here'],
        rows.map((entry) => [entry.name, describe(entry.target), entry.runsHere ? 'yes' : 'no']),
      ),
      '',
      ...formatTable(
        ['family', 'target', 'runs here'],
        families.map((entry) => [entry.name, entry.target.name, entry.runsHere ? 'yes' : 'no']),
      ),
      '',
      'Add features with + and a system with -, e.g. x86-64-v4+vnni+bf16-linux-musl.',
    ],
  };
}

function describe(target: Target): string {
  const system = [target.os, target.abi].filter((part) => part !== 'none').join(' ');
  const vectors = `${target.lanes * 32}-bit vectors`;
  return [vectors, ...target.features, system].filter((part) => part !== '').join(', ');
}
