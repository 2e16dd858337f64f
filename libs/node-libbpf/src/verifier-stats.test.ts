import { expect, it } from '@jest/globals';
import { parseVerifierStats } from './index.js';

it('reads what a kernel prints', () => {
  const log = [
    'verification time 1234 usec',
    'stack depth 16+0+8',
    'processed 345 insns (limit 1000000) max_states_per_insn 4 total_states 21 peak_states 20 mark_read 3',
    '',
  ].join('\n');
  expect(parseVerifierStats(log)).toEqual({
    processedInstructions: 345,
    instructionLimit: 1_000_000,
    maxStatesPerInstruction: 4,
    totalStates: 21,
    peakStates: 20,
    longestMarkRead: 3,
    verificationTimeUs: 1234,
    stackDepthBytes: [16, 0, 8],
  });
});

it('leaves out what is not there, and is not misled by text of the program', () => {
  expect(parseVerifierStats('')).toEqual({});
  expect(parseVerifierStats('; processed 7 insns (limit 9)\n; stack depth 3\n0: (b7) r0 = 0\n')).toEqual({});
  expect(parseVerifierStats('processed 5 insns, stack depth 8')).toEqual({ processedInstructions: 5 });
  expect(parseVerifierStats(`processed ${'9'.repeat(30)} insns`)).toEqual({});
});

it('takes the last attempt of a log that has more than one', () => {
  const line = (insns: number) => `processed ${insns} insns (limit 1000000) max_states_per_insn 0\n`;
  expect(parseVerifierStats(line(3) + line(9)).processedInstructions).toBe(9);
});
