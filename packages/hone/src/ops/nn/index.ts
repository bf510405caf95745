/** The nn operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { attention } from './attention.ts';
import { batchNormalization } from './batch-norm.ts';
import { causalConvWithState } from './causal-conv.ts';
import { conv, convInteger } from './conv.ts';
import { convTranspose } from './conv-transpose.ts';
import { deformConv } from './deform-conv.ts';
import { det } from './det.ts';
import { dropout } from './dropout.ts';
import { flexAttention } from './flex-attention.ts';
import { OPTIMIZERS } from './optimizers.ts';
import { gemm } from './gemm.ts';
import { GLOBAL_POOLS } from './global-pool.ts';
import {
  groupNormalization,
  instanceNormalization,
  meanVarianceNormalization,
} from './instance-norm.ts';
import {
  layerNormalization,
  rmsNormalization,
  simplifiedLayerNormalization,
} from './layer-norm.ts';
import { lpNormalization, lrn } from './lp-norm.ts';
import { linearAttention } from './linear-attention.ts';
import { negativeLogLikelihoodLoss, softmaxCrossEntropyLoss } from './losses.ts';
import { fusedMatMul, matMul, matMulInteger } from './matmul.ts';
import { maxPool } from './max-pool.ts';
import { maxRoiPool } from './max-roi-pool.ts';
import { maxUnpool } from './max-unpool.ts';
import { averagePool, lpPool } from './pool.ts';
import { roiAlign, sizedRoiAlign } from './roi-align.ts';
import { rotaryEmbedding } from './rotary-embedding.ts';
import { SKIP_NORMS } from './skip-norm.ts';
import { hardmax, logSoftmax, softmax } from './softmax.ts';

export const NN_OPS: readonly OpDef[] = [
  conv,
  convInteger,
  convTranspose,
  matMul,
  fusedMatMul,
  matMulInteger,
  gemm,
  maxPool,
  averagePool,
  lpPool,
  ...GLOBAL_POOLS,
  softmax,
  logSoftmax,
  hardmax,
  batchNormalization,
  layerNormalization,
  rmsNormalization,
  simplifiedLayerNormalization,
  instanceNormalization,
  groupNormalization,
  meanVarianceNormalization,
  lpNormalization,
  lrn,
  dropout,
  ...SKIP_NORMS,
  deformConv,
  roiAlign,
  sizedRoiAlign,
  maxRoiPool,
  det,
  maxUnpool,
  attention,
  linearAttention,
  rotaryEmbedding,
  causalConvWithState,
  negativeLogLikelihoodLoss,
  softmaxCrossEntropyLoss,
  flexAttention,
  ...OPTIMIZERS,
];
