/** The files in packages/hone/data, read when they are asked for. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fail } from 'hone-runtime/base/diagnostics';
import { readCatalogue, type CatalogueTexts } from './catalogue.ts';
import type { Catalogue } from './catalogue-types.ts';
import { type Measurement, parseMeasurements } from './measurements.ts';
import type { Workload } from './model-types.ts';
import { type FittedModel, parseModel } from './fitted-model.ts';
import { parseWorkloads } from './stored-workloads.ts';

export const MODEL_FILE = dataFile('model.json');

function dataFile(name: string): string {
  return fileURLToPath(new URL(`../../data/${name}`, import.meta.url));
}

/** Throws HONE-ADVISE-001. */
function readData(name: string): string {
  try {
    return readFileSync(dataFile(name), 'utf8');
  } catch (error) {
    const { message } = error as Error;
    return fail('HONE-ADVISE-001', `${name}: ${message}`, name, 'install the package again');
  }
}

export function catalogueTexts(): CatalogueTexts {
  return {
    sources: readData('sources.csv'),
    accelerators: readData('accelerators.csv'),
    instances: readData('instances.csv'),
  };
}

export function loadCatalogue(): Catalogue {
  return readCatalogue(catalogueTexts());
}

/** Published measurements, and our own of the bench's networks. */
export function loadMeasurements(): readonly Measurement[] {
  return ['measured.csv', 'measured-hone.csv'].flatMap((name) =>
    parseMeasurements(readData(name), name),
  );
}

export function loadWorkloads(): ReadonlyMap<string, Workload> {
  return parseWorkloads(readData('topologies.json'), 'topologies.json');
}

export function loadModel(): FittedModel {
  return parseModel(readData('model.json'), 'model.json');
}
