/**
 * Names of temporary files tell who made them, so that what a killed process left behind can be
 * told from what another one is working on.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, readlinkSync } from 'node:fs';
import os from 'node:os';
import { sha256 } from '../base/digest.ts';

/** Leftovers of unknown processes are kept for so long, in case one still works. */
const STALE_MS = 24 * 60 * 60 * 1000;

/** A new name each time: host, process, number. */
export function ownerTag(): string {
  return `${hostTag()}-${process.pid}-${randomBytes(4).toString('hex')}`;
}

/** True when nobody works on the file any more, as far as can be told from its tag and age. */
export function isLeftByDead(file: string, tag: string): boolean {
  const [host, pid] = tag.split('-');
  if (host === hostTag()) return !isAlive(Number(pid));
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > STALE_MS;
}

let known: string | undefined;

/** Where a process id means the same process: a host, and in it a name space of processes. */
function hostTag(): string {
  known ??= sha256(`${os.hostname()} ${processSpace()}`).slice(0, 8);
  return known;
}

function processSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
