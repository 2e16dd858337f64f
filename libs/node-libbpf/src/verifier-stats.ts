/** What the verifier counts while it walks a program (BPF_LOG_STATS, ≥ 5.2); a number that this kernel does not print is left out. */
export interface VerifierStats {
  /** Instructions walked, over all paths; the kernel stops at `instructionLimit`. */
  processedInstructions?: number;
  instructionLimit?: number;
  maxStatesPerInstruction?: number;
  totalStates?: number;
  peakStates?: number;
  /** How deep liveness marks went (before 6.18). */
  longestMarkRead?: number;
  verificationTimeUs?: number;
  /** Bytes of stack of the program and of each of its functions, in the order of the object. A frame chain may have 512. */
  stackDepthBytes?: number[];
}

// Each line once, with the last word: a log of more than one attempt ends with the one that counts.
function lastMatch(log: string, pattern: RegExp): RegExpMatchArray | undefined {
  return [...log.matchAll(pattern)].at(-1);
}

function numbersAfter(words: string, line: string): number | undefined {
  const found = new RegExp(`\\b${words} (\\d{1,15})\\b`).exec(line)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Reads the numbers at the end of a verifier log; an empty object when it has none (level 0, or a log that was cut there). */
export function parseVerifierStats(log: string): VerifierStats {
  const processed = lastMatch(log, /^processed \d{1,15} insns.*$/gm)?.[0] ?? '';
  const depth = lastMatch(log, /^stack depth (\d{1,9}(?:\+\d{1,9}){0,256})/gm)?.[1];
  const time = lastMatch(log, /^verification time (\d{1,15}) usec/gm)?.[1];
  const stats: Record<keyof VerifierStats, VerifierStats[keyof VerifierStats]> = {
    processedInstructions: numbersAfter('processed', processed),
    instructionLimit: numbersAfter('limit', processed),
    maxStatesPerInstruction: numbersAfter('max_states_per_insn', processed),
    totalStates: numbersAfter('total_states', processed),
    peakStates: numbersAfter('peak_states', processed),
    longestMarkRead: numbersAfter('mark_read', processed),
    verificationTimeUs: time === undefined ? undefined : Number(time),
    stackDepthBytes: depth?.split('+').map(Number),
  };
  return Object.fromEntries(Object.entries(stats).filter(([, value]) => value !== undefined));
}
