/** `hone advise`: which hardware to rent for a model and a service level, and why. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fail } from 'hone-runtime/base/diagnostics';
import { advise } from '../../advisor/advise.ts';
import type { Advice, Demand } from '../../advisor/advice-types.ts';
import { withPrices } from '../../advisor/catalogue.ts';
import type { Catalogue } from '../../advisor/catalogue-types.ts';
import { loadCatalogue, loadModel } from '../../advisor/data-files.ts';
import { readDemand } from '../../advisor/demand.ts';
import { isWanted } from '../../advisor/search.ts';
import { workloadOf } from '../../advisor/workload.ts';
import type { Workload } from '../../advisor/model-types.ts';
import { importOnnx, openOnnx, takesBatch } from '../../frontends/onnx/index.ts';
import { adviceText } from '../advice-text.ts';
import type { Invocation, Outcome } from '../command.ts';
import { type CompileRequest, readCompileRequest } from '../compile-request.ts';
import { adviseMeasured, measurementLines } from '../measure/advise-measured.ts';
import { readMeasureOptions } from '../measure/measure-options.ts';
import { requireModel } from '../model-path.ts';
import type { OptionReader } from '../option-reader.ts';
import { writeAdvicePage } from '../write-page.ts';

export async function run({ args, options, log, progress }: Invocation): Promise<Outcome> {
  const path = args[0] ?? '';
  const demand = demandOf(options);
  const measuring = readMeasureOptions(options);
  const html = options.text('html');
  const catalogue = catalogueOf(options);
  checkHardware(demand, catalogue);
  requireModel(path);
  progress('looking at the model');
  const { workload, notes } = readWorkload(path, options);
  progress('searching');
  const model = loadModel();
  const today = new Date().toISOString().slice(0, 10);
  const { advice, measurements, failures } = await adviseMeasured(measuring, {
    path,
    label: basename(path),
    request: sizesOf(path, options),
    workload,
    catalogue,
    model,
    search: (measured) =>
      advise({
        path,
        workload,
        catalogue,
        model,
        demand,
        today,
        ...(measured === undefined ? {} : { measured }),
      }),
    log,
    progress,
  });
  const all: Advice = { ...advice, notes: [...notes, ...advice.notes] };
  if (html !== undefined) writeAdvicePage(html, all, measurements);
  const failed = all.rows.length === 0 || failures.length > 0;
  return {
    json: { ...all, measurements, failures },
    text: [...adviceText(all), ...measurementLines(measurements)],
    ...(failed ? { exitCode: 1 as const } : {}),
  };
}

/** What was asked for. Throws HONE-ADVISE-004. */
function demandOf(options: OptionReader): Demand {
  const given = Object.fromEntries(
    [
      'sla',
      'throughput',
      'budget',
      'accuracy',
      'framework',
      'region',
      'service',
      'payment',
      'hardware',
    ].flatMap((name) => {
      const value = options.text(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  return readDemand({ ...given, offline: options.flag('offline') });
}

/** The catalogue, with the user's prices. Throws HONE-ADVISE-003, HONE-IO-001. */
function catalogueOf(options: OptionReader): Catalogue {
  const file = options.text('prices');
  const catalogue = loadCatalogue();
  if (file === undefined) return catalogue;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    fail(
      'HONE-ADVISE-003',
      `${file} cannot be read: ${(error as Error).message}`,
      file,
      'give a table of prices: instance,service,region,currency,per_hour,date',
    );
  }
  return withPrices(catalogue, text, file);
}

function checkHardware({ hardware }: Demand, { instances, accelerators }: Catalogue): void {
  const known = new Set([
    ...instances.flatMap(({ name, family }) => [name, family]),
    ...accelerators.map(({ id }) => id),
  ]);
  const unknown = hardware.find((name) => !known.has(name));
  if (unknown !== undefined) {
    const families = [...new Set(instances.map(({ family }) => family))];
    const near = [...known].filter((name) => name.startsWith(unknown.slice(0, 2))).slice(0, 8);
    fail(
      'HONE-ADVISE-005',
      `there is no instance, family or accelerator "${unknown}" in the catalogue`,
      '--hardware',
      near.length > 0
        ? `near: ${near.join(', ')}; \`hone catalogue\` lists them all`
        : `families: ${families.join(', ')}; \`hone catalogue\` lists them all`,
    );
  }
  if (
    hardware.length > 0 &&
    !instances.some((instance) => isWanted(instance, { hardware } as Demand))
  ) {
    fail(
      'HONE-ADVISE-005',
      `no instance with ${hardware.join(', ')} is for rent in the catalogue`,
      '--hardware',
      '`hone catalogue` lists what there is',
    );
  }
}

function readWorkload(
  path: string,
  options: OptionReader,
): { readonly workload: Workload; readonly notes: readonly string[] } {
  const sizes = sizesOf(path, options);
  const model = openOnnx(path);
  try {
    const { graph, notes } = importOnnx(model, sizes);
    const workload = workloadOf(graph, sizes.batch ?? 1);
    if (takesBatch(model.graph, {})) return { workload, notes };
    const fixed =
      'the model fixes its first dimension: only batch 1 is compared; exported with an open one, others are too';
    return { workload: { ...workload, fixedBatch: true }, notes: [...notes, fixed] };
  } finally {
    model.close();
  }
}

/** Shapes and batch; which processor is the advisor's own question. */
function sizesOf(path: string, options: OptionReader): CompileRequest {
  const { target: _target, ...sizes } = readCompileRequest(path, options);
  return sizes;
}
