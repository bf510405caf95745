/** Files that appear whole or not at all: written under a temporary name beside, then renamed. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isLeftByDead, ownerTag } from './process-tag.ts';
import { removeAtExit } from './temporary.ts';

/** `write` is given the temporary name; a file that was at the target is replaced. */
export async function writeWholeFile(
  target: string,
  write: (file: string) => Promise<void>,
): Promise<void> {
  const place = path.resolve(target);
  const folder = path.dirname(place);
  const prefix = `.${path.basename(place)}.hone-part-`;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix)) continue;
    const leftover = path.join(folder, name);
    if (isLeftByDead(leftover, name.slice(prefix.length))) rmSync(leftover, { force: true });
  }
  const temporary = path.join(folder, `${prefix}${ownerTag()}`);
  const keep = removeAtExit(temporary);
  try {
    await write(temporary);
    renameSync(temporary, place);
  } finally {
    keep();
    if (existsSync(temporary)) rmSync(temporary, { force: true });
  }
}
