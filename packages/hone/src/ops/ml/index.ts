/** The operators of ai.onnx.ml; one line per operator or family. */
import type { OpDef } from '../define-op.ts';
import {
  arrayFeatureExtractor,
  binarizer,
  featureVectorizer,
  imputer,
  normalizer,
  oneHotEncoder,
  scaler,
} from './features.ts';
import { ENCODERS } from './label-encoder.ts';
import { linearClassifier, linearRegressor } from './linear.ts';
import { pairwiseCoupling } from './pairwise-coupling.ts';
import { svmRegressor } from './svm.ts';
import { svmClassifier } from './svm-classifier.ts';
import { treeLeaves } from './tree-leaves.ts';
import { TREES } from './trees.ts';

export const ML_OPS: readonly OpDef[] = [
  arrayFeatureExtractor,
  binarizer,
  featureVectorizer,
  imputer,
  linearClassifier,
  linearRegressor,
  normalizer,
  oneHotEncoder,
  scaler,
  svmRegressor,
  svmClassifier,
  pairwiseCoupling,
  treeLeaves,
  ...ENCODERS,
  ...TREES,
];
