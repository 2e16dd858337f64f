import { describe, expect, it } from '@jest/globals';
import { parseVerifierLog } from './verifier-log.js';

describe('parseVerifierLog', () => {
  it('finds complaint, instruction and source line of a kernel ≥ 6.8', () => {
    const log = [
      'func#0 @0',
      '0: R1=ctx() R10=fp0',
      '; __u8 *data = (void *)(long)ctx->data; @ refused.bpf.c:21',
      '0: (61) r1 = *(u32 *)(r1 +0)          ; R1_w=pkt(r=0)',
      '; return data[100]; @ refused.bpf.c:22',
      '1: (71) r0 = *(u8 *)(r1 +100)',
      'invalid access to packet, off=100 size=1, R1(id=0,off=100,r=0)',
      'R1 offset is outside of the packet',
      'verification time 34 usec',
      'stack depth 0',
      'processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0',
      '',
    ].join('\n');
    expect(parseVerifierLog(log)).toEqual({
      complaint: 'invalid access to packet, off=100 size=1, R1(id=0,off=100,r=0)\nR1 offset is outside of the packet',
      instruction: 1,
      source: { text: 'return data[100];', file: 'refused.bpf.c', line: 22 },
    });
  });

  it('takes the line without its place from an older kernel, also past a branch', () => {
    const log = [
      '; if (key > 3)',
      '4: (25) if r2 > 0x3 goto pc+5',
      ' R0=inv0 R1=ctx(id=0,off=0,imm=0) R2_w=inv(id=0) R10=fp0',
      '; return *value;',
      'from 4 to 10: R0=inv0 R10=fp0',
      '10: (79) r0 = *(u64 *)(r3 +0)',
      "R3 invalid mem access 'map_value_or_null'",
      'processed 9 insns (limit 1000000)',
    ].join('\n');
    expect(parseVerifierLog(log)).toEqual({
      complaint: "R3 invalid mem access 'map_value_or_null'",
      instruction: 10,
      source: { text: 'return *value;' },
    });
  });

  it('reads the instruction from the words when the walk never began', () => {
    expect(parseVerifierLog('back-edge from insn 12 to 3\nprocessed 0 insns (limit 1000000)\n')).toEqual({
      complaint: 'back-edge from insn 12 to 3',
      instruction: 12,
    });
    expect(parseVerifierLog('unreachable insn 5\n').instruction).toBe(5);
  });

  it('says nothing about an empty or foreign log', () => {
    expect(parseVerifierLog('')).toEqual({ complaint: '' });
    expect(parseVerifierLog('something else')).toEqual({ complaint: 'something else' });
  });

  it('stays linear on hostile lines', () => {
    const log = `; ${' @ '.repeat(20_000)}x\n0: (61) r1 = 0\n${'a'.repeat(200_000)}`;
    expect(parseVerifierLog(log).complaint.length).toBe(200_000);
  });
});
