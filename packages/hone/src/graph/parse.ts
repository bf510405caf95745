/**
 * Reads the text that `print.ts` writes. Output types may be left out where `infer` is given, as
 * hand-written tests do. Bad text is a HONE-PARSE-001 that names the line.
 */
import type { ByteSource } from 'hone-runtime/base/io';
import { Scanner } from '../expr/scanner.ts';
import { readElements, readTensor, readType, type TensorReadOptions } from './tensor-text.ts';
import type {
  Attrs,
  AttrValue,
  Constant,
  Graph,
  InputRange,
  Node,
  OutputExtent,
  Value,
  ValueId,
  ValueType,
} from './types.ts';

export interface GraphReadOptions extends TensorReadOptions {
  /** The file that `file OFFSET "NAME"` constants are in. */
  readonly sourceOf?: (name: string) => ByteSource | undefined;
  /** Completes a node whose output types are not written. */
  readonly infer?: (node: UntypedNode) => { types: readonly ValueType[]; attrs: Attrs };
}

/** What inference is told of a node. */
export interface UntypedNode {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly (Value | null)[];
  readonly attrs: Attrs;
  readonly outputCount: number;
}

/** A whole text that is one graph. */
export function parseGraph(text: string, options: GraphReadOptions = {}): Graph {
  const scanner = new Scanner(text);
  const graph = readGraph(scanner, options);
  if (!scanner.atEnd) scanner.fail('unexpected text after the graph');
  return graph;
}

/** A value being defined: its place and name; the type where written. */
interface Definition {
  readonly id: ValueId;
  readonly name: string;
  readonly type: ValueType | undefined;
}

class GraphReader {
  readonly values: Value[] = [];
  readonly nodes: Node[] = [];
  readonly #scanner: Scanner;
  readonly #options: GraphReadOptions;
  readonly #ids = new Map<string, ValueId>();
  #next = 0;

  constructor(scanner: Scanner, options: GraphReadOptions) {
    this.#scanner = scanner;
    this.#options = options;
  }

