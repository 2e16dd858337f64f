/**
 * C without its comments, a space in the place of each. Every character is looked at once, since the text is an uploader's: a
 * regular expression for comments begins anew at each of many `/*` that nothing closes, and stops the server for minutes.
 * A `/*` without an end takes the rest with it, as it does for the compiler, which refuses the file.
 */
export function withoutComments(text: string): string {
  const kept: string[] = [];
  let from = 0;
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === '"' || character === "'") {
      at = literalEnd(text, at);
    } else if (character === '/' && (text[at + 1] === '*' || text[at + 1] === '/')) {
      kept.push(text.slice(from, at));
      at = from = commentEnd(text, at);
    } else {
      at++;
    }
  }
  kept.push(text.slice(from));
  return kept.join(' ');
}

/** Behind the literal that begins at `start`; `"//"` begins no comment. One that is never closed ends with its line. */
function literalEnd(text: string, start: number): number {
  const quote = text[start];
  let at = start + 1;
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
  return Math.min(at + 1, text.length);
}

function commentEnd(text: string, start: number): number {
  const isBlock = text[start + 1] === '*';
  const close = text.indexOf(isBlock ? '*/' : '\n', start + 2);
  if (close < 0) return text.length;
  // The line break stays: it ends the line of a directive too.
  return isBlock ? close + 2 : close;
}
