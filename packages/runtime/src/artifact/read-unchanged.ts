/**
 * Reading an artifact takes several steps, and a writer may put another one in its place between
 * them. The directory is another one then, which is seen, and reading starts anew: what comes out
 * is of one artifact only.
 */
import { statSync } from 'node:fs';
import { fail } from '../base/diagnostics.ts';

const TRIES = 50;
const NOTHING = 'nothing';

/**
 * Calls `work`, again when the artifact was replaced meanwhile; `undo` ends what an earlier call
 * gave. Throws HONE-ARTIFACT-016 when it never stays.
 */
export function readUnchanged<T>(
  directory: string,
  work: () => T,
  undo: (result: T) => void = () => {},
): T {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const before = identityOf(directory);
    let result: T;
    try {
      result = work();
    } catch (error) {
      // Where there was nothing, a writer may have been between its two renames, twice.
      const gone = before === NOTHING && attempt < 3;
      if (identityOf(directory) === before && !gone) throw error;
      continue;
    }
    if (identityOf(directory) === before) return result;
    undo(result);
  }
  return replaced(directory);
}

/** For reading that cannot start anew: the function returned throws when the artifact was replaced. */
export function watchIdentity(directory: string): () => void {
  const before = identityOf(directory);
  return () => {
    if (identityOf(directory) !== before) replaced(directory);
  };
}

function replaced(directory: string): never {
  fail(
    'HONE-ARTIFACT-016',
    `${directory} was replaced while it was read`,
    directory,
    'try again when nothing writes to it',
  );
}

/** Another directory in its place has another number, or at least another birth. */
function identityOf(directory: string): string {
  const stat = statSync(directory, { throwIfNoEntry: false, bigint: true });
  return stat === undefined ? NOTHING : `${stat.dev} ${stat.ino} ${stat.birthtimeNs}`;
}
