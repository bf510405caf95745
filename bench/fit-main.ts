/**
 * `npm run fit`: fits the performance model to the published measurements, judges it by
 * cross-validation, and writes packages/hone/data/model.json. `npm run docs` then makes
 * docs/advisor.md of it. A few minutes.
 */
import { writeFileSync } from 'node:fs';
import {
  loadCatalogue,
  loadMeasurements,
  loadWorkloads,
  MODEL_FILE,
} from 'hone/advisor/data-files';
import { fitModel } from 'hone/advisor/fit-model';

const model = fitModel({
  catalogue: loadCatalogue(),
  measurements: loadMeasurements(),
  workloads: loadWorkloads(),
  date: new Date().toISOString().slice(0, 10),
  progress: (message) => process.stderr.write(`${message}\n`),
});
// A parameter and a group a line.
const text = JSON.stringify(model, undefined, 1)
  .replace(/\[\n\s+(-?[\d.e-]+),\n\s+(-?[\d.e-]+)\n\s+\]/g, '[$1, $2]')
  .replace(/\{\n\s+"count"[^}]*\}/g, (item) => item.replace(/\n\s*/g, ' '));
writeFileSync(MODEL_FILE, `${text}\n`);
process.stderr.write(`wrote ${MODEL_FILE}\n`);
