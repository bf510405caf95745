/** The quant operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { dequantizeLinear } from './dequantize.ts';
import { dynamicQuantizeMatMul, matMulIntegerToFloat } from './dynamic-products.ts';
import { dynamicQuantizeLinear } from './dynamic-quantize.ts';
import { matMulNBits } from './matmul-nbits.ts';
import { qGemm, qLinearSoftmax } from './qgemm.ts';
import { qLinearConv, qLinearMatMul } from './qlinear.ts';
import { QLINEAR_FAMILY } from './qlinear-family.ts';
import { quantizeLinear } from './quantize.ts';

export const QUANT_OPS: readonly OpDef[] = [
  quantizeLinear,
  dequantizeLinear,
  dynamicQuantizeLinear,
  qLinearMatMul,
  qLinearConv,
  ...QLINEAR_FAMILY,
  qGemm,
  qLinearSoftmax,
  matMulIntegerToFloat,
  dynamicQuantizeMatMul,
  matMulNBits,
];
