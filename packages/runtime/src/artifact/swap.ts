/**
 * Puts a finished directory in the place of another: whoever looks finds the old artifact or the
 * new one, never half of one.
 *
 * A new artifact is written to a sibling `.NAME.hone-new-…`; then the old one is renamed to
 * `.NAME.hone-old`, the new one to its place, and the old one removed. A process that dies between
 * the two renames leaves no NAME but a whole `.NAME.hone-old`: `recoverSwap` puts that back.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fail } from '../base/diagnostics.ts';
import { sha256 } from '../base/digest.ts';
import { MANIFEST_FILE } from './manifest.ts';

/** Directories of writers on other hosts are kept for so long, in case one still works. */
const STALE_MS = 24 * 60 * 60 * 1000;

function siblings(target: string): { folder: string; old: string; prefix: string } {
  const folder = path.dirname(target);
  const base = `.${path.basename(target)}.hone`;
  return { folder, old: path.join(folder, `${base}-old`), prefix: `${base}-new-` };
}

/** Undoes an interrupted swap; true when it had to. */
export function recoverSwap(target: string): boolean {
  const { old } = siblings(path.resolve(target));
  if (!existsSync(old) || existsSync(target)) return false;
  renameSync(old, target);
  return true;
}

/** Throws unless there is nothing at the target, or an artifact (or an empty directory). */
export function checkReplaceable(target: string): void {
  const stat = lstatSync(target, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const replaceable =
    stat.isDirectory() &&
    (existsSync(path.join(target, MANIFEST_FILE)) || readdirSync(target).length === 0);
  if (!replaceable) {
    fail(
      'HONE-ARTIFACT-001',
      `${target} is there and is not an artifact, so it is not overwritten`,
      target,
      'choose another output path, or remove it yourself',
    );
  }
}

/** Calls `fill` with a new directory beside the target and swaps it in when that is done. */
export function replaceDirectory(target: string, fill: (directory: string) => void): void {
  const place = path.resolve(target);
  const { folder, old, prefix } = siblings(place);
  recoverSwap(place);
  checkReplaceable(place);
  mkdirSync(folder, { recursive: true });
  removeStale(folder, prefix);
  const fresh = path.join(
    folder,
    `${prefix}${hostTag()}-${process.pid}-${randomBytes(4).toString('hex')}`,
  );
  mkdirSync(fresh);
  try {
    fill(fresh);
    rmSync(old, { recursive: true, force: true });
    const replaced = existsSync(place);
    if (replaced) renameSync(place, old);
    renameSync(fresh, place);
    if (replaced) rmSync(old, { recursive: true, force: true });
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    recoverSwap(place);
    throw error;
  }
}

function removeStale(folder: string, prefix: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(prefix)) continue;
    const leftover = path.join(folder, name);
    const stat = lstatSync(leftover, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    const [host, pid] = name.slice(prefix.length).split('-');
    const dead = host === hostTag() && !isAlive(Number(pid));
    if (!dead && Date.now() - stat.mtimeMs < STALE_MS) continue;
    rmSync(leftover, { recursive: true, force: true });
  }
}

/** Tells the writers of this host, whose process ids mean something here, from others. */
function hostTag(): string {
  return sha256(os.hostname()).slice(0, 8);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
