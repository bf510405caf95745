/**
 * The list of operators that are known and not supported: none of them has a record, and every operator of the
 * ONNX backend suite has a record, is carried out by the importer, or is in the list.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { analyzeOnnx, openOnnx } from 'hone/frontends/onnx/index';
import { ABSENT, reasonOf } from 'hone/ops/absent';
import { standardRegistry } from 'hone/ops/registry';
import { dataPath, missingData } from '../support/data.ts';

test('no absent operator has a record, none is there twice', () => {
  for (const { name, domain, reason } of ABSENT) {
    assert.equal(standardRegistry.find(name, domain), undefined, name);
    assert.ok(reason.length > 0, name);
  }
  assert.equal(new Set(ABSENT.map(({ name, domain }) => `${domain}:${name}`)).size, ABSENT.length);
});

const SUITE = 'onnx-1.22.0';

test('every operator of the ONNX suite is supported or absent for a reason', {
  skip: missingData(SUITE),
}, () => {
  const unknown = new Set<string>();
  for (const group of ['node', 'simple', 'pytorch-converted', 'pytorch-operator']) {
    for (const name of readdirSync(dataPath(join(SUITE, group)))) {
      const file = dataPath(join(SUITE, group, name, 'model.onnx'));
      if (!existsSync(file)) continue;
      const model = openOnnx(file);
      for (const { op, domain } of analyzeOnnx(model).unsupported) {
        if (reasonOf(op, domain) === undefined) unknown.add(`${domain}:${op}`);
      }
      model.close();
    }
  }
  assert.deepEqual([...unknown], []);
});
