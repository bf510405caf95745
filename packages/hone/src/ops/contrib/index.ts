/** Operators of com.microsoft, and dropped ones of ai.onnx; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import { ALIASES } from './aliases.ts';
import { cropAndResize } from './crop-and-resize.ts';
import { embedLayerNormalization } from './embed-layer-norm.ts';
import { EXPERIMENTAL } from './experimental.ts';
import { fusedConv, fusedGemm } from './fused.ts';
import { groupQueryAttention } from './group-query-attention.ts';
import { IMAGES } from './images.ts';
import { inverse } from './inverse.ts';
import { LANGUAGE } from './language.ts';
import { multiHeadAttention } from './multi-head-attention.ts';
import { convTransposeWithDynamicPads, nhwcMaxPool, qLinearConvLast } from './nhwc.ts';
import { microsoftAttention, qAttention } from './packed-attention.ts';
import { PACKED_WEIGHTS } from './packed-weights.ts';
import { microsoftRotaryEmbedding } from './rotary.ts';

export const CONTRIB_OPS: readonly OpDef[] = [
  ...ALIASES,
  fusedConv,
  fusedGemm,
  nhwcMaxPool,
  qLinearConvLast,
  convTransposeWithDynamicPads,
  microsoftAttention,
  qAttention,
  multiHeadAttention,
  groupQueryAttention,
  microsoftRotaryEmbedding,
  embedLayerNormalization,
  ...IMAGES,
  cropAndResize,
  inverse,
  ...LANGUAGE,
  ...PACKED_WEIGHTS,
  ...EXPERIMENTAL,
];
