/** Reads and checks the catalogue: tables in, frozen entries and a list of problems out. */
import { fail, HoneError } from 'hone-runtime/base/diagnostics';
import type {
  Accelerator,
  AcceleratorKind,
  Catalogue,
  CatalogueSource,
  Instance,
  OperatorSupport,
  Precision,
  Price,
  PriceFactor,
} from './catalogue-types.ts';
import { type CsvRow, parseCsv } from './csv.ts';
import { NEURON_OPERATORS, NEURONX_OPERATORS } from './neuron-operators.ts';

/** Texts of the tables, by what they hold. */
export interface CatalogueTexts {
  readonly sources: string;
  readonly accelerators: string;
  readonly instances: string;
}

export interface CheckedCatalogue {
  readonly catalogue: Catalogue;
  /** What is wrong, as `file:line: what`; empty: all is well. */
  readonly problems: readonly string[];
}

const GIB = 2 ** 30;
const REGION = 'us-east-1';

/** What other ways of paying cost; the source is an estimate and says so. */
const FACTORS: readonly PriceFactor[] = [
  { name: 'on-demand', factor: 1, source: 'karpenter' },
  { name: 'spot', factor: 0.4, source: 'ec2-factors' },
  { name: 'reserved-1y', factor: 0.63, source: 'ec2-factors' },
  { name: 'reserved-3y', factor: 0.43, source: 'ec2-factors' },
];

/** `--target` of `hone compile` by family of instances. */
const COMPILE_TARGETS: Readonly<Record<string, string>> = {
  c4: 'ml_c4',
  m4: 'ml_m4',
  c5: 'ml_c5',
  m5: 'ml_m5',
  c6i: 'ml_c6i',
  c7i: 'ml_c7i',
  m7i: 'ml_m7i',
  c6g: 'ml_c6g',
  c7g: 'ml_c7g',
};

/** Collects problems instead of stopping at the first. */
class Checker {
  readonly problems: string[] = [];

  say(file: string, row: CsvRow, what: string): void {
    this.problems.push(`${file}:${row.line}: ${what}`);
  }

  /** A positive number; null where the cell is empty and may be. */
  number(file: string, row: CsvRow, name: string, required: boolean): number | null {
    const text = row.cells[name];
    if (text === undefined) {
      this.say(file, row, `there is no column ${name}`);
      return null;
    }
    if (text === '' && !required) return null;
    const value = Number(text);
    if (text !== '' && Number.isFinite(value) && value > 0) return value;
    this.say(file, row, `${name} is "${text}", not a positive number`);
    return null;
  }

  one<T extends string>(file: string, row: CsvRow, name: string, of: readonly T[]): T {
    const text = row.cells[name] ?? '';
    const found = of.find((item) => item === text);
    if (found !== undefined) return found;
    this.say(file, row, `${name} is "${text}", none of ${of.join(', ')}`);
    return of[0] as T;
  }
}

/** Throws HONE-ADVISE-001 only where a table cannot be read at all. */
export function checkCatalogue(texts: CatalogueTexts): CheckedCatalogue {
  const checker = new Checker();
  const sources = parseCsv(texts.sources, 'sources.csv').map((row) => readSource(row, checker));
  const known = new Set(sources.map((source) => source.id));
  const accelerators = parseCsv(texts.accelerators, 'accelerators.csv').map((row) =>
    readAccelerator(row, checker, known),
  );
  const devices = new Map(accelerators.map((device) => [device.id, device]));
  const rows = parseCsv(texts.instances, 'instances.csv');
  const instances = rows.map((row) => readInstance(row, checker, known, devices));
  for (const [file, names] of [
    ['sources.csv', sources.map((source) => source.id)],
    ['accelerators.csv', accelerators.map((device) => device.id)],
    ['instances.csv', instances.map((instance) => instance.name)],
  ] as const) {
    const twice = names.filter((name, i) => names.indexOf(name) !== i);
    for (const name of twice) checker.problems.push(`${file}: ${name} is there twice`);
  }
  return {
    catalogue: { sources, accelerators, instances, factors: FACTORS },
    problems: checker.problems,
  };
}

/** The catalogue; throws HONE-ADVISE-002 with the first problem. */
export function readCatalogue(texts: CatalogueTexts): Catalogue {
  const { catalogue, problems } = checkCatalogue(texts);
  const [first] = problems;
  if (first === undefined) return catalogue;
  return fail(
    'HONE-ADVISE-002',
    `the catalogue has ${problems.length} problems, the first: ${first}`,
    first.split(': ')[0],
    '`hone catalogue --check` lists them all',
  );
}

