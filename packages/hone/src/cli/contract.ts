/**
 * The command line, as data: every command, argument and option. `hone --help`, docs/cli.md and
 * the parser are made from it. What is here is a contract with users' scripts.
 */
import type { CommandSpec, OptionSpec } from './command.ts';
import { adviseCommands } from './contract-advise.ts';
import { reduceCommand } from './contract-reduce.ts';

const JSON_OPTION: OptionSpec = {
  flags: '--json',
  doc: 'print one JSON object on stdout; messages go to stderr',
};
const THREADS: OptionSpec = {
  flags: '--threads <N>',
  doc: 'worker threads',
  fallback: 'physical cores this process may use',
};
const OPS: OptionSpec = {
  flags: '--ops <FILE>',
  doc: 'JavaScript module with operators of yours (docs/custom-operators.md)',
  repeat: true,
};
const COMPILE_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--target <LIST>',
    doc: 'processors to compile for: names or families of `hone targets`, e.g. x86-64-v2,x86-64-v4; an artifact with several runs on the best that a machine has',
    fallback: 'native: this machine',
  },
  {
    flags: '--shape <NAME=DIMS>',
    doc: 'shape of an input, e.g. data=1x3x224x224; or the size of a named dimension, e.g. width=320. LEAST..MOST in place of a size: it varies from run to run, e.g. x=1x3x48x32..1088 (docs/data-dependent-sizes.md)',
    repeat: true,
  },
  {
    flags: '--batch <N>',
    doc: 'size of leading dimensions that the model leaves open',
    fallback: '1',
  },
  {
    flags: '--bound <NAME=N>',
    doc: 'most that a number which decides sizes can be (NAME: a scalar or list; also LO..HI, or 1x80x200, one for each element), or a size that depends on data (NAME: a tensor; also NAME[AXIS]=N, or 100x4, one for each axis). A run beyond it is an error (docs/data-dependent-sizes.md)',
    fallback: 'what the model says; else 1024, or less for large tensors, which is announced',
    repeat: true,
  },
  {
    flags: '--memory <SIZE>',
    doc: 'most memory for weights and working memory together, e.g. 256MiB; inputs and outputs apart. Kernels that trade memory for speed give way; a model that needs more is refused, with its largest needs',
    fallback: 'little more than the parameters and the working memory take',
  },
  OPS,
];
const IMAGE: OptionSpec = {
  flags: '--image <OPTIONS>',
  doc: 'how pictures become tensors: order=rgb|bgr, range=0-1|0-255, mean=R,G,B, std=R,G,B, resize=input|none|short:N|WxH, crop=none|input|WxH (from the centre)',
  fallback:
    'order=rgb,range=0-1,mean=0,std=1,resize=input,crop=none; range=0-255 for integer inputs; crop=input after resize=short:N; resize=none when only crop is given',
};
/** Precision, and samples for it, of commands that compile. */
const PRECISION_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--precision <NAME>',
    doc: 'fp32; bf16 or fp16: 16-bit weights and activations; int8: 8-bit ones, with samples to calibrate with; auto: the fastest mix within --max-drop, never slower than fp32',
    fallback: 'fp32',
  },
  {
    flags: '--autocast <POLICY>',
    doc: 'what bf16 and fp16 narrow: none; matmul (what contractions multiply); all (values between kernels too, except around delicate operators)',
    fallback: 'all',
  },
  {
    flags: '--calibrate <PATH>',
    doc: 'samples for int8 and auto: a folder of pictures, .npy or .npz files, or one .npz or .npy file; pictures become tensors by --image',
  },
  {
    flags: '--calibrator <NAME>',
    doc: 'how ranges come from samples: entropy (least divergence), mse (least square error), percentile (all but the outermost 0.01 %), minmax (everything)',
    fallback: 'entropy',
  },
  {
    flags: '--correct-bias',
    doc: 'int8: biases of convolutions and matrix products take back what rounded weights shift on the samples',
  },
  {
    flags: '--equalize',
    doc: 'int8 and auto: channels between convolutions are brought to like ranges first, by exact powers of two',
  },
  {
    flags: '--least-snr <DB>',
    doc: 'int8: contractions whose own result has less signal to noise on the samples stay wide; 0 narrows everything',
    fallback: '30',
  },
  {
    flags: '--carry <PAIRS>',
    doc: 'int8 and auto: state that runs hand on, as INPUT=OUTPUT,…: samples are then one sequence and may leave it out; none: nothing is carried. Default: found by names, as h and hn',
  },
  {
    flags: '--max-drop <SHARE>',
    doc: 'what precision auto may lose on the samples, by --metric: 1%, or 0.01',
    fallback: '1%',
  },
  {
    flags: '--metric <NAME>',
    doc: 'how that is measured: agreement (share of answers that change), kl (mean divergence of the first output, nats), snr (noise as a share of the signal), or a JavaScript module that exports drop(reference, outputs)',
    fallback: 'agreement',
  },
];
const INPUT_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--input <NAME=FILE>',
    doc: 'an input from .npy, .png, .jpg or .pb; NAME= may be left out when the model has one input. Several images for one name fill the batch',
    repeat: true,
  },
  { flags: '--random', doc: 'seeded random values for the inputs that are not given' },
  { flags: '--seed <N>', doc: 'seed of --random', fallback: '0' },
  IMAGE,
];
const TRUSTED_KEY: OptionSpec = {
  flags: '--key <PUB>',
  doc: 'public key (PEM) of who made the artifact; it has to be signed with it, or with another one given',
  repeat: true,
};
const MODEL_OR_ARTIFACT = {
  name: '<MODEL>',
  doc: 'an ONNX file, or a folder made by `hone compile`; told apart by content',
};
const MODEL = { name: '<MODEL>', doc: 'an ONNX file' };
const ARTIFACT = { name: '<OUT.hone>', doc: 'a folder made by `hone compile`' };

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'analyze',
    summary: 'what a model is, what would be compiled, and what would not and why',
    args: [MODEL],
    options: [...COMPILE_OPTIONS, JSON_OPTION],
    examples: ['hone analyze model.onnx', 'hone analyze model.onnx --shape data=1x3x224x224'],
    json: {
      model: 'path given',
      name: "the graph's name",
      opset: 'opset of the default domain',
      producer: 'program that wrote it',
      opsets: 'opset by domain',
      inputs: 'list of {name, dtype, shape}; a dimension the model leaves open is a string',
      outputs: 'list of {name, dtype, shape}',
      nodes: 'number of operators in the file',
      parameters: 'number of constant elements',
      parameter_bytes: 'their size',
      operators:
        'list of {op, domain, count, kind, supported, reason}; kind is core, composite, host, function, importer or none',
      fallback: 'list of {op, node, reason}: nodes that have no compiled form',
      node_only: 'list of {node, routine}: steps on texts, which only the Node runtime runs',
      routines: 'list of {node, routine}: nodes that hand-written C computes',
      compilable: 'true when every node has a compiled form or is a step of the Node runtime',
      problem:
        '{code, message, cure} where the model could not be followed further than its operators, e.g. for want of --shape; else null',
      stages: 'number of kernels after fusion (null where not compilable)',
      flops: 'floating-point operations of one run',
      bytes: 'bytes read and written by the kernels of one run',
      work: 'list of {op, domain, how, flops, bytes, flops_share, bytes_share}, before fusion, most first (null where not compilable); how is compiled or routine, whose operations are not counted',
      bounds:
        'list of {tensor, axis, most, assumed, node, option}: bounds of sizes that depend on data (axis null: of values) that were asked for, or assumed as nothing bounds them; option is what to write behind --bound',
      notes: 'what was assumed, e.g. sizes of open dimensions',
    },
    load: () => import('./commands/analyze.ts'),
  },
  {
    name: 'compile',
    summary: 'compile a model into an artifact folder',
    args: [MODEL],
    options: [
      {
        flags: '-o, --output <DIR>',
        doc: 'the artifact to write',
        fallback: 'MODEL.hone beside the working folder',
      },
      ...COMPILE_OPTIONS,
      ...PRECISION_OPTIONS,
      IMAGE,
      { flags: '--static', doc: 'make a static library (lib/TARGET.a) beside each shared one' },
      {
        flags: '--prefix <NAME>',
        doc: 'C functions are NAME_open, …, so that several models fit into one program',
        fallback: 'hone',
      },
      {
        flags: '--max-fallback <N>',
        doc: 'fail where more nodes than this would be steps of the Node runtime',
        fallback: 'any number',
      },
      { flags: '--sign <KEY>', doc: 'private Ed25519 key (PEM) to sign the artifact with' },
      JSON_OPTION,
    ],
    examples: [
      'hone compile model.onnx -o model.hone',
      'hone compile model.onnx --precision int8 --calibrate photos --image order=rgb,range=0-1',
      'hone compile model.onnx --precision auto --max-drop 1% --calibrate photos',
      'hone compile model.onnx --target x86-64-v2,x86-64-v3,x86-64-v4',
      'hone compile model.onnx --static --prefix detector',
      'hone compile model.onnx --shape data=1x3x224x224 --target x86-64-v3',
    ],
    json: {
      model: 'path given',
      artifact: 'folder written',
      target: 'resolved target name, of the first one where there are several',
      targets:
        'list of {target, stages, arena_bytes, weights_bytes, peak_bytes, library_bytes}, one each',
      inputs:
        'list of {name, dtype, shape}; bounded and least where a size varies from run to run: the axes, and the least along each',
      outputs: 'list of {name, dtype, shape}',
      stages: 'number of kernels, for the first target',
      flops: 'floating-point operations of one run',
      arena_bytes: 'working memory of one context, for the first target',
      weights_bytes: 'packed weights, for the first target',
      peak_bytes: 'both together: memory of a process with one context, inputs and outputs apart',
      seconds: 'time the compilation took',
      signed_by: 'id of the key (null without --sign)',
      precision: 'precision asked for',
      calibration:
        '{calibrator, origin, samples, sha256}: what int8 was calibrated with (null without); for models with carried state also {carried, answers: {snr, samples}}',
      search:
        '{metric, maxDrop, drop, meanKl, klBound, judged, heldOut: {samples, drop, meanKl}}: what precision auto came to on the samples and, where there are eight, on every fourth that it did not see (null without); klBound, the worst single sample, is what to expect of others like them',
      layers: 'with precision auto: list of {node, precision, why}, else null',
      bounds:
        'list of {tensor, axis, most, assumed, node, option}: bounds of sizes that depend on data (axis null: of values) that were asked for, or assumed as nothing bounds them; option is what to write behind --bound',
      notes: 'what was assumed, e.g. sizes of open dimensions',
    },
    load: () => import('./commands/compile.ts'),
  },
  {
    name: 'run',
    summary: 'run a model or artifact once',
    details:
      'A model is compiled first, into the cache (HONE_CACHE_DIR); the next run with the same options starts at once.',
    args: [MODEL_OR_ARTIFACT],
    options: [
      ...INPUT_OPTIONS,
      { flags: '--output <NAME=FILE.npy>', doc: 'write an output to a file', repeat: true },
      { flags: '--top <K>', doc: 'print the K highest entries of the first output' },
      {
        flags: '--labels <FILE>',
        doc: 'names for --top: a JSON array or object, or one name a line',
      },
      ...COMPILE_OPTIONS,
      ...PRECISION_OPTIONS,
      TRUSTED_KEY,
      THREADS,
      JSON_OPTION,
    ],
    examples: [
      'hone run model.onnx --random',
      'hone run model.hone --input data=cat.png --image order=bgr,range=0-255 --top 5 --labels labels.json',
      'hone run model.hone --input x=x.npy --output y=y.npy',
    ],
    json: {
      model: 'path given',
      artifact: 'artifact that ran',
      target: 'target it was compiled for',
      inputs: 'list of {name, dtype, shape, source}',
      outputs:
        'list of {name, dtype, shape, min, max, mean, file, values}; values only up to 16 elements',
      ms: 'time of the run',
      image: 'options applied to pictures, defaults filled in (null without pictures)',
      top: 'with --top: list of {index, score, probability, label, item}, best first; probability is the score itself where the output sums to 1, else its softmax',
    },
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'bench',
    summary: 'measure latency and throughput, and compare with another engine',
    details:
      'Each engine runs in a process of its own, in turns; what a short burn of all cores shows to be disturbed is discarded. With a baseline the outputs are compared as well: exit code 1 when they differ. int8 without --calibrate is calibrated on seeded random inputs, and its row says so: then its speed means something, its answers do not.',
    args: [{ name: '<MODEL...>', doc: 'ONNX files, or folders made by `hone compile`' }],
    options: [
      ...COMPILE_OPTIONS.filter((option) => !option.flags.startsWith('--batch')),
      ...PRECISION_OPTIONS,
      IMAGE,
      {
        flags: '--batch <LIST>',
        doc: 'sizes of leading dimensions that the model leaves open, e.g. 1,8: one measurement each',
        fallback: '1',
      },
      {
        flags: '--baseline <ENGINE>',
        doc: 'engine to compare with: onnxruntime (needs onnxruntime-node; takes ONNX files only)',
      },
      { flags: '--concurrency <LIST>', doc: 'requests in flight, e.g. 1,2,4', fallback: '1' },
      {
        flags: '--duration <TIME>',
        doc: 'time per measurement and engine, e.g. 5s',
        fallback: '3s',
      },
      { flags: '--html <FILE>', doc: 'write the report as a page' },
      THREADS,
      JSON_OPTION,
    ],
    examples: [
      'hone bench model.onnx --baseline onnxruntime',
      'hone bench model.hone --concurrency 1,2 --json',
    ],
    json: {
      machine:
        '{cpu, threads, cores, memory_bytes, os, node, peak: {fp32_gflops, bf16_gflops, int8_gops, read_gbytes_per_second}, onnxruntime}; peak is null without a C compiler',
      results:
        'list of {model, engine, precision, calibration, batch, concurrency, threads, p50_ms, p90_ms, p95_ms, p99_ms, mean_ms, spread_percent, throughput_avg, throughput_max, gflops, percent_of_peak, peak_rss_bytes, arena_bytes, weights_bytes, ratio_to_baseline, ratio_low, ratio_high, runs, windows, discarded_windows, disturbed, import_ms, open_ms, first_run_ms, compile_s, flops, target, max_error, max_error_of_scale, outputs_equal, lower_precision, differs_like_baseline}; ratio above 1: faster than the baseline',
      failures: 'list of {model, code, message, subject, cure}: models that could not be measured',
      geometric_mean: 'of our ratio_to_baseline (null without a baseline)',
      notes: 'what could not be done',
    },
    load: () => import('./commands/bench.ts'),
  },
  {
    name: 'profile',
    summary: 'time per kernel, and how close it is to what the machine can do',
    args: [MODEL_OR_ARTIFACT],
    options: [
      ...COMPILE_OPTIONS,
      ...PRECISION_OPTIONS,
      IMAGE,
      { flags: '--runs <N>', doc: 'runs to take the mean of', fallback: '20' },
      THREADS,
      JSON_OPTION,
    ],
    examples: ['hone profile model.hone', 'hone profile model.onnx --json'],
    json: {
      model: 'path given',
      target: 'target it was compiled for',
      threads: 'worker threads',
      runs: 'runs measured',
      total_ms: 'mean time of a run; the kernels add up to it',
      gflops: 'rate over the whole run',
      peak_gflops: "the machine's measured fp32 peak (null where not measured)",
      percent_of_peak: 'of the whole run',
      kernels:
        'list of {id, label, ops, kernel, ms, share, gflops, gbytes_per_second, percent_of_peak, bound}; bound is compute, memory, overhead or unknown',
    },
    load: () => import('./commands/profile.ts'),
  },
  {
    name: 'explain',
    summary: 'what was fused and what was not, which kernels were chosen, where memory goes',
    args: [MODEL_OR_ARTIFACT],
    options: [...COMPILE_OPTIONS, ...PRECISION_OPTIONS, IMAGE, JSON_OPTION],
    examples: ['hone explain model.hone'],
    json: {
      model: 'path given',
      target: 'target it was compiled for',
      groups:
        'list of {id, label, ops, nodes, kernel, row, why, flops, bytes, precision, precision_why, writes}: one kernel each; precision is what it multiplies (null where it does not), writes the list of {value, dtype, scale, zero_point}',
      precision:
        '{asked, calibration, search}: the precision asked for, what it was calibrated with and what a search came to (null without)',
      bounds:
        'list of {tensor, axis, most, assumed, node, option}: bounds of sizes that depend on data (axis null: of values) that were asked for, or assumed as nothing bounds them; option is what to write behind --bound',
      alone: 'list of {node, reason}: operators that stayed alone, and why',
      memory:
        '{arena_bytes, least_bytes, weights_bytes, parameter_bytes}; least_bytes: the largest live set',
    },
    load: () => import('./commands/explain.ts'),
  },
  {
    name: 'compare',
    summary: 'an artifact beside the model it was made of, layer by layer on the same inputs',
    details:
      'The artifact runs as it is: its memory is read between its kernels. A third run emulates its precision without fusing anything: what that does not explain is called a bug. Without --inputs the samples are seeded random values.',
    args: [ARTIFACT, MODEL],
    options: [
      {
        flags: '--inputs <PATH>',
        doc: 'samples: a folder of pictures, .npy or .npz files, or one .npz or .npy file',
      },
      IMAGE,
      { flags: '--seed <N>', doc: 'seed of the random samples', fallback: '0' },
      OPS,
      THREADS,
      JSON_OPTION,
    ],
    examples: [
      'hone compare model.hone model.onnx --inputs photos --image order=rgb,range=0-1',
      'hone compare model.hone model.onnx --json',
    ],
    json: {
      artifact: 'folder given',
      model: 'file given',
      samples: 'number of samples',
      source: 'where they came from: a path, or "random"',
      layers:
        'list of {value, layer, kernel, dtype, scaleStep, zeroPoint, snr, emulatedSnr, cosine, largestError, scale, saturated, lost, constant, verdict}, in order of execution; snr in dB (null: equal), lost: dB lost against what the layer reads, verdict: fine, precision, bug or unknown',
      outputs:
        'list of {name, answers: {rows, agreement, top5, meanKl, maxKl, snr}, errors: {snr, cosine, largestError, scale}}',
      worst: 'layers at fault, the worst first',
    },
    load: () => import('./commands/compare.ts'),
  },
  reduceCommand(COMPILE_OPTIONS, JSON_OPTION),
  {
    name: 'inspect',
    summary: 'inputs, outputs and contents of a model or artifact',
    args: [MODEL_OR_ARTIFACT],
    options: [JSON_OPTION],
    examples: ['hone inspect model.onnx', 'hone inspect model.hone'],
    json: {
      kind: '"model" or "artifact"',
      path: 'path given',
      inputs: 'list of {name, dtype, shape}',
      outputs: 'list of {name, dtype, shape}',
      model:
        'for a model: {name, producer, ir_version, opsets, nodes, parameters, parameter_bytes, size_bytes}',
      artifact:
        'for an artifact: {name, targets, arena_bytes, weights_bytes, bounds, files, compiler, model, signed_by}; bounds is as `hone compile` lists them, model is {name, bytes, sha256} of what was compiled, signed_by the id of the key that is said to have signed it (null without; `hone verify --key` checks it)',
    },
    load: () => import('./commands/inspect.ts'),
  },
  {
    name: 'verify',
    summary: 'check every byte of an artifact against its digests',
    details:
      'With --rebuild the model is compiled again, from the options the artifact records and without anything compiled before; the first file that differs is named.',
    args: [ARTIFACT],
    options: [
      {
        flags: '--rebuild <MODEL>',
        doc: 'compile the ONNX file again and compare file by file',
      },
      OPS,
      TRUSTED_KEY,
      JSON_OPTION,
    ],
    examples: [
      'hone verify model.hone',
      'hone verify model.hone --key signer.pub',
      'hone verify model.hone --rebuild model.onnx',
    ],
    json: {
      artifact: 'path given',
      valid: 'true',
      files: 'number of files checked',
      bytes: 'bytes checked',
      signed_by: 'id of the trusted key that signed it (null without --key)',
      rebuilt: 'true when it was compiled again and is the same',
    },
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'pack',
    summary: 'pack an artifact into one file',
    details:
      'Equal artifacts give equal archives: nothing in them tells who packed them, where or when. evidence/ stays behind.',
    args: [ARTIFACT, { name: '[ARCHIVE]', doc: 'file to write; default: OUT.hone.tar.gz' }],
    options: [JSON_OPTION],
    examples: ['hone pack model.hone model.hone.tar.gz'],
    json: {
      artifact: 'path given',
      archive: 'file written',
      files: 'number of files packed',
      bytes: 'their size',
      packed_bytes: 'size of the archive',
    },
    load: () => import('./commands/pack.ts'),
  },
  {
    name: 'unpack',
    summary: 'unpack a packed artifact',
    details:
      'The folder appears whole, every file verified, or not at all. Archives with links, paths that lead out, or files that the manifest does not list are refused.',
    args: [
      { name: '<ARCHIVE>', doc: 'a file made by `hone pack`' },
      {
        name: '[OUT.hone]',
        doc: "folder to write; default: the archive's name with .hone in place of .tar.gz",
      },
    ],
    options: [TRUSTED_KEY, JSON_OPTION],
    examples: [
      'hone unpack model.hone.tar.gz model.hone',
      'hone unpack model.hone.tar.gz --key signer.pub',
    ],
    json: {
      archive: 'path given',
      artifact: 'folder written',
      files: 'number of files unpacked',
      bytes: 'their size',
      signed_by: 'id of the trusted key that signed it (null without --key)',
    },
    load: () => import('./commands/unpack.ts'),
  },
  {
    name: 'keygen',
    summary: 'make a pair of keys to sign artifacts with',
    details:
      'The private key signs (`hone compile --sign KEY`); the public one, KEY.pub, goes to those who run artifacts (--key). Ed25519 keys made by openssl do as well. With --tls it makes the key and certificate of a server instead.',
    args: [],
    options: [
      {
        flags: '-o, --output <KEY>',
        doc: 'file for the private key; the public one gets .pub behind it, a certificate .crt',
      },
      {
        flags: '--tls <HOST>',
        doc: 'make a self-signed certificate for TLS, for a host name or address that clients connect to, with its private key',
        repeat: true,
      },
      JSON_OPTION,
    ],
    examples: ['hone keygen -o signer', 'hone keygen --tls gpu1.example.com -o gpu1'],
    json: {
      key: 'file of the private key',
      public_key: 'file of the public key (null with --tls)',
      key_id: 'SHA-256 digest of the public key in DER form (null with --tls)',
      certificate: 'file of the certificate (null without --tls)',
      fingerprint: 'SHA-256 digest of the certificate (null without --tls)',
    },
    load: () => import('./commands/keygen.ts'),
  },
  {
    name: 'agent',
    summary: 'measure artifacts on this machine for `hone advise` on another one',
    details:
      'Answers requests over TLS, or over a Unix socket, until it is ended. Measures only artifacts that one of the keys given has signed, for clients that know its token; see docs/agent.md.',
    args: [],
    options: [
      {
        flags: '--listen <ADDRESS>',
        doc: 'HOST:PORT for TLS (0.0.0.0 for all addresses, port 0 for any), or unix:PATH',
        fallback: '127.0.0.1:8741',
      },
      {
        flags: '--key <PUB>',
        doc: 'public key (PEM) of who may have signed what is measured; needed',
        repeat: true,
      },
      {
        flags: '--token-file <FILE>',
        doc: 'the secret that clients show; a file that is not there is made, with a new one',
        fallback: 'the variable HONE_AGENT_TOKEN',
      },
      {
        flags: '--cert <FILE>',
        doc: 'certificate (PEM) for TLS, its chain included; `hone keygen --tls` makes one',
        fallback: 'a new one that lasts as long as the process',
      },
      { flags: '--cert-key <FILE>', doc: 'private key (PEM) of the certificate' },
      {
        flags: '--name <NAME>',
        doc: 'what this machine is called in advice, e.g. the type of the instance',
        fallback: 'what the machine says of itself',
      },
      { flags: '--max-upload <SIZE>', doc: 'largest packed artifact', fallback: '2GiB' },
      {
        flags: '--max-unpacked <SIZE>',
        doc: 'most that all artifacts take on disk, unpacked',
        fallback: '8GiB',
      },
      { flags: '--max-queue <N>', doc: 'jobs that may wait while one runs', fallback: '8' },
      { flags: '--max-time <TIME>', doc: 'time a job may take, e.g. 90s', fallback: '5m' },
      JSON_OPTION,
    ],
    examples: [
      'hone agent --key signer.pub --token-file token --listen 0.0.0.0:8741',
      'hone agent --key signer.pub --token-file token --listen unix:/run/hone/agent.sock',
    ],
    json: {
      address: 'where it listened',
      jobs: 'number of jobs that ended',
    },
    load: () => import('./commands/agent.ts'),
  },
  ...adviseCommands(COMPILE_OPTIONS, JSON_OPTION),
  {
    name: 'targets',
    summary: 'processors Hone compiles for',
    args: [],
    options: [JSON_OPTION],
    examples: ['hone targets'],
    json: {
      native: 'what `native` means on this machine',
      targets: 'list of {name, description, runs_here}',
      families: 'list of {family, target}',
    },
    load: () => import('./commands/targets.ts'),
  },
  {
    name: 'doctor',
    summary: 'what was found on this machine: processor, compiler, cache, other engines',
    args: [],
    options: [JSON_OPTION],
    examples: ['hone doctor'],
    json: {
      ok: 'true when models can be compiled and run',
      checks: 'list of {name, status: ok | warning | failed, detail, cure}',
    },
    load: () => import('./commands/doctor.ts'),
  },
];
