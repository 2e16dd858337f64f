import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { FixtureCompiler } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import { openObject } from './index.js';

const failing = (code: string, message: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });
const FLOW = { addr: [1, 2], ports: [80, 443], protocol: 6, device: 'wlan0' };

describeWithKernel('globals', ['root', 'bpf', 'btf', 'clang'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  const run = (object: BpfObject) => object.program('copy_wanted').testRun({ data: Buffer.alloc(64) }).returnValue;

  beforeAll(() => {
    compiler = new FixtureCompiler();
    bytes = compiler.compile('typed_views');
  });
  afterAll(() => compiler.close());

  it('lists variables with section, type and the value that C gave them', () => {
    const spec = openObject(bytes);
    const shown = spec.globals.map(({ name, section, type, bytes: size, isConst }) => [
      name,
      section,
      type,
      size,
      isConst,
    ]);
    expect(shown).toEqual(
      expect.arrayContaining([
        ['min_bytes', '.rodata', 'const volatile __u32', 4, true],
        ['device', '.rodata', 'const volatile char [9]', 9, true],
        ['limits', '.rodata.limits', 'const volatile __u64 [3]', 24, true],
        ['wanted', '.data', 'struct flow', 24, false],
        ['odd_place', '.data.odd', '__s16 [3]', 6, false],
        ['last', '.bss', 'struct traffic', 32, false],
        ['private_runs', '.bss', 'volatile __u32', 4, false],
        ['address', '.bss', 'void *', 8, false],
      ]),
    );
    const values = Object.fromEntries(spec.globals.map((global) => [global.name, global.get()]));
    expect(values).toMatchObject({
      min_bytes: 100,
      enabled: true,
      device: 'eth0',
      on_match: 'DROPPED',
      limits: [1n, 2n, 1n << 40n],
      table: [10, 20, 30, 40, 50],
      wanted: FLOW,
      threshold: 1000n,
      odd_place: [-1, -2, -3],
      last: { bytes: 0n, verdict: 'PASSED' },
      runs: 0n,
      address: 0n,
    });
    expect(() => spec.global('nothing')).toThrow(/there are .*min_bytes/);
    spec.close();
    expect(() => spec.globals).toThrow(failing('BPF_CLOSED', 'read globals'));
  });

  it('set before the load are what the program sees, and raw access sees the same', () => {
    const spec = openObject(bytes);
    spec.global('min_bytes').set(10);
    spec.global('device').set('veth');
    spec.global('on_match').set('PASSED');
    spec.global('limits').set([5n, 6n, 7]);
    spec.global('wanted').set({ ...FLOW, protocol: 17 });
    expect([spec.global('min_bytes').get(), spec.global('device').get()]).toEqual([10, 'veth']);
    expect(spec.map('.rodata').initialValue?.includes(Buffer.from('veth\0\0\0\0\0'))).toBe(true);
    const object = spec.load();
    expect(object.global('device').get()).toBe('veth');
    object.map('flows').typed().set({ ...FLOW, protocol: 17 }, { bytes: 20n, balance: 0, verdict: 0, flags: 0, peer: { v4: 0 } }); // prettier-ignore
    expect(run(object)).toBe(1);
    expect(object.global('last').get()).toMatchObject({ bytes: 1027n, verdict: 'PASSED' });
    object.close();
  });

  it('of a loaded object are the memory that programs use', () => {
    const object = openObject(bytes).load();
    const runs = object.global<bigint>('runs');
    run(object);
    run(object);
    expect([runs.get(), object.global('private_runs').get()]).toEqual([2n, 40]);
    runs.set(0xffff_ffff_ffff_fff0n);
    run(object);
    expect(runs.get()).toBe(0xffff_ffff_ffff_fff1n);
    object.map('flows').typed().set(FLOW, { bytes: 200n, balance: 1, verdict: 0, flags: 9, peer: { v6: new Uint8Array(16).fill(7) } }); // prettier-ignore
    object.global('threshold').set(1n);
    object.global('odd_place').set([5, 6, 7]);
    expect(run(object)).toBe(1);
    const last = object.global<Record<string, unknown>>('last').get();
    expect(last).toMatchObject({ bytes: 201n + (1n << 40n), verdict: 'DROPPED', peer: { v4: 0x07070707 } });
    expect(object.global('odd_place').get()).toEqual([5, 5, 7]);
    expect(object.map('.data').lookup(Buffer.alloc(4))?.includes(Buffer.from('wlan0'))).toBe(true);
    object.global('wanted').set({ ...FLOW, device: 'lo' });
    expect([run(object), object.global('wanted').get()]).toEqual([2, { ...FLOW, device: 'lo' }]);
    object.close();
    expect(() => runs.get()).toThrow(failing('BPF_CLOSED', 'read runs'));
    expect(() => object.globals).toThrow(failing('BPF_CLOSED', 'read globals'));
  });

  it('refuse what does not fit, and constants that are loaded or used up', () => {
    const spec = openObject(bytes);
    const argument = (message: string) => failing('BPF_ARGUMENT', message);
    expect(() => spec.global('min_bytes').set(-1)).toThrow(
      argument('set min_bytes: min_bytes is -1, expected an integer from 0 to 4294967295'),
    );
    expect(() => spec.global('limits').set([1n, 2n, -3n])).toThrow(argument('limits[2] is -3'));
    expect(() => spec.global('table').set([1, 2, 3, 4, 5])).toThrow(argument('declare it const volatile'));
    const object = spec.load();
    expect(object.global('min_bytes').get()).toBe(100);
    expect(() => object.global('min_bytes').set(1)).toThrow(
      argument('set min_bytes: it is const: set it before load()'),
    );
    expect(() => object.global('wanted').set({ ...FLOW, ports: [1] })).toThrow(
      argument('wanted.ports is an array of 1'),
    );
    expect(object.global('wanted').get()).toEqual(FLOW);
    object.close();
  });

  it('are read and written by calls where the memory cannot be mapped', () => {
    const spec = openObject(bytes);
    // As on a kernel below 5.5, which does not know BPF_F_MMAPABLE.
    expect(spec.map('.data').flags).toBe(1 << 10);
    spec.map('.data').flags = 0;
    const object = spec.load();
    object.global('threshold').set(7n);
    object.global('wanted').set({ ...FLOW, protocol: 1 });
    expect([object.global('threshold').get(), object.global('wanted').get()]).toEqual([7n, { ...FLOW, protocol: 1 }]);
    expect(() => object.map('.data').mmap()).toThrow('EINVAL');
    object.map('.data').freeze();
    expect(() => object.global('threshold').set(8n)).toThrow(failing('BPF_MAP', 'EPERM'));
    expect(object.global('threshold').get()).toBe(7n);
    object.close();
  });

  it('are none in an object without BTF', () => {
    // Under another name the section is nothing that libbpf knows.
    const stripped = Buffer.from(compiler.compile('refused').toString('latin1').replaceAll('.BTF', 'xBTF'), 'latin1');
    const spec = openObject(stripped);
    expect(spec.globals).toEqual([]);
    expect(() => spec.global('nothing')).toThrow('there are none');
    spec.close();
  });
});
