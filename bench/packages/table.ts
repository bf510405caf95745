/** All packages of the bench, by theme. How to add one: bench/README.md. */
import type { PackageEntry } from './entry.ts';
import { LANGUAGE } from './rows/language.ts';
import { MEASUREMENTS } from './rows/measurements.ts';
import { PICTURES } from './rows/pictures.ts';
import { SOUND } from './rows/sound.ts';
import { TEXT_IN_PICTURES } from './rows/text-in-pictures.ts';

export const PACKAGES: readonly PackageEntry[] = [
  ...PICTURES,
  ...TEXT_IN_PICTURES,
  ...SOUND,
  ...LANGUAGE,
  ...MEASUREMENTS,
];
