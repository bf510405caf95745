/**
 * Puts a finished directory in the place of another: whoever looks finds the old artifact or the
 * new one, never half of one. Writers may meet; the last one wins, whole.
 *
 * A new artifact is written to a sibling `.NAME.hone-new-…`. Then the old one is renamed to
 * `.NAME.hone-old-…`, the new one to its place, and the old one removed. A process that dies between
 * the renames leaves no NAME but a whole `.NAME.hone-old-…`: `recoverSwap` puts that back. What is to
 * be removed is renamed to `.NAME.hone-trash-…` first, so that an `old` one is always whole. The next
 * writer removes what dead ones left.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fail } from '../base/diagnostics.ts';
import { MANIFEST_FILE } from './manifest.ts';
import { isLeftByDead, ownerTag } from './process-tag.ts';
import { removeAtExit } from './temporary.ts';

/** A swap takes milliseconds: an owner that is this slow was stopped, or its number is another's. */
const PATIENCE_MS = 2000;
/** Writers in each other's way; each round one of them gets further. */
const MAX_ROUNDS = 1000;

type Kind = 'new' | 'old' | 'trash';

/** A directory to fill, which takes the target's place at `commit`. */
export interface Swap {
  readonly directory: string;
  commit(): void;
  /** Removes the directory; the target stays as it is. */
  abort(): void;
}

function siblingPrefix(place: string, kind: Kind): string {
  return `.${path.basename(place)}.hone-${kind}`;
}

function newSibling(place: string, kind: Kind): string {
  return path.join(path.dirname(place), `${siblingPrefix(place, kind)}-${ownerTag()}`);
}

function siblings(place: string, kind: Kind): string[] {
  const prefix = siblingPrefix(place, kind);
  const folder = path.dirname(place);
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .sort()
    .map((name) => path.join(folder, name));
}

function isDead(sibling: string, place: string, kind: Kind): boolean {
  const tag = path.basename(sibling).slice(siblingPrefix(place, kind).length + 1);
  return isLeftByDead(sibling, tag);
}

/** Undoes an interrupted swap; true when it had to. Waits for a swap that is under way. */
export function recoverSwap(target: string): boolean {
  const place = path.resolve(target);
  const deadline = performance.now() + PATIENCE_MS;
  while (!existsSync(place) && existsSync(path.dirname(place))) {
    const whole = siblings(place, 'old');
    if (whole.length === 0) return false;
    const lost = whole.find((old) => isDead(old, place, 'old'));
    const chosen = lost ?? (performance.now() > deadline ? whole[0] : undefined);
    if (chosen !== undefined && tryRename(chosen, place)) return true;
    pause(2);
  }
  return false;
}

/** Throws unless there is nothing at the target, or an artifact (or an empty directory). */
export function checkReplaceable(target: string): void {
  const stat = lstatSync(target, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const replaceable =
    stat.isDirectory() &&
    (existsSync(path.join(target, MANIFEST_FILE)) || readdirSync(target).length === 0);
  // Another writer may have moved it away in the meantime.
  if (replaceable || !existsSync(target)) return;
  fail(
    'HONE-ARTIFACT-001',
    `${target} is there and is not an artifact, so it is not overwritten`,
    target,
    'choose another output path, or remove it yourself',
  );
}

/** Makes a directory beside the target, which is checked first. */
export function beginSwap(target: string): Swap {
  const place = path.resolve(target);
  mkdirSync(path.dirname(place), { recursive: true });
  recoverSwap(place);
  checkReplaceable(place);
  removeLeftovers(place);
  const directory = newSibling(place, 'new');
  mkdirSync(directory);
  const keep = removeAtExit(directory);
  return {
    directory,
    commit() {
      exchange(directory, place);
      keep();
    },
    abort() {
      rmSync(directory, { recursive: true, force: true });
      keep();
    },
  };
}

/** Calls `fill` with a new directory beside the target and swaps it in when that is done. */
export function replaceDirectory(target: string, fill: (directory: string) => void): void {
  const swap = beginSwap(target);
  try {
    fill(swap.directory);
    swap.commit();
  } catch (error) {
    swap.abort();
    throw error;
  }
}

function exchange(fresh: string, place: string): void {
  const moved: string[] = [];
  try {
    for (let round = 0; ; round++) {
      checkReplaceable(place);
      try {
        renameSync(fresh, place);
        break;
      } catch (error) {
        if (!isOccupied(error, place) || round === MAX_ROUNDS) throw error;
      }
      const old = newSibling(place, 'old');
      if (tryRename(place, old)) moved.push(old);
    }
  } catch (error) {
    const last = moved.pop();
    if (last !== undefined && !existsSync(place)) tryRename(last, place);
    throw error;
  } finally {
    for (const old of moved) discard(old, place);
  }
}

/** Something is at the place of the rename. */
function isOccupied(error: unknown, place: string): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (['ENOTEMPTY', 'EEXIST'].includes(code)) return true;
  return process.platform === 'win32' && ['EPERM', 'EACCES'].includes(code) && existsSync(place);
}

/** False when the source is gone, or something came to the target. */
function tryRename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(code)) return false;
    throw error;
  }
}

/** Removes an artifact that nobody needs; failing to leaves it to the next writer. */
function discard(old: string, place: string): void {
  try {
    const trash = newSibling(place, 'trash');
    if (tryRename(old, trash)) rmSync(trash, { recursive: true, force: true });
  } catch {
    // The new artifact is in its place, which is what was asked for.
  }
}

function removeLeftovers(place: string): void {
  for (const kind of ['new', 'trash'] as const) {
    for (const sibling of siblings(place, kind)) {
      if (isDead(sibling, place, kind)) rmSync(sibling, { recursive: true, force: true });
    }
  }
  if (!existsSync(place)) return;
  for (const sibling of siblings(place, 'old')) {
    if (isDead(sibling, place, 'old')) discard(sibling, place);
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
