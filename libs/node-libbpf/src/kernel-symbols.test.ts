import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelSymbols, LibbpfError } from './index.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-libbpf-kallsyms-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function symbolsOf(lines: readonly string[], options = {}): KernelSymbols {
  const path = join(folder, 'kallsyms');
  writeFileSync(path, lines.join('\n'));
  return KernelSymbols.read(options, path);
}

const kernel = [
  '0000000000000000 A fixed_percpu_data',
  'ffffffff81000000 T _stext',
  'ffffffff81000000 T _text',
  'ffffffff81000100 t helper',
  'ffffffff81000200 T schedule',
  'ffffffff81000300 t helper',
  'ffffffff81000310 d some_data',
  'ffffffffc0200000 t in_module\t[nf_tables]',
  'ffffffffc0100000 t bpf_prog_0123456789abcdef_count\t[bpf]',
  '',
];

it('finds the symbol of an address, with its offset and module, whatever the order of the file', () => {
  const symbols = symbolsOf(kernel);
  expect([symbols.addressesShown, symbols.left, symbols.modules]).toEqual([true, 0, ['nf_tables', 'bpf']]);
  expect(symbols.resolve(0xffff_ffff_8100_0210n)).toEqual({ name: 'schedule', offset: 16, module: undefined });
  expect(symbols.resolve(0xffff_ffff_8100_0315n)).toEqual({ name: 'helper', offset: 0x15, module: undefined });
  expect(symbols.resolve(0xffff_ffff_c020_0001n)).toEqual({ name: 'in_module', offset: 1, module: 'nf_tables' });
  expect(symbols.resolve(0xffff_ffff_c010_0001n)?.module).toBe('bpf');
  // Of two names of one address the one that comes first.
  expect(symbols.resolve(0xffff_ffff_8100_0001n)?.name).toBe('_stext');
});

it('gives no name to what is in no function', () => {
  const symbols = symbolsOf(kernel);
  expect(symbols.resolve(0x7f12_3456_7890n)).toBeUndefined();
  expect(symbols.resolve(0n)).toBeUndefined();
  expect(symbols.resolve(0xffff_ffff_8110_0301n)).toBeUndefined();
  expect(symbols.resolve(0xffff_ffff_ffff_ffffn)).toBeUndefined();
});

it('finds every address of a name', () => {
  const symbols = symbolsOf(kernel, { kinds: 'all' });
  expect(symbols.find('helper').map(({ address }) => address)).toEqual([
    0xffff_ffff_8100_0100n,
    0xffff_ffff_8100_0300n,
  ]);
  expect(symbols.find('in_module')).toEqual([
    { name: 'in_module', address: 0xffff_ffff_c020_0000n, type: 't', module: 'nf_tables' },
  ]);
  expect(symbols.find('some_data')[0]?.type).toBe('d');
  expect(symbols.find('help')).toEqual([]);
  expect(symbolsOf(kernel).find('some_data')).toEqual([]);
  expect(() => symbols.find('')).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
});

it('keeps to its bounds and counts what it leaves', () => {
  expect(symbolsOf(kernel, { symbolsMax: 3 })).toMatchObject({ count: 3, left: 4 });
  expect(symbolsOf(kernel, { nameBytesMax: 11 })).toMatchObject({ count: 2, left: 5 });
  expect(() => symbolsOf(kernel, { symbolsMax: 0 })).toThrow('symbolsMax');
});

it('survives lines that are no symbols', () => {
  const odd = ['', 'x', 'ffffffff81000000', 'ffffffff81000000 T ', 'ffffffff81000000  T', '1'.repeat(40), 'g T a'];
  const long = `ffffffff81000400 t ${'n'.repeat(600_000)}`;
  const symbols = symbolsOf([...odd, 'ffffffff81000000 T a', long, 'ffffffff81000800 t last'], {});
  expect(symbols.find('a').length).toBe(1);
  expect(symbols.find('last').length).toBe(1);
});

it('reads 32-bit addresses', () => {
  const symbols = symbolsOf(['c0008000 T _stext', 'c0008100 t a', 'bf000000 t b\t[mod]']);
  expect(symbols.resolve(0xc000_8104n)).toEqual({ name: 'a', offset: 4, module: undefined });
  expect(symbols.resolve(0xbf00_0008n)).toEqual({ name: 'b', offset: 8, module: 'mod' });
});

it('says that it was shown zeros', () => {
  const hidden = symbolsOf(['0000000000000000 T _stext', '0000000000000000 t a']);
  expect([hidden.addressesShown, hidden.count]).toEqual([false, 2]);
  expect(hidden.resolve(1n)).toBeUndefined();
  expect(hidden.find('a').length).toBe(1);
  expect(() => KernelSymbols.read({}, join(folder, 'nothing'))).toThrow(LibbpfError);
});

describeWithKernel('kernel symbols', ['root'], () => {
  it('agrees with /proc/kallsyms itself', () => {
    const symbols = KernelSymbols.read({ kinds: 'all' });
    const lines = readFileSync('/proc/kallsyms', 'utf8').trim().split('\n');
    // BPF programs come and go between the two readings.
    const own = lines.filter((line) => !line.endsWith('[bpf]'));
    for (let at = 0; at < own.length; at += 997) {
      const [digits = '', type, name = ''] = (own[at] ?? '').split(/\s/);
      expect(symbols.find(name)).toContainEqual(
        expect.objectContaining({ name, type, address: BigInt(`0x${digits}`) }),
      );
    }
    expect(symbols.needs).toEqual([]);
    expect(symbols.bytes / symbols.count).toBeLessThan(18);
    const [schedule] = symbols.find('schedule');
    expect(symbols.resolve((schedule?.address ?? 0n) + 3n)).toMatchObject({ name: 'schedule', offset: 3 });
  });

  it('names the capability without which the kernel shows zeros', () => {
    // The text of the file as an ordinary user gets it.
    const shown = execFileSync('setpriv', [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      'head',
      '-3',
      '/proc/kallsyms',
    ]);
    const hidden = symbolsOf(shown.toString().split('\n'), { kinds: 'all' });
    expect(hidden.addressesShown).toBe(false);
  });
});