const DATE = /^\d{4}(-\d{2}(-\d{2})?)?(-\d{4})?$/;

function readSource(row: CsvRow, checker: Checker): CatalogueSource {
  const { id = '', text = '', date = '' } = row.cells;
  const file = 'sources.csv';
  if (id === '' || text === '') checker.say(file, row, 'a source has an id and a text');
  if (!DATE.test(date))
    checker.say(file, row, `date is "${date}", not YYYY, YYYY-MM or YYYY-MM-DD`);
  const kind = checker.one(file, row, 'kind', [
    'published',
    'community',
    'derived',
    'estimated',
  ] as const);
  return { id, text, date, kind };
}

const OPERATORS: Readonly<Record<string, readonly string[] | null>> = {
  all: null,
  neuron: NEURON_OPERATORS,
  neuronx: NEURONX_OPERATORS,
};

function readAccelerator(row: CsvRow, checker: Checker, sources: ReadonlySet<string>): Accelerator {
  const file = 'accelerators.csv';
  const { cells } = row;
  const number = (name: string): number | null => checker.number(file, row, name, false);
  const required = (name: string): number => checker.number(file, row, name, true) ?? 1;
  checkSource(file, row, cells['source'] ?? '', checker, sources);
  const peak: Partial<Record<Precision, number>> = {};
  for (const precision of ['fp32', 'tf32', 'bf16', 'fp16', 'int8'] as const) {
    const tera = number(precision);
    if (tera !== null) peak[precision] = tera * 1e12;
  }
  if (Object.keys(peak).length === 0) checker.say(file, row, 'no peak is given');
  const operators = OPERATORS[cells['operators'] ?? ''];
  if (operators === undefined) {
    checker.say(file, row, `operators is "${cells['operators']}", none of all, neuron, neuronx`);
  }
  const [base, boost] = [number('base_mhz'), number('boost_mhz')];
  if (base !== null && boost !== null && base > boost) {
    checker.say(file, row, 'the base clock is above the boost clock');
  }
  const cache = number('cache_mib');
  const support: OperatorSupport = {
    supports: operators ?? null,
    controlFlow: checker.one(file, row, 'control_flow', ['device', 'cpu', 'refused'] as const),
  };
  return {
    id: cells['id'] ?? '',
    name: cells['name'] ?? '',
    kind: checker.one<AcceleratorKind>(file, row, 'kind', ['gpu', 'neuron', 'attached', 'cpu']),
    year: required('year'),
    memoryBytes: required('memory_gib') * GIB,
    bandwidthBytesPerSecond: required('bandwidth_gb_s') * 1e9,
    cacheBytes: cache === null ? null : cache * 2 ** 20,
    peak,
    baseClockMhz: base,
    boostClockMhz: boost,
    powerWatts: number('watts'),
    cores: required('cores'),
    operators: support,
    frameworks: (cells['frameworks'] ?? '').split(';'),
    wasteful: cells['wasteful'] || null,
    source: cells['source'] ?? '',
  };
}

function checkSource(
  file: string,
  row: CsvRow,
  id: string,
  checker: Checker,
  sources: ReadonlySet<string>,
): void {
  if (!sources.has(id)) checker.say(file, row, `source "${id}" is not in sources.csv`);
}

function readInstance(
  row: CsvRow,
  checker: Checker,
  sources: ReadonlySet<string>,
  devices: ReadonlyMap<string, Accelerator>,
): Instance {
  const file = 'instances.csv';
  const { cells } = row;
  const number = (name: string): number | null => checker.number(file, row, name, false);
  const required = (name: string): number => checker.number(file, row, name, true) ?? 1;
  const name = cells['instance'] ?? '';
  const id = cells['accelerator'] ?? '';
  const accelerator = devices.get(id);
  if (id !== '' && accelerator === undefined) {
    checker.say(file, row, `accelerator "${id}" is not in accelerators.csv`);
  }
  const prices: Price[] = [];
  for (const service of ['ec2', 'sagemaker'] as const) {
    const perHour = number(`${service}_usd`);
    if (perHour === null) continue;
    const source = cells[`${service}_source`] ?? '';
    const date = cells[`${service}_date`] ?? '';
    checkSource(file, row, source, checker, sources);
    if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) checker.say(file, row, `price date is "${date}"`);
    prices.push({ service, region: REGION, currency: 'USD', perHour, source, date });
  }
  const vcpus = required('vcpus');
  const memoryBytes = required('memory_gib') * GIB;
  const family = name.split('.')[0] ?? '';
  const gbps = number('network_gbps');
  return {
    name,
    family,
    arch: checker.one(file, row, 'arch', ['x86-64', 'arm64'] as const),
    vcpus,
    memoryBytes,
    cpuModel: cells['cpu'] ?? '',
    cpu: readCpu(name, row, checker, vcpus, memoryBytes),
    accelerator: accelerator ?? null,
    acceleratorCount: id === '' ? 0 : required('accelerators'),
    networkBitsPerSecond: gbps === null ? null : gbps * 1e9,
    compileTarget: id === '' ? (COMPILE_TARGETS[family] ?? null) : null,
    serviceTarget: cells['service_target'] || null,
    available: cells['available'] !== '0',
    prices,
    source: 'karpenter',
  };
}

