/**
 * How many processors control groups leave this process, as the C runtime counts them
 * (hone_posix.c): Node before version 22 knows of affinity only.
 */
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Processors that affinity and quotas leave. */
export function usableCpus(): number {
  const quota = quotaCpus();
  return Math.max(1, Math.min(os.availableParallelism(), quota === 0 ? Infinity : quota));
}

/**
 * Whole processors that the control groups around this process allow (version 1 and 2); 0 when they set
 * no limit. Parts of a processor are left out, but one is always there. `root` is where files of the
 * system are looked for.
 */
export function quotaCpus(root = '/'): number {
  const limits = readText(path.join(root, 'proc/self/cgroup'))
    .split('\n')
    .flatMap((line) => {
      const [, controllers, ...rest] = line.split(':');
      const group = rest.join(':');
      if (controllers === undefined || rest.length === 0) return [];
      return mountsOf(controllers).flatMap((mount) =>
        groupsAround(group).map((name) => groupCpus(`${root}/sys/fs/cgroup${mount}${name}`)),
      );
    })
    .filter((cpus) => cpus > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}

/** Where a hierarchy is mounted, below /sys/fs/cgroup. */
function mountsOf(controllers: string): readonly string[] {
  if (controllers === '') return ['', '/unified'];
  return controllers.split(',').includes('cpu') ? ['/cpu', `/${controllers}`] : [];
}

/** "/a/b" → "/a/b", "/a", "". */
function groupsAround(group: string): readonly string[] {
  const parts = group.split('/').slice(1);
  const names = parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
  return ['', ...(group === '/' ? [] : names)];
}

function groupCpus(folder: string): number {
  const both = /^(\d+) (\d+)/.exec(readText(`${folder}/cpu.max`));
  if (both !== null) return wholeCpus(Number(both[1]), Number(both[2]));
  const quota = Number(readText(`${folder}/cpu.cfs_quota_us`));
  return wholeCpus(quota, Number(readText(`${folder}/cpu.cfs_period_us`)));
}

function wholeCpus(quota: number, period: number): number {
  if (!(quota > 0 && period > 0)) return 0;
  return Math.max(1, Math.floor(quota / period));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
