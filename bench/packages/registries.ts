/**
 * Where the file of a package lies, by what its registry says: the simple index of PyPI (PEP 503),
 * or npm's metadata of a version. Mirrors are honoured as pip and npm do.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { fetchText } from './download.ts';
import type { NpmPackage, PackageEntry, PypiPackage } from './entry.ts';

export interface Registries {
  readonly pypi: string;
  readonly npm: string;
}

/** PIP_INDEX_URL and npm_config_registry, or the public ones. */
export function registriesOf(env: NodeJS.ProcessEnv): Registries {
  return {
    pypi: withSlash(env['PIP_INDEX_URL'] || 'https://pypi.org/simple/'),
    npm: withSlash(env['npm_config_registry'] || 'https://registry.npmjs.org/'),
  };
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}

/** The address of a package's file. Throws HONE-BENCH-012, or -013 for another digest than ours. */
export function locate(entry: PackageEntry, registries: Registries): Promise<string> {
  return entry.registry === 'pypi'
    ? locateWheel(entry, registries.pypi)
    : locateTarball(entry, registries.npm);
}

async function locateWheel(entry: PypiPackage, index: string): Promise<string> {
  const name = entry.name.toLowerCase().replace(/[-_.]+/g, '-');
  const page = await fetchText(
    new URL(`${name}/`, index).href,
    'application/vnd.pypi.simple.v1+html, text/html;q=0.9',
  );
  const link = parseIndexPage(page.text, page.url).find(({ file }) => file === entry.file);
  if (link === undefined) return absent(entry.file, page.url);
  if (link.sha256 !== undefined && link.sha256 !== entry.sha256) {
    otherDigest(entry.file, link.sha256, page.url);
  }
  return link.url;
}

export interface IndexLink {
  readonly file: string;
  readonly url: string;
  /** What the index says; the download is checked in any case. */
  readonly sha256: string | undefined;
}

/** The files that a page of the simple index links to; `base` is the address of the page. */
export function parseIndexPage(html: string, base: string): IndexLink[] {
  const own = /<base\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')/i.exec(html);
  const from = own === null ? base : new URL(decodeEntities(own[1] ?? own[2] ?? ''), base).href;
  const links: IndexLink[] = [];
  for (const match of html.matchAll(/<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)')/gi)) {
    const href = decodeEntities(match[1] ?? match[2] ?? '');
    if (!URL.canParse(href, from)) continue;
    const url = new URL(href, from);
    const sha256 = /^#sha256=([0-9a-f]{64})$/i.exec(url.hash)?.[1]?.toLowerCase();
    url.hash = '';
    links.push({ file: lastSegment(url.pathname), url: url.href, sha256 });
  }
  return links;
}

function lastSegment(path: string): string {
  const segment = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' };

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

async function locateTarball(entry: NpmPackage, registry: string): Promise<string> {
  const { name, version } = entry;
  const page = await fetchText(
    new URL(`${name.replace('/', '%2f')}/${version}`, registry).href,
    'application/json',
  );
  const dist = distOf(page.text);
  if (dist === undefined) return absent(`${name} ${version}`, page.url);
  const { tarball, integrity } = dist;
  if (integrity !== undefined && !integrity.split(/\s+/).includes(entry.integrity)) {
    otherDigest(`${name} ${version}`, integrity, page.url);
  }
  return new URL(tarball, page.url).href;
}

interface NpmDist {
  readonly tarball: string;
  readonly integrity: string | undefined;
}

/** The part of npm's metadata that counts; undefined where the text is something else. */
function distOf(json: string): NpmDist | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const dist = memberOf(value, 'dist');
  const [tarball, integrity] = [memberOf(dist, 'tarball'), memberOf(dist, 'integrity')];
  if (typeof tarball !== 'string') return undefined;
  return { tarball, integrity: typeof integrity === 'string' ? integrity : undefined };
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[key];
}

function absent(what: string, url: string): never {
  return fail(
    'HONE-BENCH-012',
    `${url} has no ${what}`,
    what,
    'was it withdrawn? state another version of it in bench/packages, or a complete mirror in PIP_INDEX_URL or npm_config_registry',
  );
}

function otherDigest(what: string, found: string, url: string): never {
  return fail(
    'HONE-BENCH-013',
    `${url} states the digest ${found} of ${what}, which is not the one in bench/packages`,
    what,
    'do not use it: a published file never changes; ask who runs the index',
  );
}
