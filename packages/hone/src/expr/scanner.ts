/**
 * Reads the tokens of Hone's text forms (expressions, graphs, stages, loops). Whitespace and
 * comments (`;` to the end of the line) separate tokens. Errors carry the line and the text there.
 */
import { fail } from 'hone-runtime/base/diagnostics';
import { type DType, isDType } from 'hone-runtime/base/dtype';

const SPACE = /(?:\s|;[^\n]*)*/y;
const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_.]*/y;
const STRING = /"(?:[^"\\]|\\.)*"/y;
const NUMBER = /-?(?:inf|nan|\d+\.?\d*(?:e[+-]?\d+)?)/y;
const INTEGER = /-?\d+/y;
const VALUE_NAME = /[A-Za-z0-9_./]+/y;
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_.]*$/;

export class Scanner {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skip();
  }

  get atEnd(): boolean {
    return this.#position === this.#text.length;
  }

  /** Does the rest begin with this text? Words must end where the text ends. */
  peek(token: string): boolean {
    if (!this.#text.startsWith(token, this.#position)) return false;
    const next = this.#text[this.#position + token.length] ?? '';
    return !(/\w$/.test(token) && /\w/.test(next));
  }

  /** Takes the token when it is next. */
  accept(token: string): boolean {
    if (!this.peek(token)) return false;
    this.#position += token.length;
    this.#skip();
    return true;
  }

  expect(token: string): void {
    if (!this.accept(token)) this.fail(`expected ${JSON.stringify(token)}`);
  }

  /** An identifier, when one is next. */
  acceptIdentifier(): string | undefined {
    return this.#match(IDENTIFIER);
  }

  identifier(): string {
    return this.acceptIdentifier() ?? this.fail('expected a name');
  }

  peekString(): boolean {
    return this.#text[this.#position] === '"';
  }

  /** A quoted string with JSON's escapes. */
  string(): string {
    const text = this.#match(STRING) ?? this.fail('expected a quoted string');
    try {
      return JSON.parse(text) as string;
    } catch {
      return this.fail(`bad escape in ${text}`);
    }
  }

  /** A name as `printName` writes it: plain, or quoted. */
  name(): string {
    return this.peekString() ? this.string() : this.identifier();
  }

  /** A value's name after its `%`: letters, digits, `_`, `.`, `/`; or quoted. */
  valueName(): string {
    if (this.peekString()) return this.string();
    return this.#match(VALUE_NAME) ?? this.fail('expected a name');
  }

  /** A number, or a bigint where an `n` follows; undefined when none is next. */
  acceptNumber(): number | bigint | undefined {
    const start = this.#position;
    const text = this.#matchRaw(NUMBER);
    if (text === undefined) return undefined;
    if (this.#text[this.#position] === 'n' && /^-?\d+$/.test(text)) {
      this.#position++;
      this.#skip();
      return BigInt(text);
    }
    if (/\w/.test(this.#text[this.#position] ?? '')) {
      this.#position = start;
      return undefined;
    }
    this.#skip();
    return parseNumber(text);
  }

  /** An integer of any size, with or without the `n`. */
  bigint(): bigint {
    const text = this.#matchRaw(INTEGER) ?? this.fail('expected an integer');
    if (this.#text[this.#position] === 'n') this.#position++;
    this.#skip();
    return BigInt(text);
  }

  number(): number {
    const value = this.acceptNumber();
    return typeof value === 'number' ? value : this.fail('expected a number');
  }

  integer(): number {
    const value = this.number();
    return Number.isSafeInteger(value) ? value : this.fail('expected an integer');
  }

  dtype(): DType {
    const name = this.identifier();
    return isDType(name) ? name : this.fail(`${name} is not a dtype`);
  }

  /** Items separated by commas up to the closing token, which is taken. */
  list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.accept(close)) return items;
    do items.push(item());
    while (this.accept(','));
    this.expect(close);
    return items;
  }

  /** `[1,2,3]` */
  shape(): number[] {
    this.expect('[');
    return this.list(']', () => this.integer());
  }

  fail(message: string): never {
    const before = this.#text.slice(0, this.#position);
    const line = before.split('\n').length;
    const rest = this.#text.slice(this.#position, this.#position + 30).split('\n')[0] ?? '';
    const where = rest === '' ? 'the end' : JSON.stringify(rest);
    fail(
      'HONE-PARSE-001',
      `line ${line}: ${message} at ${where}`,
      `line ${line}`,
      'correct the text; docs/ir.md describes the forms',
    );
  }

  #match(pattern: RegExp): string | undefined {
    const text = this.#matchRaw(pattern);
    if (text !== undefined) this.#skip();
    return text;
  }

  #matchRaw(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#position;
    const text = pattern.exec(this.#text)?.[0];
    if (text !== undefined) this.#position += text.length;
    return text;
  }

  #skip(): void {
    SPACE.lastIndex = this.#position;
    this.#position += SPACE.exec(this.#text)?.[0].length ?? 0;
  }
}

/** A name as it is when it is a plain identifier, else quoted. */
export function printName(name: string): string {
  return PLAIN_NAME.test(name) ? name : JSON.stringify(name);
}

/** A double as the shortest text that reads back as the same double. */
export function printNumber(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

function parseNumber(text: string): number {
  if (text === 'inf') return Number.POSITIVE_INFINITY;
  if (text === '-inf') return Number.NEGATIVE_INFINITY;
  return text === 'nan' ? Number.NaN : Number(text);
}
