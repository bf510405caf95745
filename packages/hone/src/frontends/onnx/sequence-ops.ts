/** Operators of ai.onnx on sequences and optionals; the importer carries them out. */
export const SEQUENCE_OPS: ReadonlySet<string> = new Set([
  'SequenceEmpty',
  'SequenceConstruct',
  'SequenceInsert',
  'SequenceErase',
  'SequenceAt',
  'SequenceLength',
  'SplitToSequence',
  'ConcatFromSequence',
  'SequenceMap',
  'Optional',
  'OptionalHasElement',
  'OptionalGetElement',
]);
