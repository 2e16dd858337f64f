import { SelectorError } from './error.js';

export type TokenKind = 'word' | 'quoted' | 'operator' | 'open' | 'close' | 'comma' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Without quotes and escapes. */
  readonly text: string;
  /** 1-based, in characters: what a person counts. */
  readonly column: number;
}

export const SELECTOR_CHARS_MAX = 1000;
const SPACE = /\s+/y;
const OPERATOR = />=|<=|!=|=|<|>/y;
const WORD = /[A-Za-z0-9_.*:+/@-]+/y;
const QUOTED = /"((?:[^"\\]|\\["\\])*)"|'((?:[^'\\]|\\['\\])*)'/y;
const PUNCTUATION: Readonly<Record<string, TokenKind>> = { '(': 'open', ')': 'close', ',': 'comma' };

/** Throws SelectorError where a character cannot begin anything. The last token is always `end`. */
export function tokenize(text: string): Token[] {
  if (text.length > SELECTOR_CHARS_MAX) {
    throw new SelectorError(
      SELECTOR_CHARS_MAX + 1,
      `the selector is ${text.length} characters; at most ${SELECTOR_CHARS_MAX} are read`,
    );
  }
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const blank = matchAt(SPACE, text, at);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const { token, length } = tokenAt(text, at);
    tokens.push(token);
    at += length;
  }
  return [...tokens, { kind: 'end', text: '', column: text.length + 1 }];
}

function tokenAt(text: string, at: number): { token: Token; length: number } {
  const column = at + 1;
  const character = text[at] as string;
  const mark = PUNCTUATION[character];
  if (mark) return { token: { kind: mark, text: character, column }, length: 1 };
  const operator = matchAt(OPERATOR, text, at);
  if (operator) return { token: { kind: 'operator', text: operator[0], column }, length: operator[0].length };
  const quoted = matchAt(QUOTED, text, at);
  if (quoted) {
    const value = (quoted[1] ?? quoted[2] ?? '').replace(/\\(.)/g, '$1');
    return { token: { kind: 'quoted', text: value, column }, length: quoted[0].length };
  }
  const word = matchAt(WORD, text, at);
  if (word) return { token: { kind: 'word', text: word[0], column }, length: word[0].length };
  if (character === '"' || character === "'") throw new SelectorError(column, 'this quote is never closed');
  throw new SelectorError(column, `${JSON.stringify(character)} means nothing here; quote values that hold it`);
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
