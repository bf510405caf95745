/**
 * Processor quotas of control groups: what the C runtime and Node make of the files of many systems,
 * and, where groups may be made here, of real ones.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { quotaCpus } from 'hone-runtime/target/cpu-quota';
import { writeCompiler } from '../support/c-compiler.ts';
import { ROOT } from '../support/doc-examples.ts';
import { withSample } from './sample-artifact.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'hone-quota-'));
after(() => rmSync(folder, { recursive: true }));
const noLinux = process.platform !== 'linux' && 'control groups are of Linux';

interface System {
  readonly name: string;
  /** /proc/self/cgroup. */
  readonly groups: string;
  /** Below /sys/fs/cgroup; a folder is a path that ends with a slash. */
  readonly files?: Readonly<Record<string, string>>;
  /** Links below /sys/fs/cgroup: name to target. */
  readonly links?: Readonly<Record<string, string>>;
  /** 0: no limit. */
  readonly cpus: number;
}

const v1 = (folder: string, quota: number): Readonly<Record<string, string>> => ({
  [`${folder}/cpu.cfs_quota_us`]: `${quota}\n`,
  [`${folder}/cpu.cfs_period_us`]: '100000\n',
});
const SLICE = '0::/user.slice/job.scope\n';

const SYSTEMS: readonly System[] = [
  { name: 'no groups at all', groups: '', cpus: 0 },
  { name: 'version 2, no limit', groups: SLICE, cpus: 0 },
  { name: '"max"', groups: '0::/\n', files: { 'cpu.max': 'max 100000\n' }, cpus: 0 },
  {
    name: 'a container sees its own group as the root',
    groups: '0::/\n',
    files: { 'cpu.max': '300000 100000\n' },
    cpus: 3,
  },
  {
    name: 'a group of its own',
    groups: SLICE,
    files: { 'user.slice/job.scope/cpu.max': '400000 100000\n' },
    cpus: 4,
  },
  {
    name: 'the group around it counts',
    groups: SLICE,
    files: {
      'user.slice/cpu.max': '200000 100000\n',
      'user.slice/job.scope/cpu.max': 'max 100000\n',
    },
    cpus: 2,
  },
  {
    name: 'the tightest of nested groups',
    groups: '0::/a/b/c\n',
    files: {
      'cpu.max': '800000 100000\n',
      'a/cpu.max': '300000 100000\n',
      'a/b/cpu.max': '1000000 200000\n',
      'a/b/c/cpu.max': '700000 100000\n',
    },
    cpus: 3,
  },
  {
    name: 'one and a half processors are one',
    groups: '0::/\n',
    files: { 'cpu.max': '150000 100000\n' },
    cpus: 1,
  },
  {
    name: 'less than one is one',
    groups: '0::/\n',
    files: { 'cpu.max': '20000 100000\n' },
    cpus: 1,
  },
  {
    name: 'the host’s path inside a container, where only its own group is mounted',
    groups: '0::/docker/0123abcd\n',
    files: { 'cpu.max': '200000 100000\n' },
    cpus: 2,
  },
  {
    name: 'a path out of the namespace',
    groups: '0::/../../other.slice\n',
    files: { 'cpu.max': '200000 100000\n' },
    cpus: 2,
  },
  {
    name: 'version 1',
    groups: '4:memory:/docker/x\n3:cpu:/docker/x\n2:cpuacct:/docker/x\n',
    files: v1('cpu/docker/x', 250000),
    cpus: 2,
  },
  {
    name: 'version 1, no limit',
    groups: '3:cpu:/\n',
    files: v1('cpu', -1),
    cpus: 0,
  },
  {
    name: 'version 1, nested',
    groups: '3:cpu:/outer/inner\n',
    files: { ...v1('cpu/outer', 200000), ...v1('cpu/outer/inner', 600000) },
    cpus: 2,
  },
  {
    name: 'version 1, controllers mounted together, with the usual link',
    groups: '5:cpu,cpuacct:/job\n',
    files: v1('cpu,cpuacct/job', 300000),
    links: { cpu: 'cpu,cpuacct' },
    cpus: 3,
  },
  {
    name: 'version 1, controllers mounted together, without a link',
    groups: '5:cpuacct,cpu:/job\n',
    files: v1('cpuacct,cpu/job', 300000),
    cpus: 3,
  },
  {
    name: 'another controller whose name begins alike',
    groups: '5:cpuset:/job\n',
    files: v1('cpuset/job', 300000),
    cpus: 0,
  },
  {
    name: 'hybrid: version 1 limits, version 2 is there for systemd',
    groups: '7:cpu,cpuacct:/job\n1:name=systemd:/job\n0::/job\n',
    files: { ...v1('cpu,cpuacct/job', 200000), 'unified/job/cgroup.procs': '' },
    links: { cpu: 'cpu,cpuacct' },
    cpus: 2,
  },
  {
    name: 'hybrid: version 2 limits',
    groups: '7:pids:/job\n0::/job\n',
    files: { 'unified/job/cpu.max': '500000 100000\n' },
    cpus: 5,
  },
  {
    name: 'both limit',
    groups: '7:cpu:/job\n0::/job\n',
    files: { ...v1('cpu/job', 400000), 'unified/job/cpu.max': '300000 100000\n' },
    cpus: 3,
  },
  {
    name: 'nonsense is no limit',
    groups: 'x\n:\n::\n0:\n0::/\n',
    files: { 'cpu.max': 'many\n' },
    cpus: 0,
  },
  {
    name: 'colons in names',
    groups: '0::/a:b\n',
    files: { 'a:b/cpu.max': '200000 100000\n' },
    cpus: 2,
  },
];

