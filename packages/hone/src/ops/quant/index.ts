/** The quant operators; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { dequantizeLinear } from './dequantize.ts';
import { dynamicQuantizeLinear } from './dynamic-quantize.ts';
import { qLinearConv, qLinearMatMul } from './qlinear.ts';
import { quantizeLinear } from './quantize.ts';

export const QUANT_OPS: readonly OpDef[] = [
  quantizeLinear,
  dequantizeLinear,
  dynamicQuantizeLinear,
  qLinearMatMul,
  qLinearConv,
];
