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
const volatile _Bool off = 0;
const volatile _Bool on = 1;
const volatile __u8 small = 3;
const volatile short negative = -2;
const volatile __u32 word = 7;
const volatile __u64 wide = 1ULL << 40;
const volatile struct { int first; int second; } pair = { 1, 0 };
const volatile int table[4] = { 0, 0, 5, 0 };
volatile int writable = 0;
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

/** The same of what the program holds as parameters, where these are known. */
const BY_PARAMETER: readonly (readonly [name: string, body: string, reaches: boolean])[] = [
  ['behind one that is off', 'if (off) sink = old->no_such_field;', false],
  ['behind one that is on', 'if (on) sink = old->no_such_field;', true],
  ['behind the opposite of one that is on', 'if (!on) sink = old->no_such_field;', false],
  ['behind a number of a byte', 'if (small > 3) sink = old->no_such_field;', false],
  ['behind a wide number', 'if (wide != 1ULL << 40) sink = old->no_such_field;', false],
  ['behind a mask', 'if (word & 8) sink = old->no_such_field;', false],
  ['behind a mask that fits', 'if (word & 4) sink = old->no_such_field;', true],
  ['behind a member', 'if (pair.second) sink = old->no_such_field;', false],
  ['behind an element', 'if (table[3]) sink = old->no_such_field;', false],
  ['behind an element that is set', 'if (table[2]) sink = old->no_such_field;', true],
  ['behind one that is off and what only runs tell', 'if (off && t->pid) sink = old->no_such_field;', false],
  ['behind either', 'if (off || t->pid) sink = old->no_such_field;', true],
  ['behind a negative number', 'if (negative == -2) sink = old->no_such_field;', true],
  ['behind what can be written', 'if (writable) sink = old->no_such_field;', true],
];

function reachablePoison(object: Uint8Array, withConstants = false): readonly number[] {
  const parsed = readObject(object);
  const sections = parsed.dataSections.filter(({ readOnly }) => withConstants && readOnly);
  const constants = new Map(sections.map(({ name, image }) => [name, image]));
  const resolution = resolveCoreRelocations(parsed, parseBtf(kernelBtf('arm64-6.1')));
  const { programs } = patchInstructions(parsed, resolution, constants);
  expect(programs[0]?.poisoned).not.toEqual([]);
  return programs[0]?.reachablePoison ?? [];
}

describe('reachable poison', () => {
  it.each(CASES)('of a field that is not there, %s', (_name, body, reaches) => {
    expect(reachablePoison(compileBpf(SOURCE(body))).length > 0).toBe(reaches);
  });

  it.each(BY_PARAMETER)('with parameters that are known, %s', (_name, body, reaches) => {
    const object = compileBpf(SOURCE(body));
    expect(reachablePoison(object, true).length > 0).toBe(reaches);
    expect(reachablePoison(object)).not.toEqual([]);
  });

  it('takes no address for the number that stands in its place', () => {
    const symbol = 'extern const int some_symbol __attribute__((weak)) __attribute__((section(".ksyms")));';
    const body = 'if (&some_symbol) sink = old->no_such_field;';
    expect(reachablePoison(compileBpf(symbol + SOURCE(body)))).not.toEqual([]);
  });
});

describeWithKernel(
  'reachable poison, in the eyes of a verifier',
  ['root', 'bpf', 'btf', 'bpffs', 'bpftool', 'clang'],
  () => {
    it.each([...CASES, ...BY_PARAMETER])('is refused, and dead poison is not: %s', (_name, body, reaches) => {
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
  const bigEndian = ([opcode = 0, registers = 0, ...rest]: number[]): number[] => {
    const [offset, immediate] = [rest.slice(0, 2).reverse(), rest.slice(2).reverse()];
    return [opcode, ((registers & 0xf) << 4) | (registers >> 4), ...offset, ...immediate];
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

  it('reads constant data inside of its bounds alone, in the byte order of the object', () => {
    const bytes = new Uint8Array([1, 2, 0, 0, 0, 0, 0, 0xff]);
    const [address, high] = [instruction(0x18, 2), instruction(0)];
    const filler = instruction(0xb7, 0);
    const load = (opcode: number, from: number) => instruction(opcode, 1, from, 0, 2);
    const takes = (read: number[], immediate: number, offset = 0, littleEndian = true): boolean => {
      const code = [address, high, read, instruction(0x15, 1, 1, immediate), filler, EXIT];
      const swapped = littleEndian ? code : code.map((one) => bigEndian(one));
      const view = new InstructionView(new Uint8Array(swapped.flat()), littleEndian);
      return !new LiveCode(view, [0], new Map([[0, { bytes, offset }]])).isLive(4);
    };
    expect(takes(load(0x71, 0), 1)).toBe(true);
    expect(takes(load(0x69, 0), 0x0201)).toBe(true);
    expect(takes(load(0x69, 0), 0x0102, 0, false)).toBe(true);
    expect(takes(load(0x71, 7), 0xff)).toBe(true);
    expect(takes(load(0x71, 1), 0xff, 6)).toBe(true);
    expect(takes(load(0x69, 7), 0xff)).toBe(false);
    expect(takes(load(0x71, -1), 0)).toBe(false);
    expect(takes(load(0x71, 0), 1, -1)).toBe(false);
    // A load that extends the sign, of which nothing is claimed.
    expect(takes(load(0x91, 0), 1)).toBe(false);
  });

  it('ends at loops, at the end of the code, and at branches out of it', () => {
    expect(liveOf(instruction(0x05, 0, -1), EXIT)).toBe('x.');
    expect(liveOf(instruction(0x07, 1, 0, 1), instruction(0x15, 1, -2, 7), instruction(0x05, 0, 500))).toBe('xxx');
    expect(liveOf(instruction(0x15, 1, -100), EXIT)).toBe('xx');
    expect(liveOf(instruction(0x06, 0, 0, 1), EXIT, EXIT)).toBe('x.x');
  });
});
