/** `hone catalogue`: what can be rented and what is known of it; checks it, and fits the model again. */
import { checkCatalogue } from '../../advisor/catalogue.ts';
import type { Catalogue, Instance } from '../../advisor/catalogue-types.ts';
import {
  catalogueTexts,
  loadCatalogue,
  loadMeasurements,
  loadModel,
  loadWorkloads,
} from '../../advisor/data-files.ts';
import { fitModel } from '../../advisor/fit-model.ts';
import type { Invocation, Outcome } from '../command.ts';
import { modelTables } from '../advisor-docs.ts';
import { formatBytes, formatTable } from '../table.ts';

export async function run({ options, progress }: Invocation): Promise<Outcome> {
  if (options.flag('check')) return check();
  if (options.flag('fit')) {
    const model = fitModel({
      catalogue: loadCatalogue(),
      measurements: loadMeasurements(),
      workloads: loadWorkloads(),
      date: new Date().toISOString().slice(0, 10),
      progress,
    });
    return { json: { ...model }, text: modelTables(model) };
  }
  return list(loadCatalogue());
}

/** Exit code 1 where something is wrong. */
function check(): Outcome {
  const { catalogue, problems } = checkCatalogue(catalogueTexts());
  const model = loadModel();
  const stale = stalePrices(catalogue);
  return {
    json: {
      ok: problems.length === 0,
      problems,
      stale,
      instances: catalogue.instances.length,
      accelerators: catalogue.accelerators.length,
      sources: catalogue.sources.length,
      measurements: loadMeasurements().length,
      fitted: model.date,
    },
    text: [
      ...problems,
      `${catalogue.instances.length} instances, ${catalogue.accelerators.length} accelerators, ${catalogue.sources.length} sources: ${problems.length === 0 ? 'no problem' : `${problems.length} problems`}`,
      ...(stale.length === 0
        ? []
        : [
            `prices older than half a year, of ${stale.length} instances: give newer ones with --prices`,
          ]),
      `the model was fitted on ${model.date} to ${model.used} of ${model.rows} measurements`,
    ],
    ...(problems.length === 0 ? {} : { exitCode: 1 as const }),
  };
}

function stalePrices({ instances }: Catalogue): readonly string[] {
  const limit = Date.now() - 180 * 86_400_000;
  return instances
    .filter(({ prices }) => prices.some((price) => Date.parse(price.date) < limit))
    .map(({ name }) => name);
}

function list(catalogue: Catalogue): Outcome {
  const { instances, accelerators, sources, factors } = catalogue;
  return {
    json: {
      instances: instances.map((instance) => ({
        name: instance.name,
        family: instance.family,
        vcpus: instance.vcpus,
        memory_bytes: instance.memoryBytes,
        cpu: instance.cpuModel,
        accelerator: instance.accelerator?.id ?? null,
        accelerators: instance.acceleratorCount,
        compile_target: instance.compileTarget,
        service_target: instance.serviceTarget,
        available: instance.available,
        prices: instance.prices,
      })),
      accelerators,
      sources,
      factors,
    },
    text: formatTable(
      ['instance', 'vCPUs', 'memory', 'accelerator', 'EC2 USD/h', 'SageMaker USD/h', 'prices of'],
      instances.map((instance) => [
        instance.name,
        `${instance.vcpus}`,
        formatBytes(instance.memoryBytes),
        instance.accelerator === null
          ? ''
          : `${instance.acceleratorCount} × ${instance.accelerator.name}`,
        price(instance, 'ec2'),
        price(instance, 'sagemaker'),
        instance.prices[0]?.date ?? '',
      ]),
      ['left', 'right', 'right', 'left', 'right', 'right'],
    ),
  };
}

function price({ prices }: Instance, service: 'ec2' | 'sagemaker'): string {
  return prices.find((item) => item.service === service)?.perHour.toFixed(3) ?? '-';
}
