/** Where in the C source the compiler says that an instruction comes from. */
export interface SourceLine {
  /** The line itself, without its indentation. */
  text: string;
  /** Kernel ≥ 6.8 names the file and counts the line. */
  file?: string;
  line?: number;
}

export interface VerifierRefusal {
  /** What the verifier has against the program, its own words; lines joined by newlines. */
  complaint: string;
  /** The instruction at which it stopped, counted in the program as loaded. */
  instruction?: number;
  source?: SourceLine;
}

const instructionLine = /^(\d+): \([0-9a-f]{2}\) /;
// What the verifier adds for itself: states, precision tracking, statistics.
const sideNote = new RegExp(
  [
    'processed \\d+ insns',
    'verification time',
    'stack depth',
    'max_states',
    'peak_states',
    'mark_precise',
    'last_idx',
    'regs=',
    'parent ',
    'func#\\d+ @',
    'from \\d+ to \\d+',
    '\\d+: R\\d',
    '\\d+: \\(',
    ' ',
    'R\\d+(_w)?=\\S+ R\\d',
  ]
    .map((start) => `^${start}`)
    .join('|'),
);

/** Finds in the log of a refused program why and where. What the log does not say (a cut log, an early refusal) is left out. */
export function parseVerifierLog(log: string): VerifierRefusal {
  const lines = log.split('\n').map((line) => line.trimEnd());
  const last = lines.findLastIndex((line) => instructionLine.test(line));
  const complaint = lines
    .slice(last + 1)
    .filter((line) => line !== '' && !sideNote.test(line) && !line.startsWith('; '))
    .join('\n');
  // A refusal before the walk, such as of a loop or a jump into nothing, names the instruction in words.
  const number = last < 0 ? /\binsn (\d+)/.exec(complaint)?.[1] : instructionLine.exec(lines[last] ?? '')?.[1];
  const comment = lines.slice(0, last + 1).findLast((line) => line.startsWith('; '));
  const refusal: VerifierRefusal = { complaint };
  if (number !== undefined) refusal.instruction = Number(number);
  if (comment !== undefined) refusal.source = parseSourceLine(comment.slice(2));
  return refusal;
}

// Without a regular expression over the whole: the text is the object's, and as long as it likes.
function parseSourceLine(comment: string): SourceLine {
  const at = comment.lastIndexOf(' @ ');
  const colon = comment.lastIndexOf(':');
  const number = comment.slice(colon + 1);
  if (at < 0 || colon < at || !/^\d{1,9}$/.test(number)) return { text: comment };
  return { text: comment.slice(0, at), file: comment.slice(at + 3, colon), line: Number(number) };
}