/** The processor as a device of its own; a physical core has two of the virtual ones on x86-64. */
function readCpu(
  name: string,
  row: CsvRow,
  checker: Checker,
  vcpus: number,
  memoryBytes: number,
): Accelerator {
  const file = 'instances.csv';
  const peak: Partial<Record<Precision, number>> = {};
  for (const [precision, column] of [
    ['fp32', 'cpu_fp32_tflops'],
    ['fp16', 'cpu_fp16_tflops'],
    ['bf16', 'cpu_bf16_tflops'],
    ['int8', 'cpu_int8_tops'],
  ] as const) {
    const tera = checker.number(file, row, column, precision === 'fp32');
    if (tera !== null) peak[precision] = tera * 1e12;
  }
  const bandwidth = checker.number(file, row, 'cpu_bandwidth_gb_s', true) ?? 1;
  return {
    id: name,
    name: row.cells['cpu'] ?? '',
    kind: 'cpu',
    year: 2020,
    memoryBytes,
    bandwidthBytesPerSecond: bandwidth * 1e9,
    // About a megabyte and a half of the last cache for each virtual core of these families.
    cacheBytes: vcpus * 1.5 * 2 ** 20,
    peak,
    baseClockMhz: null,
    boostClockMhz: null,
    powerWatts: null,
    cores: 1,
    operators: { supports: null, controlFlow: 'device' },
    frameworks: ['*'],
    wasteful: null,
    source: 'derived',
  };
}

/** Prices of a user's table in place of the catalogue's; throws HONE-ADVISE-003. */
export function withPrices(catalogue: Catalogue, text: string, file: string): Catalogue {
  const names = new Set(catalogue.instances.map((instance) => instance.name));
  const given = new Map<string, Price[]>();
  for (const { line, cells } of parseCsv(text, file)) {
    const { instance = '', service = 'ec2', region = REGION, currency = 'USD' } = cells;
    const perHour = Number(cells['per_hour'] ?? '');
    const problem = !names.has(instance)
      ? `there is no instance "${instance}"`
      : service !== 'ec2' && service !== 'sagemaker'
        ? `service is "${service}", not ec2 or sagemaker`
        : !(Number.isFinite(perHour) && perHour > 0) || (cells['per_hour'] ?? '') === ''
          ? `per_hour is "${cells['per_hour'] ?? ''}", not a positive price`
          : !/^\d{4}-\d{2}-\d{2}$/.test(cells['date'] ?? '')
            ? `date is "${cells['date'] ?? ''}", not YYYY-MM-DD`
            : undefined;
    if (problem !== undefined) badPrice(`${file}:${line}`, problem);
    const price: Price = {
      service: service === 'sagemaker' ? 'sagemaker' : 'ec2',
      region: region || REGION,
      currency: currency || 'USD',
      perHour,
      source: file,
      date: cells['date'] ?? '',
    };
    given.set(instance, [...(given.get(instance) ?? []), price]);
  }
  const instances = catalogue.instances.map((instance) => {
    const own = given.get(instance.name) ?? [];
    const same = (a: Price, b: Price): boolean => a.service === b.service && a.region === b.region;
    const kept = instance.prices.filter((price) => !own.some((other) => same(price, other)));
    return own.length === 0 ? instance : { ...instance, prices: [...own, ...kept] };
  });
  return { ...catalogue, instances };
}

function badPrice(where: string, what: string): never {
  throw new HoneError({
    code: 'HONE-ADVISE-003',
    message: `${where}: ${what}`,
    subject: where,
    cure: 'columns: instance,service,region,currency,per_hour,date; e.g. g5.xlarge,ec2,eu-west-1,USD,1.12,2026-11-01',
  });
}
