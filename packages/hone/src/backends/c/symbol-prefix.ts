/**
 * Symbols of a library under a prefix, so that two models link into one program: hone_open becomes
 * NAME_open, and everything else with external linkage gets a name of its own as well. Nothing is
 * renamed in object files: a header of #defines goes before every unit. The shared library exports
 * the plain names besides, which is how runtimes find its functions.
 */
import { fail } from 'hone-runtime/base/diagnostics';

const PREFIX = /^[A-Za-z][A-Za-z0-9_]{0,31}$/;

/** File of the renaming header, and of the unit with the plain names. */
export const NAMES_HEADER = 'hone_names.h';
export const EXPORTS_UNIT = 'hone_exports.c';

/** Throws HONE-COMPILE-042 unless the prefix begins a C name and is not our own. */
export function checkPrefix(prefix: string): void {
  if (PREFIX.test(prefix) && !/^hone(_|$)/i.test(prefix)) return;
  fail(
    'HONE-COMPILE-042',
    `"${prefix}" cannot be the prefix of C names`,
    prefix,
    'choose a short name of letters, digits and "_", such as the name of the model',
  );
}

/** The renaming header for these sources: all names of the runtime, and the kernels. */
export function namesHeader(
  prefix: string,
  sources: readonly string[],
  kernels: readonly string[],
): string {
  const own = new Set(sources.flatMap((text) => text.match(/\bhone_[a-z0-9_]+/g) ?? []));
  const renamed = [...own].sort().map((name) => `#define ${name} ${underPrefix(name, prefix)}\n`);
  const others = [...new Set(kernels)].sort();
  return `/* Names of this model, for programs with several. */
${renamed.join('')}${others.map((name) => `#define ${name} ${prefix}_${name}\n`).join('')}`;
}

/** hone.h with the functions under their prefix; the types are shared by all models. */
export function prefixedHeader(header: string, prefix: string): string {
  const names = new Set(prototypes(header).map(({ name }) => name));
  return header
    .replace(/\bhone_\w+/g, (name) => (names.has(name) ? underPrefix(name, prefix) : name))
    .replaceAll('HONE_FUNCTIONS_H', `HONE_FUNCTIONS_H_${prefix}`);
}

/** A unit that gives the functions of hone.h their plain names too. */
export function exportsUnit(header: string, prefix: string): string {
  const all = prototypes(header).map(({ result, name, parameters }) => {
    const inner = underPrefix(name, prefix);
    const used = parameters.map((parameter) => /(\w+)$/.exec(parameter)?.[1] ?? '');
    const list = parameters.length === 0 ? 'void' : parameters.join(', ');
    const call = `${inner}(${used.join(', ')})`;
    return `${result}${inner}(${list});
${result}${name}(${list}) { ${result === 'void ' ? '' : 'return '}${call}; }
`;
  });
  return `/* The plain names of the functions, by which runtimes find them. */
#include "hone.h"

${all.join('\n')}`;
}

function underPrefix(name: string, prefix: string): string {
  return `${prefix}_${name.slice('hone_'.length)}`;
}

interface Prototype {
  /** Ends with a space or a star. */
  readonly result: string;
  readonly name: string;
  readonly parameters: readonly string[];
}

function prototypes(header: string): readonly Prototype[] {
  const found = header.matchAll(/HONE_API ([^;()]*?)(hone_\w+)\(([^)]*)\);/g);
  return [...found].map(([, result = '', name = '', list = '']) => ({
    result,
    name,
    parameters: list
      .split(',')
      .map((parameter) => parameter.trim().replace(/\s+/g, ' '))
      .filter((parameter) => parameter !== 'void'),
  }));
}
