/** Packages of npm. */
import type { NpmPackage } from './entry.ts';

export const NPM_PACKAGES: readonly NpmPackage[] = [];
