/** The cases that a book on the subject decides, decided by the advisor; and demands that cannot be met. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advise } from 'hone/advisor/advise';
import type { Advice, Demand } from 'hone/advisor/advice-types';
import { checkCatalogue, withPrices } from 'hone/advisor/catalogue';
import { catalogueTexts, loadCatalogue, loadModel, loadWorkloads } from 'hone/advisor/data-files';
import { type DemandTexts, readDemand } from 'hone/advisor/demand';
import type { Workload } from 'hone/advisor/model-types';

const catalogue = loadCatalogue();
const model = loadModel();
const workloads = loadWorkloads();
const resnet50 = workloads.get('resnet50') ?? assert.fail();
const bertLarge = workloads.get('bert-large-384') ?? assert.fail();

const ask = (texts: Partial<DemandTexts>): Demand => readDemand({ offline: false, ...texts });

function adviceFor(workload: Workload, texts: Partial<DemandTexts>): Advice {
  return advise({
    path: 'model.onnx',
    workload,
    catalogue,
    model,
    demand: ask(texts),
    today: '2026-02-01',
  });
}

const family = (instance: string | undefined): string => (instance ?? '').split('.')[0] ?? '';

test('ResNet-50 with a modest level prefers g4dn or inf1 to p3', () => {
  const { rows } = adviceFor(resnet50, { sla: 'p99=50ms', throughput: '100/s' });
  assert.match(family(rows[0]?.instance), /^(g4dn|inf1)$/);
  const first = (name: string): number => rows.findIndex((row) => family(row.instance) === name);
  assert.ok(first('g4dn') < first('p3') && first('inf1') < first('p3'));
  const volta = rows.find((row) => family(row.instance) === 'p3');
  assert.ok(
    volta?.notes.some((note) => note.includes('fp64')),
    'waste is explained',
  );
});

test('a model too large for 16 GB goes to memory of the class of p3dn', () => {
  const large = { ...bertLarge, parameterBytes: 40e9 };
  const { rows, ruled_out: out } = adviceFor(large, {
    sla: 'p99=1s',
    hardware: 'g4dn,p3,p3dn,inf1',
  });
  assert.equal(family(rows[0]?.instance), 'p3dn');
  for (const name of ['g4dn.xlarge', 'p3.2xlarge', 'inf1.xlarge']) {
    const reason = out.find((item) => item.instance === name);
    assert.equal(reason?.constraint, 'memory');
    assert.ok((reason.excess ?? 0) > 1);
  }
});

test('an operator that Inferentia lacks shows its fallback and the price of it', () => {
  const texts = { sla: 'p99=100ms', throughput: '100/s', hardware: 'inf1.xlarge' };
  const plain = adviceFor(resnet50, texts).rows[0];
  const sampling: Workload = {
    ...resnet50,
    operators: { ...resnet50.operators, GridSample: { nodes: 2, flops: 2e7, bytes: 8e6 } },
  };
  const [row] = adviceFor(sampling, texts).rows;
  assert.equal(plain?.fallback, null);
  assert.ok(row?.fallback);
  assert.deepEqual(row.fallback.ops, ['GridSample']);
  assert.ok(row.fallback.cpu_ms > 0 && row.fallback.transfer_ms > 0 && row.fallback.crossings > 0);
  assert.ok(row.fallback.usd_per_million > 0);
  assert.ok(row.throughput_per_s.value / row.batch < plain.throughput_per_s.value / plain.batch);
});

test('Elastic Inference is refused where the model does not fit, or has control flow', () => {
  const eia = { sla: 'p99=1s', hardware: 'eia2.medium,eia2.large,eia2.xlarge' };
  const large = adviceFor({ ...bertLarge, parameterBytes: 20e9 }, eia);
  assert.deepEqual(
    large.ruled_out.map(({ constraint }) => constraint),
    ['memory', 'memory', 'memory'],
  );
  const loops: Workload = {
    ...resnet50,
    operators: { ...resnet50.operators, Loop: { nodes: 1, flops: 0, bytes: 4e3 } },
  };
  const refused = adviceFor(loops, eia);
  assert.deepEqual(
    refused.ruled_out.map(({ constraint }) => constraint),
    ['control-flow', 'control-flow', 'control-flow'],
  );
  const [row] = adviceFor(resnet50, eia).rows;
  assert.ok(row !== undefined && row.parts.network_ms > 0, 'the network costs time');
  const { ruled_out: ended } = adviceFor(resnet50, { sla: 'p99=1s' });
  assert.equal(ended.find(({ instance }) => instance === 'eia2.large')?.constraint, 'availability');
});

test('a batch job is for throughput by cost, an online one for latency first', () => {
  const batch = adviceFor(resnet50, { offline: true });
  const online = adviceFor(resnet50, {});
  const [job] = batch.rows;
  const [service] = online.rows;
  assert.ok(job && service);
  for (const row of batch.rows) assert.ok(job.per_million <= row.per_million);
  for (const row of online.rows) assert.ok(service.p99_ms.value <= row.p99_ms.value);
  assert.ok(job.batch > service.batch);
  assert.ok(job.per_million < service.per_million);
});

test('the table is in order of cost, whole instances carry the load, and limits hold', () => {
  const { rows, demand } = adviceFor(resnet50, { sla: 'p99=20ms', throughput: '3000/s' });
  assert.ok(rows.length > 10);
  rows.forEach((row, i) => {
    assert.equal(row.rank, i + 1);
    assert.ok(Number.isInteger(row.instances) && row.instances >= 1);
    assert.ok(row.usable_per_s * row.instances >= demand.throughput_per_s * (1 - 1e-9));
    assert.ok(row.p99_ms.value <= 20 && row.p99_ms.low < row.p99_ms.value);
    assert.ok(row.memory_bytes <= row.memory_capacity_bytes);
    assert.ok(row.utilisation > 0 && row.utilisation <= 0.951);
    assert.ok(Math.abs(row.per_hour - row.instances * row.price_per_hour) < 1e-9);
    if (i > 0) assert.ok(row.per_hour >= (rows[i - 1]?.per_hour ?? 0));
  });
});

test('every instance is in the table or ruled out, with a reason', () => {
  const { rows, ruled_out: out } = adviceFor(resnet50, { sla: 'p99=5ms', throughput: '100/s' });
  assert.equal(rows.length + out.length, catalogue.instances.length);
  assert.ok(out.some(({ constraint }) => constraint === 'latency'));
  for (const { reason } of out) assert.ok(reason.length > 10);
});

test('a stricter level never costs less, nor does more load', () => {
  const { sla_price: prices } = adviceFor(bertLarge, { sla: 'p99=60ms', throughput: '400/s' });
  assert.equal(prices.length, 8);
  const cost = (index: number): number => prices[index]?.per_hour ?? Number.POSITIVE_INFINITY;
  for (const i of [1, 2, 3]) assert.ok(cost(i) <= cost(i - 1));
  for (const i of [5, 6, 7]) assert.ok(cost(i) >= cost(i - 1));
});

test('what wins at other loads is told', () => {
  const { sensitivity, rows } = adviceFor(bertLarge, { sla: 'p99=60ms', throughput: '400/s' });
  assert.ok(sensitivity.length >= 2, JSON.stringify(sensitivity));
  const below = sensitivity.filter((point) => point.throughput_per_s <= 400).at(-1);
  assert.equal(below?.instance, rows[0]?.instance);
});

test('impossible demands name the limit that binds and the nearest that can be met', () => {
  const quick = adviceFor(bertLarge, { sla: 'p99=1ms', throughput: '10/s' });
  assert.equal(quick.rows.length, 0);
  assert.equal(quick.nearest?.binding, 'latency');
  const instead = /^--sla p99=([\d.]+)ms$/.exec(quick.nearest?.instead ?? '');
  assert.ok(instead?.[1]);
  const met = adviceFor(bertLarge, { sla: `p99=${instead[1]}ms`, throughput: '10/s' });
  assert.ok(met.rows.length > 0, 'what is named can be met');

  const cheap = adviceFor(bertLarge, { sla: 'p99=50ms', throughput: '500/s', budget: '0.1/h' });
  assert.equal(cheap.nearest?.binding, 'budget');
  const [, money = ''] = /^--budget (.+)$/.exec(cheap.nearest?.instead ?? '') ?? [];
  assert.ok(
    adviceFor(bertLarge, { sla: 'p99=50ms', throughput: '500/s', budget: money }).rows.length > 0,
  );

  const exact = adviceFor(resnet50, { accuracy: '100%', hardware: 'inf1' });
  assert.equal(exact.nearest?.binding, 'accuracy');
  assert.ok(exact.ruled_out.every(({ constraint }) => constraint === 'accuracy'));

  const nowhere = adviceFor(resnet50, { region: 'mars-north-1' });
  assert.equal(nowhere.nearest?.binding, 'region');
});

test('frameworks and accuracy rule devices out', () => {
  const { ruled_out: mxnet } = adviceFor(resnet50, { framework: 'mxnet' });
  assert.equal(mxnet.find(({ instance }) => instance === 'inf2.xlarge')?.constraint, 'framework');
  const strict = adviceFor(resnet50, { sla: 'p99=50ms', accuracy: '99.9%' });
  assert.ok(strict.rows.every(({ precision }) => /^(fp32|tf32|fp16)$/.test(precision)));
  const loose = adviceFor(resnet50, { sla: 'p99=50ms', accuracy: '99%', hardware: 'g4dn.xlarge' });
  assert.equal(loose.rows.length, 1);
});

test('old prices are said to be stale, and a table of prices takes their place', () => {
  const input = { path: 'm.onnx', workload: resnet50, model, today: '2026-11-26' };
  const demand = ask({ hardware: 'g5.xlarge', region: 'eu-west-1' });
  assert.equal(advise({ ...input, catalogue, demand }).rows.length, 0);
  const table =
    'instance,service,region,currency,per_hour,date\ng5.xlarge,ec2,eu-west-1,EUR,1.12,2026-11-01\n';
  const priced = withPrices(catalogue, table, 'prices.csv');
  const advice = advise({ ...input, catalogue: priced, demand });
  assert.equal(advice.rows[0]?.price_per_hour, 1.12);
  assert.equal(advice.currency, 'EUR');
  assert.equal(advice.rows[0]?.price_note, null);
  const stale = advise({ ...input, catalogue, demand: ask({ hardware: 'g5.xlarge' }) });
  assert.match(stale.rows[0]?.price_note ?? '', /stale/);
  assert.ok(stale.notes.some((note) => note.includes('days ago')));
});

test('words that are not understood are coded errors', () => {
  const bad: readonly Partial<DemandTexts>[] = [
    { sla: 'p99' },
    { sla: 'p42=20ms' },
    { sla: 'p99=-1ms' },
    { sla: 'p99=20' },
    { sla: 'p99=20ms,p99=30ms' },
    { sla: '' },
    { throughput: 'fast' },
    { throughput: '0/s' },
    { throughput: '5/year' },
    { budget: '-3/h' },
    { budget: '3' },
    { accuracy: '120%' },
    { accuracy: '0' },
    { framework: 'caffe' },
    { service: 'lambda' },
    { payment: 'credit' },
    { hardware: 'g4dn,,c5' },
  ];
  for (const texts of bad) {
    assert.throws(() => ask(texts), { code: 'HONE-ADVISE-004' }, JSON.stringify(texts));
  }
  for (const line of [
    'g5.xlarge,ec2,us-east-1,USD,-1,2026-11-01',
    'g5.xlarge,ec2,us-east-1,USD,,2026-11-01',
    'g5.xlarge,ec2,us-east-1,USD,1,soon',
    'g5.xlarge,gcp,us-east-1,USD,1,2026-11-01',
    'g99.xlarge,ec2,us-east-1,USD,1,2026-11-01',
  ]) {
    const table = `instance,service,region,currency,per_hour,date\n${line}\n`;
    assert.throws(() => withPrices(catalogue, table, 'p.csv'), { code: 'HONE-ADVISE-003' }, line);
  }
  for (const table of ['instance,per_hour\n"g5', 'instance,per_hour\ng5.xlarge,1,2']) {
    assert.throws(() => withPrices(catalogue, table, 'p.csv'), { code: 'HONE-ADVISE-001' });
  }
});

test('the catalogue is in order; what is wrong in one is named by file and line', () => {
  const texts = catalogueTexts();
  assert.deepEqual(checkCatalogue(texts).problems, []);
  const broken = checkCatalogue({
    ...texts,
    instances: texts.instances
      .replace('c5.large,x86-64,2', 'c5.large,x86-64,-2')
      .replace(/^(g5\.xlarge,.*),karpenter,/m, '$1,hearsay,'),
  });
  assert.equal(broken.problems.length, 2);
  assert.match(broken.problems[0] ?? '', /^instances\.csv:\d+: vcpus is "-2"/);
  assert.match(broken.problems[1] ?? '', /hearsay/);
});
