/**
 * Picks the library of an artifact that suits this machine best.
 */
import type { LibraryEntry, Manifest } from '../artifact/manifest.ts';
import { fail } from '../base/diagnostics.ts';
import { nativeTarget, parseTarget, targetRunsOn } from '../target/parse.ts';
import type { Target } from '../target/types.ts';

/** The library for `wanted` (a canonical name), else the one that uses most of this machine. */
export function chooseLibrary(manifest: Manifest, wanted?: string): LibraryEntry {
  const names = manifest.libraries.map((entry) => entry.target).join(', ') || 'none';
  if (wanted !== undefined) {
    const exact = manifest.libraries.find((entry) => entry.target === parseTarget(wanted).name);
    if (exact !== undefined) return exact;
    fail(
      'HONE-RUN-009',
      `the artifact has no library for ${wanted}; it has: ${names}`,
      wanted,
      `compile the model with --target ${wanted}`,
    );
  }
  const machine = nativeTarget();
  const usable = manifest.libraries
    .map((entry) => ({ entry, target: parseTarget(entry.target) }))
    .filter(({ target }) => targetRunsOn(target, machine))
    .sort((a, b) => rank(b.target) - rank(a.target));
  const best = usable[0];
  if (best !== undefined) return best.entry;
  return fail(
    'HONE-RUN-003',
    `no library of the artifact runs on this machine (${machine.name}); it has: ${names}`,
    machine.name,
    'compile the model with --target native, or for an older processor',
  );
}

function rank(target: Target): number {
  return target.level * 100 + target.features.length;
}