/** The files of a system in a folder. */
function install(system: System, index: number): string {
  const root = path.join(folder, `${index}`);
  const groups = path.join(root, 'sys/fs/cgroup');
  mkdirSync(path.join(root, 'proc/self'), { recursive: true });
  mkdirSync(groups, { recursive: true });
  writeFileSync(path.join(root, 'proc/self/cgroup'), system.groups);
  for (const [name, text] of Object.entries(system.files ?? {})) {
    mkdirSync(path.dirname(path.join(groups, name)), { recursive: true });
    writeFileSync(path.join(groups, name), text);
  }
  for (const [name, target] of Object.entries(system.links ?? {})) {
    symlinkSync(target, path.join(groups, name));
  }
  return root;
}

const PROBE = `
static const char *root = "";
#define HONE_ROOT root
#include "hone_posix.c"

int main(int count, char **roots) {
  for (int i = 1; i < count; i++) {
    root = roots[i];
    printf("%d\\n", quota_cpus());
  }
  return 0;
}
`;

test('C and Node read the quotas of many systems alike', { skip: noLinux }, () => {
  const roots = SYSTEMS.map(install);
  const source = path.join(folder, 'probe.c');
  const program = path.join(folder, 'probe');
  writeFileSync(source, PROBE);
  const compiler = writeCompiler(path.join(folder, 'bin'));
  const native = path.join(ROOT, 'packages/hone/native');
  const args = ['-O1', `-I${native}`, source, '-o', program, '-pthread'];
  const built = spawnSync(compiler, args, { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  const lines = spawnSync(program, roots, { encoding: 'utf8' }).stdout.trim().split('\n');
  SYSTEMS.forEach(({ name, cpus }, i) => {
    assert.equal(quotaCpus(roots[i]), cpus, `Node: ${name}`);
    assert.equal(Number(lines[i]), cpus, `C: ${name}`);
  });
});

/** A group with a group inside, where this process may make them; else why not. */
function makeGroups(): { readonly outer: string; readonly inner: string } | string {
  for (const mount of ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup']) {
    const outer = path.join(mount, `hone-test-${process.pid}`);
    const inner = path.join(outer, 'inner');
    try {
      mkdirSync(outer);
    } catch {
      continue;
    }
    try {
      // Version 2 hands controllers down only where asked to.
      if (mount === '/sys/fs/cgroup') {
        writeFileSync(path.join(outer, 'cgroup.subtree_control'), '+cpu');
      }
      mkdirSync(inner);
      setQuota(inner, null);
      return { outer, inner };
    } catch {
      removeGroups(outer);
    }
  }
  return 'control groups cannot be made here';
}

function removeGroups(outer: string): void {
  for (const group of [path.join(outer, 'inner'), outer]) {
    try {
      rmdirSync(group);
    } catch {
      // It was not made.
    }
  }
}

function setQuota(group: string, cpus: number | null): void {
  const period = 100_000;
  const quota = cpus === null ? null : Math.round(cpus * period);
  try {
    writeFileSync(path.join(group, 'cpu.max'), `${quota ?? 'max'} ${period}`, { flag: 'r+' });
  } catch {
    writeFileSync(path.join(group, 'cpu.cfs_quota_us'), `${quota ?? -1}`, { flag: 'r+' });
  }
}

test('the default number of threads keeps to a real group’s quota', async (t) => {
  if (noLinux || os.availableParallelism() < 2) return t.skip(noLinux || 'one processor');
  const groups = makeGroups();
  if (typeof groups === 'string') return t.skip(groups);
  const { outer, inner } = groups;
  try {
    await withSample((artifact) => {
      const script = `
        const { load } = await import(process.argv[1]);
        const { usableCpus } = await import(process.argv[2]);
        const session = load(process.argv[3]);
        console.log(session.threads, usableCpus());
        session.close();`;
      const modules = ['hone-runtime', 'hone-runtime/target/cpu-quota'].map((name) =>
        import.meta.resolve(name),
      );
      const inside = (): number[] => {
        const enter = `echo $$ > '${inner}/cgroup.procs' && exec "$@"`;
        const node = [process.execPath, '--input-type=module', '-e', script, ...modules, artifact];
        const child = spawnSync('sh', ['-c', enter, 'sh', ...node], { encoding: 'utf8' });
        assert.equal(child.status, 0, child.stderr);
        return child.stdout.trim().split(' ').map(Number);
      };
      const [most = 0, usable = 0] = inside();
      setQuota(inner, 1.5);
      assert.deepEqual(inside(), [1, 1]);
      setQuota(inner, null);
      setQuota(outer, 1);
      assert.deepEqual(inside(), [1, 1], 'the group around it');
      setQuota(outer, 64);
      assert.deepEqual(inside(), [most, usable], 'more than there are');
    });
  } finally {
    removeGroups(outer);
  }
});
