/** The part of the contract that says which hardware to rent: `hone advise` and `hone catalogue`. */
import type { CommandSpec, OptionSpec } from './command.ts';
import { MEASURE_OPTIONS } from './measure/measure-options-spec.ts';

export function adviseCommands(
  compileOptions: readonly OptionSpec[],
  jsonOption: OptionSpec,
): readonly CommandSpec[] {
  return [
    {
      name: 'advise',
      summary: 'which hardware to rent for a service level, what it costs, and why',
      details:
        'Predicts speed from the stages of the model, and compiles nothing unless --measure or --agent is given: then the settings that look best are timed, stored, and used here and later. Cheapest first where --sla is given, quickest first otherwise; a batch job (--offline) by throughput for money. Exit code 1 when nothing meets the demand: the nearest that can be met is named.',
      args: [{ name: '<MODEL>', doc: 'an ONNX file' }],
      options: [
        {
          flags: '--sla <LIMITS>',
          doc: 'latency limits of a request, e.g. p99=20ms or p50=5ms,p99=20ms',
        },
        {
          flags: '--throughput <RATE>',
          doc: 'load in items, e.g. 500/s, 2k/s, 1000000/d',
          fallback: '1/s',
        },
        { flags: '--budget <MONEY>', doc: 'most that it may cost, e.g. 3/h, 50/d, 1000/month' },
        {
          flags: '--accuracy <SHARE>',
          doc: 'share of answers that must stay as they are, e.g. 99%, which lets int8 in',
          fallback: '99.5%',
        },
        {
          flags: '--framework <NAME>',
          doc: 'framework the device has to take: onnx, pytorch, tensorflow or mxnet',
        },
        { flags: '--region <NAME>', doc: 'region of the prices', fallback: 'us-east-1' },
        { flags: '--service <NAME>', doc: 'whose prices: ec2 or sagemaker', fallback: 'ec2' },
        {
          flags: '--payment <KIND>',
          doc: 'on-demand, spot, reserved-1y or reserved-3y',
          fallback: 'on-demand',
        },
        {
          flags: '--hardware <LIST>',
          doc: 'instances, families or accelerators to choose from, e.g. g4dn,inf1,c5.xlarge',
        },
        { flags: '--offline', doc: 'a batch job: nobody waits for a single answer' },
        {
          flags: '--prices <FILE>',
          doc: 'your prices: instance,service,region,currency,per_hour,date',
        },
        ...MEASURE_OPTIONS,
        { flags: '--html <FILE>', doc: 'write the advice as a page' },
        ...compileOptions.filter(({ flags }) => /^--(shape|batch) /.test(flags)),
        jsonOption,
      ],
      examples: [
        'hone advise model.onnx --sla p99=20ms --throughput 500/s',
        'hone advise model.onnx --sla p99=20ms --throughput 500/s --budget 3/h --accuracy 99% --hardware g4dn,inf1,c5',
        'hone advise model.onnx --offline --throughput 10000000/d',
        'hone advise model.onnx --sla p99=20ms --measure --html advice.html',
        'hone advise model.onnx --sla p99=20ms --sign signer --agent-token token --agent c6i.xlarge=unix:agent.sock',
      ],
      json: {
        model: 'path given',
        demand: 'what was asked for, defaults filled in',
        currency: 'of all prices',
        work: '{stages, flops, bytes, parameter_bytes} of one item',
        rows: 'best first, one an instance type: list of {rank, instance, accelerator, accelerator_kind, engine, precision, batch, concurrency, instances, basis: measured | predicted | extrapolated, p50_ms and p99_ms and throughput_per_s: {value, low, high} (80 % interval), usable_per_s, utilisation, per_hour, per_million, price_per_hour, price_date, price_note, memory_bytes, memory_capacity_bytes, fallback, parts, station, roofline, notes}',
        alternatives: 'other settings of the instances in rows, in the same form',
        ruled_out: 'list of {instance, constraint, reason, excess}; excess: figure over limit',
        sensitivity:
          'list of {throughput_per_s, instance, instances, per_hour}: who wins from that load on',
        sla_price:
          'list of {latency_factor, throughput_factor, instance, instances, per_hour, per_million}',
        nearest: 'where rows is empty: {binding, reason, instead, row}; else null',
        compile: 'command that compiles for the winner (null where Hone has no back end for it)',
        notes: 'stale prices, assumptions, lines of the results file that were left out',
        measurements:
          'this model in the results file: list of {machine, by, measured_at, precision, batch, lanes, threads, p50_ms, p99_ms, throughput_per_s, predicted_ms, disturbed}',
        failures:
          'list of {machine, code, message, cure}: machines that were to measure and could not',
      },
      load: () => import('./commands/advise.ts'),
    },
    {
      name: 'catalogue',
      summary: 'hardware for rent, with peaks, prices and their sources; how good predictions are',
      args: [],
      options: [
        { flags: '--check', doc: 'check every entry; exit code 1 when one is wrong' },
        {
          flags: '--fit',
          doc: 'fit the performance model to the published measurements again, and judge it by leaving accelerators and topologies out; about a minute',
        },
        jsonOption,
      ],
      examples: ['hone catalogue', 'hone catalogue --check', 'hone catalogue --fit --json'],
      json: {
        instances:
          'list of {name, family, vcpus, memory_bytes, cpu, accelerator, accelerators, compile_target, service_target, available, prices}; with --check their number',
        accelerators:
          'list of devices with peaks (operations a second), memory, bandwidth, operators, frameworks and source; with --check their number',
        sources: 'list of {id, text, date, kind}; with --check their number',
        factors: 'list of {name, factor, source}: other ways of paying',
        ok: 'with --check: true when nothing is wrong',
        problems: 'with --check: list of what is wrong, with file and line',
        stale: 'with --check: instances whose prices are older than half a year',
        measurements: 'with --check: number of measurements',
        fitted: 'with --check: day of the fit in use',
        date: 'with --fit: day of the fit',
        rows: 'with --fit: number of measurements',
        used: 'with --fit: measurements of topologies and devices that are known',
        parameters: 'with --fit: [value, standard error] by name',
        spread: 'with --fit: half widths of the 80 % intervals, as logarithms',
        tail: 'with --fit: 99th percentile over the median, by what was timed',
        byAccelerator:
          'with --fit: {groups, all}: errors with one accelerator left out, each {group, rows, kernelLatency, wholeThroughput, wholeLatency}; those are {count, median, p90, bias, baselineMedian, baselineP90} or null',
        byFamily: 'with --fit: the same with one family of topologies left out',
        order:
          'with --fit: {throughput, cost}: pairs of accelerators, and how many are in the right order',
        chips: 'with --fit: accelerators with measurements',
      },
      load: () => import('./commands/catalogue.ts'),
    },
  ];
}
