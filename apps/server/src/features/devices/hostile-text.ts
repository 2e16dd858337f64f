// C0 and C1 control characters, line and paragraph separators, and the marks that turn the direction of text: none of
// them belongs in a name, and each can forge a line of a log, a terminal or a page. NUL and lone surrogates are refused by Postgres.
const CONTROL =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const LINE_BREAKS = /[\t\n\r]+/g;
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** For a text of several lines, such as a verifier's log: tabs and line ends stay. */
export function cleanLines(text: string): string {
  return text.replace(CONTROL, '').replace(LONE_SURROGATE, '\ufffd').replace(/\r\n?/g, '\n');
}

/** For a name: one line. */
export function cleanText(text: string): string {
  return cleanLines(text).replace(LINE_BREAKS, ' ').trim();
}

/** At most `charsMax` UTF-16 units, never ending in half a character, which PostgreSQL refuses. */
export function cutText(text: string, charsMax: number): string {
  return text.slice(0, charsMax).replace(/\p{Surrogate}$/u, '');
}

/** Every text inside a parsed message, keys included; `lines` says which fields may have several lines. */
export function cleanMessage<T>(value: T, lines: ReadonlySet<string>): T {
  return clean(value, lines, '') as T;
}

function clean(value: unknown, lines: ReadonlySet<string>, key: string): unknown {
  if (typeof value === 'string') return lines.has(key) ? cleanLines(value) : cleanText(value);
  if (Array.isArray(value)) return value.map((item) => clean(item, lines, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [cleanText(name), clean(inner, lines, name)]));
}
