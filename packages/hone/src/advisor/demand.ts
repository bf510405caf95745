/** What a user asks of the advisor, from the words of the command line. */
import { fail } from 'hone-runtime/base/diagnostics';
import type { Demand } from './advice-types.ts';

/** Texts of the options, as they were written. */
export interface DemandTexts {
  readonly sla?: string;
  readonly throughput?: string;
  readonly budget?: string;
  readonly accuracy?: string;
  readonly framework?: string;
  readonly region?: string;
  readonly service?: string;
  readonly payment?: string;
  readonly hardware?: string;
  readonly offline: boolean;
}

const FRAMEWORKS: readonly string[] = ['onnx', 'pytorch', 'tensorflow', 'mxnet'];
const PERCENTILES: readonly string[] = ['50', '90', '95', '99'];
const PAYMENTS = ['on-demand', 'spot', 'reserved-1y', 'reserved-3y'] as const;
const SERVICES = ['ec2', 'sagemaker'] as const;

/** Throws HONE-ADVISE-004 for words it does not understand. */
export function readDemand(texts: DemandTexts): Demand {
  const latency = texts.sla === undefined ? {} : readSla(texts.sla);
  const rate = texts.throughput === undefined ? undefined : readRate(texts.throughput);
  const hasLimits = Object.keys(latency).length > 0;
  return {
    latency_ms: latency,
    throughput_per_s: rate ?? 1,
    throughput_given: rate !== undefined,
    budget_per_hour: texts.budget === undefined ? null : readBudget(texts.budget),
    accuracy: texts.accuracy === undefined ? null : readShare(texts.accuracy),
    framework:
      texts.framework === undefined ? null : oneOf('framework', texts.framework, FRAMEWORKS),
    region: texts.region ?? 'us-east-1',
    service: texts.service === undefined ? 'ec2' : oneOf('service', texts.service, SERVICES),
    payment: texts.payment === undefined ? 'on-demand' : oneOf('payment', texts.payment, PAYMENTS),
    hardware: texts.hardware === undefined ? [] : readHardware(texts.hardware),
    goal: texts.offline || hasLimits ? 'cost' : 'latency',
    offline: texts.offline,
  };
}

function wrong(option: string, value: string, cure: string): never {
  return fail(
    'HONE-ADVISE-004',
    `--${option} does not take the value "${value}"`,
    `--${option}`,
    cure,
  );
}

function oneOf<T extends string>(option: string, value: string, of: readonly T[]): T {
  return of.find((item) => item === value) ?? wrong(option, value, `one of ${of.join(', ')}`);
}

/** `p99=20ms`, several separated by commas. */
function readSla(text: string): Readonly<Record<string, number>> {
  const limits: Record<string, number> = {};
  for (const part of text.split(',')) {
    const match = /^\s*p(\d+)\s*=\s*(\d+(?:\.\d+)?)\s*(us|ms|s)\s*$/.exec(part);
    const percentile = match?.[1] ?? '';
    const ms = Number(match?.[2]) * ({ us: 0.001, ms: 1, s: 1000 }[match?.[3] ?? ''] ?? Number.NaN);
    if (!PERCENTILES.includes(percentile) || !(ms > 0)) {
      wrong(
        'sla',
        text,
        'write p99=20ms, or p50=5ms,p99=20ms; percentiles 50, 90, 95, 99; us, ms or s',
      );
    }
    if (limits[percentile] !== undefined) wrong('sla', text, `give p${percentile} once`);
    limits[percentile] = ms;
  }
  return limits;
}

function readRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(k?)(?:\/(s|m|min|h|d))?$/.exec(text.trim());
  const per = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 }[match?.[3] ?? 's'] ?? 1;
  const rate = (Number(match?.[1]) * (match?.[2] === 'k' ? 1000 : 1)) / per;
  if (!(rate > 0) || !Number.isFinite(rate))
    wrong('throughput', text, 'write 500/s, 2k/s or 1000000/d');
  return rate;
}

function readBudget(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\/(h|d|month)$/.exec(text.trim());
  const hours = { h: 1, d: 24, month: 730 }[match?.[2] ?? 'h'] ?? 1;
  const budget = Number(match?.[1]) / hours;
  if (!(budget > 0))
    wrong('budget', text, 'write 3/h, 50/d or 1000/month, in the currency of the prices');
  return budget;
}

function readShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text.trim());
  const share = Number(match?.[1]) / (match?.[2] === '%' ? 100 : 1);
  if (!(share > 0 && share <= 1)) wrong('accuracy', text, 'write 99% or 0.99');
  return share;
}

function readHardware(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) wrong('hardware', text, 'write g4dn,inf1,c5.xlarge');
  return names;
}