  define(): Definition {
    const name = this.#valueName();
    const id = this.#scanner.accept('@') ? this.#scanner.integer() : this.#next;
    const type = this.#scanner.accept(':') ? readType(this.#scanner) : undefined;
    if (this.#ids.has(name)) this.#scanner.fail(`%${name} is defined twice`);
    if (id < 0 || this.values[id] !== undefined) this.#scanner.fail(`bad position of %${name}`);
    this.#ids.set(name, id);
    this.#next = id + 1;
    return { id, name, type };
  }

  add({ id, name }: Definition, type: ValueType, constant?: Constant): void {
    const frozen = Object.freeze({ dtype: type.dtype, shape: Object.freeze([...type.shape]) });
    const value =
      constant === undefined ? { id, name, type: frozen } : { id, name, type: frozen, constant };
    this.values[id] = Object.freeze(value);
  }

  use(): ValueId {
    const name = this.#valueName();
    return this.#ids.get(name) ?? this.#scanner.fail(`%${name} is not defined`);
  }

  constant(definition: Definition): void {
    const { dtype, shape } = readType(this.#scanner);
    if (this.#scanner.accept('file')) {
      const offset = this.#scanner.integer();
      const name = this.#scanner.string();
      const source =
        this.#options.sourceOf?.(name) ?? this.#scanner.fail(`file ${name} is not at hand`);
      this.add(definition, { dtype, shape }, Object.freeze({ kind: 'file', source, offset }));
      return;
    }
    const tensor = readElements(this.#scanner, dtype, shape, this.#options);
    this.add(definition, { dtype, shape }, Object.freeze({ kind: 'inline', tensor }));
  }

  node(outputs: readonly Definition[], word: string): void {
    const scanner: Scanner = this.#scanner;
    const domain = scanner.accept(':') ? word : '';
    const op = domain === '' ? word : scanner.name();
    scanner.expect('(');
    const inputs = scanner.list(')', () => (scanner.accept('_') ? null : this.use()));
    const written = this.#attrs();
    const fallback = outputs[0]?.name ?? op;
    const name = scanner.peekString() ? scanner.string() : fallback;
    let attrs = written;
    let types: readonly (ValueType | undefined)[] = outputs.map((output) => output.type);
    if (types.includes(undefined)) {
      const { infer } = this.#options;
      if (infer === undefined) scanner.fail(`the type of %${fallback} is missing before this`);
      const known = inputs.map((id) => (id === null ? null : (this.values[id] as Value)));
      const outputCount = outputs.length;
      const full = infer({ op, domain, name, inputs: known, attrs, outputCount });
      types = full.types;
      attrs = full.attrs;
    }
    outputs.forEach((output, i) => {
      const type = types[i] ?? scanner.fail(`%${output.name} has no type before this`);
      this.add(output, type);
    });
    const ids = Object.freeze(outputs.map(({ id }) => id));
    this.nodes.push(
      Object.freeze({ op, domain, name, inputs: Object.freeze(inputs), outputs: ids, attrs }),
    );
  }

  #attrs(): Attrs {
    const attrs: Record<string, AttrValue> = {};
    if (!this.#scanner.accept('{')) return Object.freeze(attrs);
    this.#scanner.list('}', () => {
      const name = this.#scanner.name();
      this.#scanner.expect('=');
      attrs[name] = this.#attr();
    });
    return Object.freeze(attrs);
  }

  #attr(): AttrValue {
    const scanner = this.#scanner;
    if (scanner.peekString()) return scanner.string();
    if (scanner.peek('graph')) return readGraph(scanner, this.#options);
    const number = scanner.acceptNumber();
    if (typeof number === 'number') return number;
    if (scanner.accept('[')) {
      const items = scanner.list(']', () => this.#attr());
      return Object.freeze(items) as readonly number[];
    }
    return readTensor(scanner, this.#options);
  }

  #valueName(): string {
    this.#scanner.expect('%');
    return this.#scanner.valueName();
  }
}

function readGraph(scanner: Scanner, options: GraphReadOptions): Graph {
  const reader = new GraphReader(scanner, options);
  scanner.expect('graph');
  const name = scanner.name();
  scanner.expect('(');
  const inputs = scanner.list(')', () => {
    const definition = reader.define();
    reader.add(definition, definition.type ?? scanner.fail('an input needs a type'));
    return definition.id;
  });
  const ranges = scanner.accept('where') ? readRanges(scanner, reader, inputs) : [];
  scanner.expect('{');
  while (!scanner.accept('return')) readLine(scanner, reader);
  const outputs: ValueId[] = [];
  if (!scanner.peek('}')) {
    do outputs.push(reader.use());
    while (scanner.accept(','));
  }
  const extents = scanner.accept('where') ? readExtents(scanner, reader, outputs) : [];
  scanner.expect('}');
  const { values, nodes } = reader;
  for (let id = 0; id < values.length; id++) {
    if (values[id] === undefined) scanner.fail(`no value has position ${id} in graph ${name}`);
  }
  return Object.freeze({
    name,
    inputs: Object.freeze(inputs),
    outputs: Object.freeze(outputs),
    values: Object.freeze(values),
    nodes: Object.freeze(nodes),
    ...(extents.length === 0 ? {} : { extents: Object.freeze(extents) }),
    ...(ranges.length === 0 ? {} : { ranges: Object.freeze(ranges) }),
  });
}

/** `%y[0] = %n, …`: how much of an output is meant. */
function readExtents(
  scanner: Scanner,
  reader: GraphReader,
  outputs: readonly ValueId[],
): OutputExtent[] {
  const extents: OutputExtent[] = [];
  do {
    const { place, axis, from } = readExtent(scanner, reader, outputs, 'output');
    extents.push({ output: place, axis, from });
  } while (scanner.accept(','));
  return extents;
}

/** `%x[0] = %n from 2, …`: which extents of inputs vary. */
function readRanges(
  scanner: Scanner,
  reader: GraphReader,
  inputs: readonly ValueId[],
): InputRange[] {
  const ranges: InputRange[] = [];
  do {
    const { place, axis, from } = readExtent(scanner, reader, inputs, 'input');
    scanner.expect('from');
    ranges.push({ input: place, axis, from, least: scanner.integer() });
  } while (scanner.accept(','));
  return ranges;
}

/** `%y[0] = %n`, both of a list. */
function readExtent(
  scanner: Scanner,
  reader: GraphReader,
  list: readonly ValueId[],
  role: 'input' | 'output',
): { readonly place: number; readonly axis: number; readonly from: number } {
  const position = (): number => {
    const place = list.indexOf(reader.use());
    return place < 0 ? scanner.fail(`not an ${role}, before this`) : place;
  };
  const place = position();
  scanner.expect('[');
  const axis = scanner.integer();
  scanner.expect(']');
  scanner.expect('=');
  return { place, axis, from: position() };
}

function readLine(scanner: Scanner, reader: GraphReader): void {
  const outputs: Definition[] = [];
  if (scanner.peek('%')) {
    do outputs.push(reader.define());
    while (scanner.accept(','));
    scanner.expect('=');
  }
  const word = scanner.name();
  const [first] = outputs;
  if (word === 'const' && first !== undefined && !scanner.peek('(')) reader.constant(first);
  else reader.node(outputs, word);
}
