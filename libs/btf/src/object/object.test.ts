import { beforeAll, describe, expect, it } from '@jest/globals';
import { compileBpf, PREAMBLE_LINES } from '../../test/compile-bpf.js';
import { readObject } from './object.js';
import type { BpfObjectFile } from './types.js';

const SOURCE = `
struct key { __u32 pid; char comm[16]; };
struct value { __u64 slots[4]; __u64 total; };
struct inner { __uint(type, 2); __uint(max_entries, 7); __type(key, __u32); __type(value, __u64); };
struct { __uint(type, 5); __uint(max_entries, 128); __uint(map_flags, 1); __type(key, struct key); __type(value, struct value); } hists SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 65536); __uint(pinning, 1); } events SEC(".maps");
struct { __uint(type, 7); __uint(key_size, 4); __uint(value_size, 1016); __uint(max_entries, 64); } stacks SEC(".maps");
struct { __uint(type, 13); __uint(max_entries, 3); __type(key, __u32); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, 200); __uint(max_entries, 1); } unknown SEC(".maps");
const volatile __u32 min_us = 5;
const volatile _Bool by_comm = 1;
const volatile char prefix[8] = "abc";
const __u64 fixed = 9;
__u64 counter = 3;
__u64 zeroed;
static void *(*lookup)(void *map, const void *key) = (void *)1;
__attribute__((noinline)) static int deepest(int a) { volatile int x = a; return x * 7; }
__attribute__((noinline)) int middle(int a) { volatile int x = deepest(a); return x + 1; }
SEC("raw_tp/sys_enter")
int first(void *ctx)
{
	volatile int y = middle((int)(long)ctx);
	counter += y + fixed + zeroed;
	return y;
}
SEC("xdp")
int second(void *ctx)
{
	return min_us + by_comm + prefix[0];
}
char LICENSE[] SEC("license") = "GPL";
`;

let object: BpfObjectFile;

beforeAll(() => {
  object = readObject(compileBpf(SOURCE));
});

