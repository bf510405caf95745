/** Every pass against its goldens, each validated by running both graphs. */
import { absorbPad } from 'hone/passes/absorb-pad';
import { absorbTranspose } from 'hone/passes/absorb-transpose';
import { decompose } from 'hone/passes/decompose';
import { eliminateCommon } from 'hone/passes/eliminate-common';
import { eliminateDead } from 'hone/passes/eliminate-dead';
import { foldBatchnorm } from 'hone/passes/fold-batchnorm';
import { foldConstants } from 'hone/passes/fold-constants';
import { recognize } from 'hone/passes/recognize';
import { simplifyNodes } from 'hone/passes/simplify-nodes';
import { widenHalf } from 'hone/passes/widen-half';
import { goldenTests } from '../support/golden.js';

const PASSES = [
  absorbPad,
  absorbTranspose,
  decompose,
  eliminateCommon,
  eliminateDead,
  foldBatchnorm,
  foldConstants,
  recognize,
  simplifyNodes,
  widenHalf,
];
for (const pass of PASSES) goldenTests(pass);
