/** Operators that are known and not supported, each with the reason: for documents and error messages. */

export interface AbsentOperator {
  readonly name: string;
  /** '' for ai.onnx. */
  readonly domain: string;
  readonly reason: string;
}

const MICROSOFT = 'com.microsoft';

const BEAM =
  'a whole search with its own model inside, for generation: export the model that one step takes';
const BEAM_PART = 'only inside the searches (BeamSearch, GreedySearch), which are not supported';
const OTHER_DEVICES =
  'onnxruntime runs it on other devices only; models for processors do not have it';
const DEVICE = 'runs a model that was compiled for another device';
const TOKENS = 'cuts texts; their number depends on data';
const TRAINING = 'training, not inference';

function each(domain: string, reason: string, names: string): readonly AbsentOperator[] {
  return names.split(' ').map((name) => ({ name, domain, reason }));
}

export const ABSENT: readonly AbsentOperator[] = [
  ...each('', 'decodes pictures; the command line does that before the model', 'ImageDecoder'),
  ...each('', 'dropped by ONNX; no exporter wrote it', 'ConstantFill GivenTensorFill GRUUnit'),
  ...each('', 'calls into PyTorch, which is not there', 'ATen'),
  ...each('ai.onnx.preview.training', TRAINING, 'Gradient'),
  ...each(MICROSOFT, 'a layer of its own in onnxruntime 1.30; no export is known', 'GatedDeltaNet'),
  ...each(MICROSOFT, BEAM, 'BeamSearch GreedySearch Sampling WhisperBeamSearch'),
  ...each(
    MICROSOFT,
    BEAM_PART,
    'DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention BifurcationDetector',
  ),
  ...each(
    MICROSOFT,
    OTHER_DEVICES,
    'PackedAttention PackedMultiHeadAttention RemovePadding RestorePadding GatedRelativePositionBias ' +
      'RelativePositionBias DecoderAttention LongformerAttention BiasSoftmax BiasDropout BitmaskDropout ' +
      'BitmaskBiasDropout GemmFastGelu GemmFloat8 GemmaRotaryEmbedding NhwcConv NhwcFusedConv ' +
      'FusedMatMulActivation QOrderedAttention QOrderedGelu QOrderedLayerNormalization ' +
      'QOrderedLongformerAttention QOrderedMatMul QuantizeWithOrder DequantizeWithOrder ComplexMul ' +
      'ComplexMulConj Rfft Irfft QuantizeBFP DequantizeBFP',
  ),
  ...each(MICROSOFT, DEVICE, 'EPContext Snpe'),
  ...each(MICROSOFT, TOKENS, 'Tokenizer'),
  ...each(MICROSOFT, 'experts chosen by data, with kernels of their own', 'MoE QMoE'),
  ...each(MICROSOFT, 'attention over blocks that data chooses', 'SparseAttention PagedAttention'),
  ...each(MICROSOFT, 'its path is as long as data says', 'DynamicTimeWarping'),
  ...each(
    MICROSOFT,
    'no known export contains it',
    'AttnLSTM MaxpoolWithMask MurmurHash3 MulInteger MatMulInteger16 MatMulFpQ4 ReduceSumInteger SampleOp ' +
      'SparseToDenseMatMul TorchEmbedding WordConvEmbedding',
  ),
];

/** Why an operator is absent, where that is known. */
export function reasonOf(name: string, domain: string): string | undefined {
  return ABSENT.find((op) => op.name === name && op.domain === domain)?.reason;
}
