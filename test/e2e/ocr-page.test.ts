/**
 * A scanned page read line by line with PP-OCR's detector, direction classifier and recogniser, the
 * last one compiled at several widths. Every tensor on the way is as onnxruntime's, and a reader on
 * top of onnxruntime alone finds the same texts; the words are those that stand on the page.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { cropPicture, decodePicture, type Picture } from 'hone/cli/input/picture';
import type { Tensor } from 'hone-runtime/base/tensor';
import { upsideDown } from '../../bench/demo/drawing.js';
import { LINE_SHAPE, lineInput } from '../../bench/demo/text-direction.js';
import { npmModel } from '../../bench/npm-files.js';
import { readCharacters, textOf } from '../../bench/ocr/ctc.js';
import {
  LINE_WIDTHS,
  lineWidth,
  type PageModels,
  type PageText,
  type RunModel,
  readPage,
} from '../../bench/ocr/read-page.js';
import { cutLine } from '../../bench/ocr/straighten.js';
import { detectionSize } from '../../bench/ocr/text-boxes.js';
import { openPair, type Pair, type Tensors } from '../support/against-onnxruntime.js';
import { dataPath, missingData } from '../support/data.js';

const PAGE = 'text/page.png';
const skip = missingData(PAGE);

/** What is printed on the page; its last line is cut off in the middle of the letters. */
const PRINTED = [
  'Region-based segmentation',
  'Let us first determine markers of the coins and the',
  'background. These markers are pixels that we can label',
  'unambiguously as either object or background. Here,',
  'the markers are found at the two extreme parts of the',
  'histogram of grey values:',
  '>>> markers = np.zeros_like(coins)',
];

/** Words by where they stand, narrow enough for the narrow recognisers. */
const WORDS = [
  { left: 4, top: 48, width: 48, height: 18, text: 'Let us', at: 160 },
  { left: 4, top: 10, width: 140, height: 26, text: 'Region-based', at: 320 },
];

const readPicture = (): Picture => decodePicture(readFileSync(dataPath(PAGE)), PAGE);

interface Reader {
  /** Compared with onnxruntime, tensor by tensor. */
  readonly ours: PageModels;
  /** onnxruntime alone. */
  readonly theirs: PageModels;
}

const pairs: Pair[] = [];
after(async () => {
  for (const pair of pairs) await pair.close();
});

let opened: Promise<Reader> | undefined;
const reader = (): Promise<Reader> => (opened ??= openReader());

async function openReader(): Promise<Reader> {
  const open = async (model: 'ppocr-det' | 'ppocr-cls' | 'ppocr-rec', shape: readonly number[]) => {
    const pair = await openPair(npmModel(model), { shapes: { x: shape } });
    pairs.push(pair);
    return pair;
  };
  const page = detectionSize(readPicture());
  const detect = await open('ppocr-det', [1, 3, ...page]);
  const direction = await open('ppocr-cls', LINE_SHAPE);
  const widths: [number, Pair][] = [];
  for (const width of LINE_WIDTHS) widths.push([width, await open('ppocr-rec', [1, 3, 48, width])]);
  const models = (use: (pair: Pair) => RunModel): PageModels => ({
    page,
    detect: use(detect),
    direction: use(direction),
    recognise: new Map(widths.map(([width, pair]) => [width, use(pair)])),
  });
  return {
    ours: models((pair) => async (x) => only(await pair.check({ x }))),
    theirs: models((pair) => async (x) => only(await pair.peer({ x }))),
  };
}

function only(outputs: Tensors): Tensor {
  const all = Object.values(outputs);
  assert.equal(all.length, 1);
  return all[0] as Tensor;
}

/** The recogniser leaves out many of the narrow spaces, and takes commas for wide ones now and then. */
const letters = (text: string): string => text.normalize('NFKC').replaceAll(' ', '');
const texts = ({ lines }: PageText): string[] => lines.map(({ text }) => text);

test('the page is read line by line, as onnxruntime reads it', { skip }, async () => {
  const { ours, theirs } = await reader();
  const read = await readPage(readPicture(), ours);
  const peer = await readPage(readPicture(), theirs);
  assert.equal(read.degrees, 0);
  assert.equal(peer.degrees, 0);
  assert.deepEqual(texts(read), texts(peer));
  assert.deepEqual(texts(read).map(letters), PRINTED.map(letters));
  const widths = new Set(read.lines.map(({ width }) => width));
  assert.ok(widths.size >= 2, `recognised at ${[...widths].join(', ')}`);
});

test('the page upside down is noticed, and read', { skip }, async () => {
  const { ours, theirs } = await reader();
  const turned = upsideDown(readPicture());
  const read = await readPage(turned, ours);
  const peer = await readPage(turned, theirs);
  assert.equal(read.degrees, 180);
  assert.deepEqual(texts(read), texts(peer));
  const wanted = PRINTED.map(letters);
  const right = texts(read).filter((text) => wanted.includes(letters(text)));
  // Of the line that is cut off, other letters are found this way round.
  assert.ok(right.length >= PRINTED.length - 1, texts(read).join('\n'));
});

test('words are read at the narrowest width that holds them', { skip }, async () => {
  const { ours } = await reader();
  for (const { left, top, width, height, text, at } of WORDS) {
    const word = cropPicture(readPicture(), left, top, width, height);
    assert.equal(lineWidth(word, LINE_WIDTHS), at);
    const output = await ours.recognise.get(at)?.(lineInput(word, at));
    assert.ok(output !== undefined);
    assert.equal(
      letters(textOf(output, readCharacters(output.shape.at(-1) ?? 0)).text),
      letters(text),
    );
  }
});

test('a line at every width gives what onnxruntime gives, squeezed or padded', {
  skip,
}, async () => {
  const { ours, theirs } = await reader();
  const { lines } = await readPage(readPicture(), theirs);
  const line = lines[0];
  assert.ok(line !== undefined);
  const cut = cutLine(readPicture(), line.corners);
  for (const width of LINE_WIDTHS) {
    const x = lineInput(cut, width);
    const [got, wanted] = [
      await ours.recognise.get(width)?.(x),
      await theirs.recognise.get(width)?.(x),
    ];
    assert.ok(got !== undefined && wanted !== undefined);
    const characters = readCharacters(got.shape.at(-1) ?? 0);
    assert.equal(textOf(got, characters).text, textOf(wanted, characters).text, `width ${width}`);
    if (width >= lineWidth(cut, LINE_WIDTHS))
      assert.equal(letters(textOf(got, characters).text), letters(PRINTED[0] ?? ''));
  }
});
