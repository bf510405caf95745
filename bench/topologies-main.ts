/**
 * `npm run bench:topologies [NAME…]`: works out the workloads of the public topologies and writes
 * them to packages/hone/data/topologies.json, which the performance model is fitted with.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { storedWorkload } from 'hone/advisor/stored-workloads';
import { workFlops, workloadOf } from 'hone/advisor/workload';
import { buildTopology, TOPOLOGIES } from './networks/topologies.ts';

const FILE = fileURLToPath(new URL('../../packages/hone/data/topologies.json', import.meta.url));

const names = process.argv.slice(2);
const old: Record<string, unknown> =
  names.length > 0 && existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : {};
const wanted = names.length > 0 ? names : Object.keys(TOPOLOGIES);
for (const name of wanted) {
  const workload = workloadOf(buildTopology(name));
  process.stderr.write(`${name}: ${(workFlops(workload) / 1e9).toFixed(2)} GFLOP\n`);
  old[name] = storedWorkload({ ...workload, name });
}
// A stage a line: [kind, count, flops, weightBytes, activationBytes].
const text = JSON.stringify(old, undefined, 1)
  .replace(/\[\n\s+"[a-z]+",[^\]]*\]/g, (item) => item.replace(/\n\s*/g, ''))
  .replace(/"operators": \{[^}]*\}/g, (item) => item.replace(/\n\s*/g, ''));
writeFileSync(FILE, `${text}\n`);
process.stderr.write(`wrote ${FILE}\n`);
