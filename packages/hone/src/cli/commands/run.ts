/** `hone run`: one run of a model or artifact on files or random values. */
import { writeFileSync } from 'node:fs';
import { load } from 'hone-runtime';
import { fail } from 'hone-runtime/base/diagnostics';
import { type Tensor, toNumbers } from 'hone-runtime/base/tensor';
import type { Invocation, Outcome } from '../command.ts';
import { assembleInputs } from '../input/assemble.ts';
import { formatNpy } from '../input/npy.ts';
import type { TopEntry } from '../input/top.ts';
import { prepareArtifact } from '../prepare.ts';
import { formatMs, formatShape } from '../table.ts';

/** Outputs up to this size are printed whole. */
const SHOWN_VALUES = 16;

export async function run(invocation: Invocation): Promise<Outcome> {
  const { options, log } = invocation;
  const path = invocation.args[0] ?? '';
  const count = options.integer('top', 1);
  const labelFile = options.text('labels');
  const threads = options.integer('threads', 1, 1024);
  const seed = options.integer('seed', 0, 2 ** 32 - 1) ?? 0;
  const outputFiles = options.pairs('output');
  const asksTop = count !== undefined || labelFile !== undefined;
  const top = asksTop ? await import('../input/top.ts') : undefined;
  const labels = labelFile === undefined ? undefined : top?.readLabels(labelFile);
  const keys = options.list('key');
  const prepared = await prepareArtifact(path, invocation);
  const session = load(prepared.folder, {
    ...(threads === undefined ? {} : { threads }),
    ...(prepared.target === undefined ? {} : { target: prepared.target }),
    ...(keys.length === 0 ? {} : { key: keys }),
  });
  const { signature, target, threads: workers } = session;
  const { inputs, outputs } = signature;
  try {
    const outputNames = outputs.map((spec) => spec.name);
    for (const { key } of outputFiles) {
      if (!outputNames.includes(key)) {
        fail(
          'HONE-INPUT-002',
          `the model has no output "${key}"`,
          key,
          `its outputs are: ${outputNames.join(', ')}`,
        );
      }
    }
    const assembled = await assembleInputs(inputs, {
      given: options.list('input'),
      random: options.flag('random'),
      seed,
      image: options.text('image') ?? '',
    });
    if (assembled.image !== null) log(`pictures: --image ${assembled.image}`);
    const begin = performance.now();
    const results = await session.run(assembled.tensors);
    const ms = performance.now() - begin;
    // Outputs are arrays of their own: the model's memory goes before more is taken for them.
    session.close();
    const rows = outputs.map((spec) => {
      const tensor = results[spec.name];
      if (tensor === undefined) fail('HONE-INTERNAL-003', `the run gave no output "${spec.name}"`);
      const file = outputFiles.find(({ key }) => key === spec.name)?.value;
      if (file !== undefined) writeOutput(file, tensor);
      return { spec, tensor, file, summary: summarise(tensor) };
    });
    const first = rows[0];
    const entries = first && top?.topEntries(first.tensor, count ?? 5, labels);
    if (entries !== undefined && rows.length > 1)
      log(`--top is of the first output, ${first?.spec.name}`);
    return {
      json: {
        model: path,
        artifact: prepared.folder,
        origin: prepared.origin,
        target,
        inputs: inputs.map(({ name, dtype, shape }) => ({
          name,
          dtype,
          shape: assembled.tensors[name]?.shape ?? shape,
          source: assembled.sources[name],
        })),
        outputs: rows.map(({ spec, tensor, file, summary }) => ({
          name: spec.name,
          dtype: tensor.dtype,
          shape: tensor.shape,
          ...summary,
          file: file ?? null,
        })),
        ms,
        image: assembled.image,
        ...(entries === undefined ? {} : { top: entries }),
      },
      text: [
        ...rows.map(({ spec, tensor, file, summary }) => {
          const where = file === undefined ? '' : ` → ${file}`;
          return `${spec.name}  ${tensor.dtype} ${formatShape(tensor.shape)}  ${describe(summary)}${where}`;
        }),
        ...(entries === undefined ? [] : topLines(entries)),
        `${formatMs(ms)} on ${workers} thread${workers === 1 ? '' : 's'} (${target})`,
      ],
    };
  } finally {
    session.close();
  }
}

interface Summary {
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly values?: readonly (number | string | null)[];
}

function summarise(tensor: Tensor): Summary {
  if (tensor.dtype === 'string') {
    return { min: null, max: null, mean: null, values: [...(tensor.data as readonly string[])] };
  }
  // Numbers as they are stored need no copy: outputs may be large.
  const { dtype, data } = tensor;
  const values = dtype === 'f32' && data instanceof Float32Array ? data : toNumbers(tensor);
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return {
    min: finite(min),
    max: finite(max),
    mean: finite(sum / values.length),
    ...(values.length > SHOWN_VALUES ? {} : { values: Array.from(values, finite) }),
  };
}

function describe(summary: Summary): string {
  const show = (value: number | string | null): string =>
    typeof value === 'number' ? `${Number(value.toPrecision(5))}` : String(value);
  if (summary.values !== undefined) return `[${summary.values.map(show).join(', ')}]`;
  return `min ${show(summary.min)}, max ${show(summary.max)}, mean ${show(summary.mean)}`;
}

function topLines(top: readonly TopEntry[]): string[] {
  const batched = top.some((entry) => entry.item > 0);
  return top.map((entry) => {
    const item = batched ? `#${entry.item} ` : '';
    const score = entry.score === entry.probability ? '' : `  score ${entry.score.toPrecision(4)}`;
    return `${item}${`${entry.index}`.padStart(6)}  ${entry.probability.toFixed(4)}${score}  ${entry.label ?? ''}`.trimEnd();
  });
}

function writeOutput(file: string, tensor: Tensor): void {
  const bytes = formatNpy(tensor);
  try {
    writeFileSync(file, bytes);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    fail(
      'HONE-IO-003',
      `cannot write ${file}: ${code}`,
      file,
      'check the folder and its permissions',
    );
  }
}
