/**
 * Compares two artifacts file by file, evidence and signatures aside. Causes come before their
 * effects: another graph makes other sources, other sources another library.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { MANIFEST_FILE, type Manifest } from 'hone-runtime/artifact/manifest';
import type { Artifact } from 'hone-runtime/artifact/read';
import { type ByteSource, openFile } from 'hone-runtime/base/io';

export interface Difference {
  readonly file: string;
  /** What differs, to be read behind the file's name. */
  readonly how: string;
}

const ORDER = ['choices.json', 'graph.ir', 'src', 'include', 'report.json', 'lib', 'weights'];
const PIECE_BYTES = 1 << 20;

/** Files in which `b` differs from `a`; empty when they are the same bytes. */
export function compareArtifacts(a: Artifact, b: Artifact): readonly Difference[] {
  const names = (artifact: Artifact): string[] => artifact.manifest.files.map((file) => file.path);
  const all = [...new Set([...names(a), ...names(b)])].sort((x, y) => rank(x) - rank(y));
  const differences = all.flatMap((file) => {
    const how = difference(path.join(a.path, file), path.join(b.path, file));
    return how === undefined ? [] : [{ file, how }];
  });
  // The manifest has the digests of the others, so it comes last.
  const [one, two] = [a, b].map((artifact) => path.join(artifact.path, MANIFEST_FILE));
  const how = difference(one ?? '', two ?? '');
  if (how === undefined) return differences;
  const member = differingMember(a.manifest, b.manifest);
  return [
    ...differences,
    { file: MANIFEST_FILE, how: member === undefined ? how : `differs in "${member}"` },
  ];
}

function differingMember(a: Manifest, b: Manifest): string | undefined {
  const members = ['name', 'source', 'compiler', 'inputs', 'outputs', 'libraries'] as const;
  return members.find((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
}

function rank(file: string): number {
  const place = ORDER.indexOf(file.split('/')[0] ?? '');
  return place < 0 ? ORDER.length : place;
}

function difference(a: string, b: string): string | undefined {
  if (!existsSync(a)) return 'is only in the rebuilt one';
  if (!existsSync(b)) return 'is not in the rebuilt one';
  const [one, two] = [openFile(a), openFile(b)];
  try {
    const at = firstDifference(one, two);
    if (at < Math.min(one.size, two.size)) return `differs from byte ${at} on`;
    return one.size === two.size ? undefined : `has ${one.size} bytes, rebuilt ${two.size}`;
  } finally {
    one.close();
    two.close();
  }
}

/** The first byte that differs, or the size of the smaller one. */
function firstDifference(one: ByteSource, two: ByteSource): number {
  const end = Math.min(one.size, two.size);
  for (let at = 0; at < end; at += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, end - at);
    const [a, b] = [one.read(at, length), two.read(at, length)];
    if (Buffer.compare(a, b) === 0) continue;
    return at + a.findIndex((byte, i) => byte !== b[i]);
  }
  return end;
}
