import { SelectorError } from './error.js';
import { fieldOf, type FieldKind } from './fields.js';
import { tokenize, type Token } from './tokens.js';

export type Comparison = '=' | '!=' | '>=' | '<=' | '>' | '<';

export interface SelectorValue {
  readonly text: string;
  /** An unquoted `*` stands for any characters. */
  readonly pattern: boolean;
}

export type Selector =
  | { readonly kind: 'all' }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Selector[] }
  | { readonly kind: 'not'; readonly part: Selector }
  | { readonly kind: 'present'; readonly field: string }
  | { readonly kind: 'in'; readonly field: string; readonly values: readonly SelectorValue[] }
  | { readonly kind: 'compare'; readonly field: string; readonly operator: Comparison; readonly value: SelectorValue };

const DEPTH_MAX = 32;
const VALUES_MAX = 100;
const KEYWORDS = new Set(['and', 'or', 'not', 'in', 'all']);
const FIELD_NAME = /^[a-z][a-z0-9_.-]{0,68}$/;
/** `<` and `>` need an order; text has none that people agree on. */
const ORDERED: ReadonlySet<FieldKind> = new Set<FieldKind>(['version', 'number']);

/** The empty text and `all` select everything. Throws SelectorError with the column and what is expected there. */
export function parseSelector(text: string): Selector {
  const tokens = tokenize(text);
  if (tokens.length === 1) return { kind: 'all' };
  return new Parser(tokens).whole();
}

/** Recursive descent: or < and < not < term. */
class Parser {
  private at = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  whole(): Selector {
    const selector = this.either();
    const rest = this.peek();
    if (rest.kind !== 'end') throw this.expected('`and`, `or` or the end', rest);
    return selector;
  }

  private either(): Selector {
    const parts = [this.both()];
    while (this.takeWord('or')) parts.push(this.both());
    return parts.length === 1 ? (parts[0] as Selector) : { kind: 'or', parts };
  }

  private both(): Selector {
    const parts = [this.negated()];
    while (this.takeWord('and')) parts.push(this.negated());
    return parts.length === 1 ? (parts[0] as Selector) : { kind: 'and', parts };
  }

  private negated(): Selector {
    if (++this.depth > DEPTH_MAX) {
      throw new SelectorError(this.peek().column, `this is nested deeper than ${DEPTH_MAX} levels`);
    }
    const selector = this.takeWord('not') ? ({ kind: 'not', part: this.negated() } as const) : this.term();
    this.depth--;
    return selector;
  }

  private term(): Selector {
    const token = this.next();
    if (token.kind === 'open') {
      const inner = this.either();
      this.take('close', '`)`');
      return inner;
    }
    if (token.kind === 'word' && token.text.toLowerCase() === 'all') return { kind: 'all' };
    if (token.kind !== 'word' || KEYWORDS.has(token.text.toLowerCase())) {
      throw this.expected('a field or label such as `arch=arm64`, `not` or `(`', token);
    }
    if (!FIELD_NAME.test(token.text)) {
      throw new SelectorError(token.column, `${JSON.stringify(token.text)} is no name of a field or label`);
    }
    return this.condition(token);
  }

  private condition(name: Token): Selector {
    const field = name.text;
    const { kind } = fieldOf(field);
    const operator = this.peek();
    if (kind === 'flag') {
      if (operator.kind !== 'operator') return { kind: 'present', field };
      throw new SelectorError(operator.column, `\`${field}\` is yes or no: write \`${field}\` or \`not ${field}\``);
    }
    if (this.takeWord('in')) return { kind: 'in', field, values: this.list(kind) };
    if (operator.kind === 'word' && operator.text.toLowerCase() === 'not' && this.wordAfter('in')) {
      this.at += 2;
      return { kind: 'not', part: { kind: 'in', field, values: this.list(kind) } };
    }
    if (operator.kind !== 'operator') return { kind: 'present', field };
    this.next();
    const comparison = operator.text as Comparison;
    if (comparison !== '=' && comparison !== '!=' && !ORDERED.has(kind)) {
      throw new SelectorError(
        operator.column,
        `\`${field}\` has no order, so \`${comparison}\` means nothing; use \`=\`, \`!=\` or \`in (…)\``,
      );
    }
    return { kind: 'compare', field, operator: comparison, value: this.value(kind) };
  }

  private list(kind: FieldKind): SelectorValue[] {
    this.take('open', '`(` after `in`');
    const values = [this.value(kind)];
    for (;;) {
      const token = this.next();
      if (token.kind === 'close') return values;
      if (token.kind !== 'comma') throw this.expected('`,` or `)`', token);
      if (values.length === VALUES_MAX)
        throw new SelectorError(token.column, `a list has at most ${VALUES_MAX} values`);
      values.push(this.value(kind));
    }
  }

  private value(kind: FieldKind): SelectorValue {
    const token = this.next();
    if (token.kind !== 'word' && token.kind !== 'quoted') throw this.expected('a value', token);
    if (kind === 'number' && !/^\d{1,9}$/.test(token.text)) throw this.expected('a whole number', token);
    if (kind === 'version' && !/^\d/.test(token.text)) throw this.expected('a version such as 5.10', token);
    return { text: token.text, pattern: token.kind === 'word' && token.text.includes('*') };
  }

  private peek(): Token {
    return this.tokens[this.at] as Token;
  }

  private next(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.at++;
    return token;
  }

  private take(kind: Token['kind'], what: string): void {
    const token = this.next();
    if (token.kind !== kind) throw this.expected(what, token);
  }

  private takeWord(word: string): boolean {
    const token = this.peek();
    if (token.kind !== 'word' || token.text.toLowerCase() !== word) return false;
    this.at++;
    return true;
  }

  private wordAfter(word: string): boolean {
    const token = this.tokens[this.at + 1];
    return token?.kind === 'word' && token.text.toLowerCase() === word;
  }

  private expected(what: string, token: Token): SelectorError {
    const found = token.kind === 'end' ? 'the selector ends' : `${JSON.stringify(token.text)} stands`;
    return new SelectorError(token.column, `expected ${what}, but ${found} here`);
  }
}
