/** All packages of the bench. How to add one: bench/README.md. */
import type { PackageEntry } from './entry.ts';
import { NPM_PACKAGES } from './npm-table.ts';
import { PYPI_PACKAGES } from './pypi-table.ts';

export const PACKAGES: readonly PackageEntry[] = [...PYPI_PACKAGES, ...NPM_PACKAGES];
