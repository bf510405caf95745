/** Every pass against its goldens, each validated by running both graphs. */
import { absorbPad } from 'hone/passes/absorb-pad';
import { absorbTranspose } from 'hone/passes/absorb-transpose';
import { decompose } from 'hone/passes/decompose';
import { dropRequantization } from 'hone/passes/drop-requantization';
import { eliminateCommon } from 'hone/passes/eliminate-common';
import { eliminateDead } from 'hone/passes/eliminate-dead';
import { equalizeChannels } from 'hone/passes/equalize-channels';
import { exposeQuantization } from 'hone/passes/expose-quantization';
import { foldBatchnorm } from 'hone/passes/fold-batchnorm';
import { foldConstants } from 'hone/passes/fold-constants';
import { hoistInvariants } from 'hone/passes/hoist-invariants';
import { optimizeBodies } from 'hone/passes/index';
import { moveQuantization } from 'hone/passes/move-quantization';
import { packWeights } from 'hone/passes/pack-weights';
import { raiseWindows } from 'hone/passes/raise-windows';
import { recognize } from 'hone/passes/recognize';
import { separateDequantization } from 'hone/passes/separate-dequantization';
import { signWeights } from 'hone/passes/sign-weights';
import { simplifyNodes } from 'hone/passes/simplify-nodes';
import { unshiftProducts } from 'hone/passes/unshift-products';
import { unsignActivations } from 'hone/passes/unsign-activations';
import { widenHalf } from 'hone/passes/widen-half';
import { goldenTests } from '../support/golden.js';

const PASSES = [
  absorbPad,
  absorbTranspose,
  decompose,
  dropRequantization,
  eliminateCommon,
  eliminateDead,
  equalizeChannels,
  exposeQuantization,
  foldBatchnorm,
  foldConstants,
  hoistInvariants,
  moveQuantization,
  optimizeBodies,
  packWeights,
  raiseWindows,
  recognize,
  separateDequantization,
  signWeights,
  simplifyNodes,
  unshiftProducts,
  unsignActivations,
  widenHalf,
];
for (const pass of PASSES) goldenTests(pass);
