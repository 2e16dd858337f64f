import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { FixtureCompiler } from '../fixtures/compile.js';
import { BpfMap, openObject, VerifierError } from './index.js';

describeWithKernel('ObjectSpec and load', ['root'], () => {
  let compiler: FixtureCompiler;
  let refused: Buffer;
  let ring: Buffer;
  let maps: Buffer;

  beforeAll(() => {
    compiler = new FixtureCompiler();
    refused = compiler.compile('refused');
    ring = compiler.compile('ring');
    maps = compiler.compile('map_kinds');
  });
  afterAll(() => compiler.close());

  it('lists programs and maps by the names of the source', () => {
    const spec = openObject(ring);
    expect(spec.programs.map(({ name, section, type, autoload }) => ({ name, section, type, autoload }))).toEqual([
      { name: 'write_record', section: 'xdp', type: 'xdp', autoload: true },
    ]);
    expect(spec.maps.map(({ name, type }) => [name, type])).toEqual([
      ['events', 'ringbuf'],
      ['.bss', 'array'],
    ]);
    expect(spec.map('.bss').initialValue).toEqual(Buffer.alloc(16));
    expect(spec.map('events').initialValue).toBeUndefined();
    spec.close();
    spec.close();
  });

  it('names what exists when a name does not', () => {
    const spec = openObject(maps);
    expect(() => spec.program('nothing')).toThrow('there are touch');
    expect(() => spec.map('nothing')).toThrow(/there are .*a_hash/);
    spec.close();
  });

  it('changes sizes, types and global data before the load', () => {
    const spec = openObject(maps, { name: 'sized' });
    spec.map('a_hash').maxEntries = 77;
    spec.map('a_hash').type = 'lru_hash';
    expect(() => (spec.map('a_hash').type = 'no_such_type')).toThrow('EINVAL');
    expect(() => (spec.map('a_hash').initialValue = Buffer.alloc(8))).toThrow('no initial value');
    const object = spec.load();
    expect([object.map('a_hash').type, object.map('a_hash').maxEntries]).toEqual(['lru_hash', 77]);
    object.close();

    const other = openObject(ring);
    other.map('events').maxEntries = 5000;
    expect(other.map('events').maxEntries).toBe(8192);
    const globals = Buffer.alloc(16);
    globals.writeBigUInt64LE(1000n, 0);
    expect(() => (other.map('.bss').initialValue = Buffer.alloc(15))).toThrow('must have 16 bytes');
    other.map('.bss').initialValue = globals;
    const loaded = other.load();
    expect(loaded.map('.bss').lookup(Buffer.alloc(4))).toEqual(globals);
    loaded.close();
  });

  it('gives the log of the program that was refused', () => {
    const spec = openObject(refused);
    let error: unknown;
    try {
      spec.load();
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(VerifierError);
    expect(error).toMatchObject({ code: 'BPF_VERIFIER', program: 'out_of_bounds', errnoName: 'EACCES' });
    expect((error as VerifierError).log).toContain('invalid access to packet');
    expect((error as VerifierError).complaint).toMatch(/^invalid access to packet, off=100 size=1/);
    expect((error as VerifierError).instruction).toBe(1);
    expect((error as VerifierError).source?.text).toBe('return data[100];');
    expect(() => spec.load()).toThrow('used after close');
  });

  it('keeps the end of a log that is too long', () => {
    const spec = openObject(refused, { logBytesMax: 1024, verifierLogLevel: 2 });
    try {
      spec.load();
      throw new Error('accepted');
    } catch (error) {
      expect((error as VerifierError).log.length).toBeLessThanOrEqual(1024);
      expect((error as VerifierError).log).toContain('processed');
    }
  });

  it('loads without a program whose autoload is off', () => {
    const spec = openObject(refused);
    spec.program('out_of_bounds').autoload = false;
    const object = spec.load();
    expect(object.programs.map((program) => program.name)).toEqual(['accepted']);
    object.close();
  });

  it('gives the statistics of accepted programs when asked', () => {
    const object = openObject(ring, { verifierLogLevel: 4 }).load();
    expect(object.verifierLog('write_record')).toMatch(/stack depth \d+/);
    expect(object.program('write_record').info().verifiedInsns).toBeGreaterThan(10);
    object.close();
  });

  it('says of each map and program what the source says of it', () => {
    const spec = openObject(compiler.compile('typed_views'));
    const { name, type, keyBytes, valueBytes, maxEntries, flags, pinPath, keyType, valueType } = spec.map('flows');
    expect({ name, type, keyBytes, valueBytes, maxEntries, flags, pinPath, keyType, valueType }).toEqual({
      name: 'flows',
      type: 'hash',
      keyBytes: 24,
      valueBytes: 32,
      maxEntries: 100,
      flags: 0,
      pinPath: undefined,
      keyType: 'struct flow',
      valueType: 'struct traffic',
    });
    expect([spec.map('of_task').flags, spec.map('untyped').keyType, spec.map('waiting').valueType]).toEqual([
      1,
      undefined,
      'struct flow',
    ]);
    expect(
      spec.maps
        .filter((map) => map.isGlobalData)
        .map((map) => map.name)
        .sort(),
    ).toEqual(['.bss', '.data', '.data.odd', '.rodata', '.rodata.limits']);
    const shown = spec.programs.map((program) => [program.name, program.attachTarget, program.autoload]);
    expect(shown).toEqual([
      ['copy_wanted', undefined, true],
      ['not_loaded', 'bpf_fentry_test1', false],
    ]);
    expect(spec.program('not_loaded').instructionCount).toBe(2);
    spec.program('not_loaded').setAttachTarget({ function: 'bpf_fentry_test2' });
    expect(spec.program('not_loaded').attachTarget).toBe('bpf_fentry_test2');
    spec.close();
    expect(() => spec.map('flows').keyType).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
  });

  it('changes sizes and flags, and leaves out maps', () => {
    const spec = openObject(maps);
    const noPrealloc = 1;
    spec.map('a_hash').setSizes({ valueBytes: 24 });
    spec.map('a_hash').flags = noPrealloc;
    spec.map('a_queue').autocreate = false;
    expect(() => spec.map('a_hash').setSizes({ keyBytes: -1 })).toThrow('keyBytes must be an integer');
    spec.program('touch').autoload = false;
    const object = spec.load();
    expect(object.map('a_hash')).toMatchObject({ keyBytes: 4, valueBytes: 24, flags: noPrealloc });
    expect(() => object.map('a_hash').typed()).toThrow('the value codec has 8 bytes, the map 24');
    expect(object.maps.map((map) => map.name)).not.toContain('a_queue');
    object.close();
    const data = openObject(ring);
    const bss = data.map('.bss');
    // Each of these made libbpf unmap or map over memory that is not its own.
    const refused = expect.objectContaining({ code: 'BPF_ARGUMENT', message: expect.stringContaining('global data') });
    expect(() => bss.setSizes({ valueBytes: 64 })).toThrow(refused);
    expect(() => (bss.maxEntries = 500_000)).toThrow(refused);
    expect(() => (bss.type = 'hash')).toThrow(refused);
    const many = BpfMap.create({ type: 'array', keyBytes: 4, valueBytes: 16, maxEntries: 500_000, flags: 1 << 10 });
    expect(() => bss.reuse(many)).toThrow('expected 1 entries, not 500000');
    many.close();
    data.close();
  });

  it('takes another BTF after it was opened, and keeps what was changed', () => {
    const readme = compiler.compile('readme');
    const spec = openObject(readme, { btfCustomPath: '/does/not/exist' });
    spec.map('events').maxEntries = 8192;
    spec.map('calls_by_pid').maxEntries = 5;
    spec.map('calls_by_pid').maxEntries = 7;
    for (const program of spec.programs) program.autoload = program.name === 'list_maps';
    spec.global('target_pid').set(77);
    const missing = openObject(readme);
    missing.btfCustomPath = '/does/not/exist';
    expect(() => missing.load()).toThrow('/does/not/exist');

    spec.btfCustomPath = '/sys/kernel/btf/vmlinux';
    expect(spec.btfCustomPath).toBe('/sys/kernel/btf/vmlinux');
    expect(spec.global('target_pid').get()).toBe(77);
    const object = spec.load();
    expect(object.programs.map((program) => program.name)).toEqual(['list_maps']);
    expect([object.map('events').maxEntries, object.map('calls_by_pid').maxEntries]).toEqual([8192, 7]);
    expect(object.global('target_pid').get()).toBe(77);
    object.close();
    expect(() => (spec.btfCustomPath = undefined)).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
  });

  it('uses an existing map instead of a new one', () => {
    const first = openObject(maps).load();
    first.map('an_array').update(Buffer.alloc(4), Buffer.from('0102030405060708', 'hex'));
    const again = openObject(maps);
    expect(() => again.map('a_hash').reuse(first.map('a_queue'))).toThrow('not a queue map');
    again.map('an_array').reuse(first.map('an_array'));
    const second = again.load();
    expect(second.map('an_array').id).toBe(first.map('an_array').id);
    expect(second.map('an_array').lookup(Buffer.alloc(4))?.toString('hex')).toBe('0102030405060708');
    first.close();
    second.close();
  });

  it('throws BPF_CLOSED from every face of a closed object', () => {
    const object = openObject(maps).load();
    const program = object.program('touch');
    const map = object.map('a_hash');
    object.close();
    object.close();
    expect(object.closed).toBe(true);
    for (const use of [
      () => object.program('touch'),
      () => object.map('a_hash'),
      () => program.info(),
      () => program.fd,
      () => program.attach(),
      () => program.testRun({ data: Buffer.alloc(64) }),
      () => map.lookup(Buffer.alloc(4)),
      () => map.readAll(),
      () => map.fd,
    ]) {
      expect(use).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
    }
  });
});
