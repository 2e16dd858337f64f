import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../../test/compile-bpf.js';
import { kernelBtf } from '../../test/kernels.js';
import { readObject } from '../object/object.js';
import { parseBtf } from '../types/parse.js';
import { InstructionView } from './instruction.js';
import { LiveCode } from './live-code.js';
import { patchInstructions } from './patch.js';
import { resolveCoreRelocations } from './resolve.js';

const SOURCE = (body: string): string => `
#define EXISTS(x) __builtin_preserve_field_info(x, 2)
#define BYTES(x) __builtin_preserve_field_info(x, 1)
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct { int pid; int tgid; };
struct task_struct___never { long no_such_field; };
#pragma clang attribute pop
static struct task_struct *(*current)(void) = (void *)158;
volatile __u64 sink;
__attribute__((noinline)) static __u64 never(struct task_struct *t) { return ((struct task_struct___never *)t)->no_such_field; }
SEC("tp_btf/sys_enter") int p(__u64 *ctx) {
	struct task_struct *t = current();
	struct task_struct___never *old = (void *)t;
	${body}
	return 0; }
char LICENSE[] SEC("license") = "GPL";`;

/** What a program does with a field that this kernel does not have, and whether a verifier gets to see it. */
const CASES: readonly (readonly [name: string, body: string, reaches: boolean])[] = [
  ['behind a question', 'if (EXISTS(old->no_such_field)) sink = old->no_such_field; else sink = t->pid;', false],
  ['behind the opposite question', 'if (!EXISTS(t->pid)) sink = old->no_such_field;', false],
  [
    'behind two questions at once',
    'if (EXISTS(t->tgid) && EXISTS(old->no_such_field)) sink = old->no_such_field;',
    false,
  ],
  ['behind a size', 'if (BYTES(t->pid) > 4) sink = old->no_such_field;', false],
  [
    'behind a calculation',
    'unsigned long bytes = BYTES(t->pid) * 8; asm volatile("" : "+r"(sink)); if ((bytes ^ 32) << 3) sink = old->no_such_field;',
    false,
  ],
  [
    'in a switch',
    'switch (BYTES(t->pid)) { case 1: case 2: sink = old->no_such_field; break; default: sink = 3; }',
    false,
  ],
  ['without a question', 'sink = old->no_such_field;', true],
  ['behind a question of something else', 'if (EXISTS(t->pid)) sink = old->no_such_field;', true],
  ['behind what only runs tell', 'if (t->pid == 7) sink = old->no_such_field;', true],
  ['in a subprogram that is called', 'sink = never(t);', true],
];

function reachablePoison(object: Uint8Array): readonly number[] {
  const parsed = readObject(object);
  const { programs } = patchInstructions(parsed, resolveCoreRelocations(parsed, parseBtf(kernelBtf('arm64-6.1'))));
  expect(programs[0]?.poisoned).not.toEqual([]);
  return programs[0]?.reachablePoison ?? [];
}

describe('reachable poison', () => {
  it.each(CASES)('of a field that is not there, %s', (_name, body, reaches) => {
    expect(reachablePoison(compileBpf(SOURCE(body))).length > 0).toBe(reaches);
  });
});

describeWithKernel(
  'reachable poison, in the eyes of a verifier',
  ['root', 'bpf', 'btf', 'bpffs', 'bpftool', 'clang'],
  () => {
    it.each(CASES)('is refused, and dead poison is not: %s', (_name, body, reaches) => {
      const folder = mkdtempSync(join(tmpdir(), 'bpfleet-live-'));
      const pin = `/sys/fs/bpf/bpfleet_live_test_${process.pid}`;
      try {
        writeFileSync(join(folder, 'test.o'), compileBpf(SOURCE(body)));
        const load = (): unknown =>
          execFileSync('bpftool', ['prog', 'load', join(folder, 'test.o'), pin], { stdio: 'pipe' });
        if (reaches) expect(load).toThrow(/invalid func unknown#195896080|<invalid CO-RE relocation>/);
        else expect(load).not.toThrow();
      } finally {
        rmSync(pin, { force: true });
        rmSync(folder, { recursive: true, force: true });
      }
    });
  },
);

describe('LiveCode', () => {
  const instruction = (opcode: number, to = 0, offset = 0, immediate = 0, from = 0): number[] => {
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setUint8(0, opcode);
    bytes.setUint8(1, (from << 4) | to);
    bytes.setInt16(2, offset, true);
    bytes.setInt32(4, immediate, true);
    return [...new Uint8Array(bytes.buffer)];
  };
  const liveOf = (...code: number[][]): string => {
    const view = new InstructionView(new Uint8Array(code.flat()), true);
    const live = new LiveCode(view, [0]);
    return Array.from({ length: view.count }, (_, at) => (live.isLive(at) ? 'x' : '.')).join('');
  };
  const EXIT = instruction(0x95);

  it('compares 32 and 64 bits, signed and unsigned', () => {
    const minusOne = instruction(0xb7, 1, 0, -1);
    const narrow = instruction(0xbc, 1, 0, 0, 1);
    const skip = (opcode: number, immediate: number): number[] => instruction(opcode, 1, 1, immediate);
    const filler = instruction(0xb7, 0);
    expect(liveOf(minusOne, skip(0x25, 5), filler, EXIT)).toBe('xx.x'); // unsigned >
    expect(liveOf(minusOne, skip(0x65, 5), filler, EXIT)).toBe('xxxx'); // signed >
    expect(liveOf(minusOne, narrow, skip(0x15, -1), filler, EXIT)).toBe('xxxxx'); // 0xffffffff is not −1
    expect(liveOf(minusOne, narrow, skip(0x16, -1), filler, EXIT)).toBe('xxx.x'); // but of 32 bits it is
  });

  it('forgets what a call, a load or an atomic operation may change, and what differs where ways meet', () => {
    const one = instruction(0xb7, 1, 0, 1);
    const test = instruction(0x15, 1, 1, 1);
    const filler = instruction(0xb7, 0);
    expect(liveOf(one, test, filler, EXIT)).toBe('xx.x');
    expect(liveOf(one, instruction(0x85, 0, 0, 5), test, filler, EXIT)).toBe('xxxxx');
    expect(liveOf(one, instruction(0x79, 1, 0, 0, 10), test, filler, EXIT)).toBe('xxxxx');
    expect(liveOf(one, instruction(0xdb, 10, -8, 1, 1), test, filler, EXIT)).toBe('xxxxx');
    expect(liveOf(one, instruction(0x15, 2, 1, 0), instruction(0xb7, 1, 0, 2), test, filler, EXIT)).toBe('xxxxxx');
  });

  it('ends at loops, at the end of the code, and at branches out of it', () => {
    expect(liveOf(instruction(0x05, 0, -1), EXIT)).toBe('x.');
    expect(liveOf(instruction(0x07, 1, 0, 1), instruction(0x15, 1, -2, 7), instruction(0x05, 0, 500))).toBe('xxx');
    expect(liveOf(instruction(0x15, 1, -100), EXIT)).toBe('xx');
    expect(liveOf(instruction(0x06, 0, 0, 1), EXIT, EXIT)).toBe('x.x');
  });
});