describe('readObject', () => {
  it('lists programs with their sections, and no subprograms', () => {
    expect(object.programs.map(({ name, section }) => [name, section])).toEqual([
      ['first', 'raw_tp/sys_enter'],
      ['second', 'xdp'],
    ]);
    expect(object.license).toBe('GPL');
    expect(object.littleEndian).toBe(true);
  });

  it('reads map definitions with sizes, types, flags and pinning', () => {
    const map = (name: string) => object.maps.find((m) => m.name === name);
    expect(map('hists')).toMatchObject({
      typeName: 'percpu_hash',
      perCpu: true,
      keyBytes: 20,
      valueBytes: 40,
      maxEntries: 128,
      flags: 1,
      pinning: 0,
    });
    expect(object.btf.resolve(map('hists')?.keyTypeId as number)).toMatchObject({ kind: 'struct', name: 'key' });
    expect(map('events')).toMatchObject({ typeName: 'ringbuf', keyBytes: 0, maxEntries: 65536, pinning: 1 });
    expect(map('stacks')).toMatchObject({ typeName: 'stack_trace', keyBytes: 4, valueBytes: 1016 });
    expect(map('unknown')).toMatchObject({ typeName: 'map_type_200' });
  });

  it('reads the template of a map in a map', () => {
    const outer = object.maps.find((m) => m.name === 'outer');
    expect(outer).toMatchObject({ typeName: 'hash_of_maps', valueBytes: 4 });
    expect(outer?.inner).toMatchObject({ typeName: 'array', maxEntries: 7, valueBytes: 8 });
  });

  it('finds globals, their initial bytes, and which of them may be set', () => {
    const global = (name: string) => object.globals.find((g) => g.name === name);
    expect(global('min_us')).toMatchObject({ section: '.rodata', bytes: 4, tunable: true });
    expect(global('prefix')).toMatchObject({ bytes: 8, tunable: true });
    expect(global('counter')).toMatchObject({ section: '.data', tunable: false });
    expect(global('zeroed')).toMatchObject({ section: '.bss', tunable: false });
    const rodata = object.dataSections.find((s) => s.name === '.rodata');
    const at = global('min_us')?.offset ?? -1;
    expect(rodata?.image[at]).toBe(5);
    const prefixAt = global('prefix')?.offset ?? -1;
    expect([...(rodata?.image.subarray(prefixAt, prefixAt + 4) ?? [])]).toEqual([97, 98, 99, 0]);
    expect(object.dataSections.find((s) => s.name === '.bss')?.image).toEqual(new Uint8Array(8));
  });

  it('leaves out static constants that the compiler has put elsewhere', () => {
    const source = `
const volatile __u32 knob = 5; const volatile __u32 other = 6;
static const __u32 table[4] = { 10, 20, 30, 40 }; static const __u32 odd[3] = { 1, 2, 3 };
SEC("xdp") int p(int *x) { return table[*x & 3] + odd[*x & 1] + knob + other; }`;
    const read = readObject(compileBpf(source));
    const rodata = read.dataSections.find(({ name }) => name === '.rodata');
    expect(read.btf.findByName('datasec', '.rodata')?.variables.length).toBe(4);
    expect(read.globals.map(({ name }) => name).sort()).toEqual(['knob', 'odd', 'other']);
    const at = read.globals.find(({ name }) => name === 'odd')?.offset ?? -1;
    expect(rodata?.image[at]).toBe(1);
    // Larger than the section in which BTF says it is.
    const alone = source.replace(/const volatile __u32 other = 6;|static const __u32 odd\[3\][^;]*;/g, '');
    const small = readObject(compileBpf(alone.replace('+ odd[*x & 1]', '').replace('+ other', '')));
    expect(small.globals.map(({ name }) => name)).toEqual(['knob']);
  });

  it('maps instructions to source lines, through subprograms in the order that libbpf appends them', () => {
    const lineOf = (needle: string) => PREAMBLE_LINES + SOURCE.split('\n').findIndex((l) => l.includes(needle)) + 1;
    const first = object.programs.find((p) => p.name === 'first');
    const own = first?.instructionCount ?? 0;
    expect(object.lines.lineAt('first', own - 1)).toMatchObject({ file: expect.stringContaining('test.bpf.c') });
    expect(object.lines.lineAt('first', 1)?.text).toContain('volatile int y = middle');
    expect(object.lines.lineAt('first', own)).toMatchObject({ line: lineOf('int middle(int a)') });
    const lines = Array.from({ length: 40 }, (_, i) => object.lines.lineAt('first', own + i)?.line);
    expect(lines).toContain(lineOf('static int deepest'));
    expect(object.lines.lineAt('first', 100_000)).toBeUndefined();
    expect(object.lines.lineAt('nothing', 0)).toBeUndefined();
  });

  it('reads big-endian objects the same way', () => {
    const big = readObject(compileBpf(SOURCE, 'bpfeb'));
    expect(big.littleEndian).toBe(false);
    expect(big.maps).toEqual(object.maps);
    expect(big.programs).toEqual(object.programs);
    expect(big.globals.map((g) => g.name).sort()).toEqual(object.globals.map((g) => g.name).sort());
    expect(big.lines.lineAt('first', 1)?.text).toBe(object.lines.lineAt('first', 1)?.text);
  });

  it('keeps CO-RE relocations as the compiler wrote them', () => {
    const source = `
struct task { int pid; struct { int a; int b; } in; } __attribute__((preserve_access_index));
SEC("raw_tp/x") int p(struct task *t) { return t->in.b; }`;
    expect(readObject(compileBpf(source)).coreRelocations).toMatchObject([
      { section: 'raw_tp/x', access: '0:1:1', kind: 'field_byte_offset' },
    ]);
  });

  it('refuses maps of the old kind with a hint', () => {
    const source =
      'struct def { __u32 type, key, value, max, flags; }; struct def old SEC("maps") = { 1, 4, 4, 1, 0 };';
    expect(() => readObject(compileBpf(source))).toThrow(/declare them in SEC\("\.maps"\)/);
  });

  it('says what is wrong with something that is no BPF object', () => {
    expect(() => readObject(new Uint8Array(10))).toThrow(expect.objectContaining({ code: 'ELF_INVALID' }));
    expect(() => readObject(new TextEncoder().encode('#!/bin/sh\necho not an object at all, sorry'))).toThrow(
      /not an ELF/,
    );
  });
});
