/**
 * Tells what draws random numbers in which iterations it runs; see `ops/control/number-draws.ts`. Imported
 * graphs know that already: this is for graphs that are built, and for what decompositions bring.
 */
import { numberDraws } from '../ops/control/number-draws.ts';
import type { Pass } from './pass.ts';

export const numberRandom: Pass = { name: 'number-draws', run: numberDraws };
